"""Benchmarks, side by side with peers: ``python -m bench [NAME …]``; results go to ``bench/results``.

A benchmark is a module with three names: ``SUMMARY`` (one line of help), ``SYSTEMS`` (what ``--systems`` may choose
from) and ``measure(options, tell)``, which returns ``Results``. It is entered in ``__main__.BENCHMARKS``; the table,
the result file and the chart follow from what it returns.
"""
