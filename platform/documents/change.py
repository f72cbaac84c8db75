"""What travels through the pipeline: a change that was asked for, and one that was stored.

Both are plain data; as JSON they are what the messages between stages carry.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Act = Literal["create", "patch", "delete"]
#: What every document has beside its own fields, in this order; nobody gives or patches them.
SYSTEM_FIELDS = ("appId", "userId", "type", "id", "version", "createdAt", "updatedAt")


class Change(msgspec.Struct, omit_defaults=True):
    """What somebody asks for. ``change_id`` was chosen before it was published: the same one changes nothing twice.

    ``data`` are a new document's fields (create), ``patch`` the operations of RFC 6902, paths as pointers (patch).
    ``if_version`` refuses the change unless the document has that version; 0 means nobody asks.
    ``actor`` is the account that asks, empty for the platform's own programs, which may change every document;
    ``user_id`` is whose a new document is to be. ``at_ms``: when it was accepted, milliseconds since 1970.
    ``notes`` is the stages' own: what one leaves there the later ones find; it is not stored. ``replays``: how often an
    operator has had it tried again; what was refused stays refused until then.
    """

    change_id: str
    act: Act
    app_id: str
    type: str
    id: str
    actor: str = ""
    user_id: str = ""
    data: dict[str, Any] | None = None
    patch: list[dict[str, Any]] | None = None
    if_version: int = 0
    at_ms: int = 0
    notes: dict[str, Any] = msgspec.field(default_factory=dict)
    replays: int = 0


class Committed(msgspec.Struct, omit_defaults=True):
    """A change that is in the database; ``version`` is the document's after it, one more than before.

    ``document`` is the whole document after it (of a delete: the last one), ``before`` the one it replaced, both with
    the system fields appId, userId, type, id, version, createdAt, updatedAt. ``operations`` are what a follower
    applies to ``before`` to get ``document``, byte for byte, those of the system fields among them; paths as pointers.
    ``before_ms``: when the version before was stored, 0 of a new document.
    """

    change_id: str
    act: Act
    app_id: str
    user_id: str
    type: str
    id: str
    version: int
    document: dict[str, Any]
    before: dict[str, Any] | None = None
    operations: list[dict[str, Any]] = msgspec.field(default_factory=list)
    at_ms: int = 0
    before_ms: int = 0
    notes: dict[str, Any] = msgspec.field(default_factory=dict)
