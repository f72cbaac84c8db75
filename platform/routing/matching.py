"""Matching: each distinct filter is tested once for a change, on the document before it and after it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache

from platform import serialization
from platform.documents.change import Committed
from platform.documents.filters import BadFilter, Filter, parsed
from platform.routing.subscriptions import Audience, Following, Subscriptions, subscriptions
from platform.streams.delivery import Entry
from platform.streams.event import Kind, kind_of
from platform.streams.names import channels_of

log = logging.getLogger(__name__)

#: Compiled filters kept by a process; more than that are compiled again.
MOST_FILTERS = 10_000


class Router:
    """Finds the targets of changes in one registry. Safe from any thread."""

    def __init__(self, registry: Subscriptions):
        self.registry = registry
        self._filters: dict[str, Filter | None] = {}

    def route(self, changes: Sequence[Committed], is_resync: bool = False) -> list[Entry]:
        """The changes with their targets, in their order; one command for all, a second for filters not seen before.

        A document that stays among those a filter chooses is told as ``change``, one that comes to be among them as
        ``enter``, one that is no longer as ``leave``. ``is_resync``: the changes stand for versions that never came.
        Raises BrokerUnavailable.
        """
        if not changes:
            return []
        channels = [channels_of(change) for change in changes]
        audience = self.registry.lookup(list(dict.fromkeys(name for names in channels for name in names)))
        filters = self._compiled(audience)
        return [
            Entry(change, _targets(change, names, audience, filters, is_resync), audience.seen)
            for change, names in zip(changes, channels, strict=True)
        ]

    def _compiled(self, audience: Audience) -> dict[str, Filter | None]:
        keys = {group.filter_key for groups in audience.groups.values() for group in groups if group.filter_key}
        missing = sorted(keys - self._filters.keys())
        if len(self._filters) + len(missing) > MOST_FILTERS:
            self._filters, missing = {}, sorted(keys)
        # Read here once: another thread may begin the dictionary anew.
        filters = self._filters
        filters.update({key: _filter(text) for key, text in self.registry.filter_texts(missing).items()})
        return filters


def route(changes: Sequence[Committed]) -> list[Entry]:
    """``Router.route`` with this process's registry; ``platform.streams.delivery.deliver`` takes what it returns."""
    return router().route(changes)


@cache
def router() -> Router:
    """This process's router."""
    return Router(subscriptions())


def _filter(text: str) -> Filter | None:
    """None for one that this release does not understand, of a process of another one."""
    try:
        return parsed(serialization.decode(text))
    except (BadFilter, ValueError):
        log.warning("a subscription's filter cannot be read and matches nothing: %s", text, exc_info=True)
        return None


def _targets(
    change: Committed,
    channels: Sequence[str],
    audience: Audience,
    filters: dict[str, Filter | None],
    is_resync: bool,
) -> dict[str, dict[str, list[str]]]:
    told: dict[str, Kind | None] = {}
    targets: dict[str, dict[str, list[str]]] = {}
    for channel in channels:
        for group in audience.groups.get(channel, ()):
            key = group.filter_key
            if key not in told:
                told[key] = _kind(change, filters.get(key), is_resync) if key else "change"
            if (kind := told[key]) is not None:
                _add(targets, group, kind)
    return targets


def _kind(change: Committed, filter: Filter | None, is_resync: bool) -> Kind | None:
    if filter is None:
        return None
    before = change.act == "patch" and change.before is not None and filter.matches(change.before)
    return kind_of(change.act, before, filter.matches(change.document), is_resync)


def _add(targets: dict[str, dict[str, list[str]]], group: Following, kind: Kind) -> None:
    for process in group.processes:
        targets.setdefault(process, {}).setdefault(kind, []).append(group.key)
