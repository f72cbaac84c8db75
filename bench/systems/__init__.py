"""The systems compared, each written as its own users would write it.

These modules run in processes of their own, the peers' in a virtual environment that knows nothing of the
project, so they import nothing of it. A module has ``submit(goal)``, which hands over one job that calls
``work(goal)``, and ``DISTRIBUTION``, the package it shows.
"""
