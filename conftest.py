"""Bare ``pytest`` has loaded the standard library's ``platform`` by now; importing tasks completes it."""

import tasks  # noqa: F401
