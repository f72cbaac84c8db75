"""Thousands of items as one thing: counted once each, watched, stopped and repaired.

A batch's items are run by chunks, each of them one job on the ``batch`` queue. What became of an item is kept in the
record store, a character for its state and a line for its result, and written by scripts that refuse a second outcome.
"""
