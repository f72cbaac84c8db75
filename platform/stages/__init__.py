"""Stages: tasks that pass documents' changes on, many messages at a time.

``graph`` knows who feeds whom. In a worker, ``gathering`` puts messages that arrived together into one ``bundle``,
which is one call of the pool; ``running`` is the child's side of it, ``answers`` the call of a stage's function, and
``passing`` what is published for the stages that follow.
"""
