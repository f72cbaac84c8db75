"""The commands under ``celery -A platform``.

Every Celery command imports these modules, workers and beat included, so at module level they import click alone.
"""
