"""The database's schema, step by step; ``versions/`` holds the steps, each with the one before it.

A step only adds what the release before can live with: while a deployment is under way both are at work. What nobody
needs any more is dropped a release later. To add one: change the tables, write the step by hand, name it in ``HEAD``;
a test compares what the steps make with the tables' classes, on both databases.
"""

from __future__ import annotations

#: The newest step. Here so that a process can see without Alembic, which takes a while to import, that all is well.
HEAD = "0002"
