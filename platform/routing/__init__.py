"""Routing: which socket processes are to be told of a change, and for which of their groups.

A subscription is a channel, or a channel and a filter; equal ones are one group. A change costs as much as there are
distinct filters on its channels and processes with members of them, however many devices these serve.
"""

from platform.routing.matching import route

__all__ = ["route"]
