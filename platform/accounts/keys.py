"""API keys: ``pk_<10 characters, public>_<43 characters, 256 random bits>``, shown once.

What is kept is the SHA-256 of the whole key: random bits need no slow hash, and every request pays for
this one. The public part names a key in lists and logs.
"""

from __future__ import annotations

import hmac
import re
import secrets
import string
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from sqlalchemy import or_, select, update

from platform.accounts import revocations
from platform.accounts.account import Account, UnknownKey, UnknownUser, normal_email
from platform.accounts.recent import RecentAnswers
from platform.accounts.tables import ApiKey, User
from platform.database import DatabaseUnavailable, reading, writing

RECENT_TTL_S = 5.0
RECENT_MAX_ENTRIES = 10_000
LAST_USED_STEP = timedelta(minutes=1)
_FORM = re.compile(r"pk_([a-z0-9]{10})_[A-Za-z0-9_-]{43}")
_recent: RecentAnswers[str, Account | None] = RecentAnswers(RECENT_TTL_S, RECENT_MAX_ENTRIES)


@dataclass(frozen=True)
class KeyRecord:
    """A key as its owner and operators see it; times in UTC, ``last_used_at`` exact to about a minute."""

    public_id: str
    email: str
    name: str | None
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


def add_key(email: str, name: str | None = None) -> str:
    """Make a key for an active user and return it; it cannot be shown again. Raises UnknownUser."""
    public_id = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(10))
    key = f"pk_{public_id}_{secrets.token_urlsafe(32)}"
    with writing() as session:
        owner = session.scalar(select(User).where(User.email == normal_email(email), User.disabled_at.is_(None)))
        if owner is None:
            raise UnknownUser(normal_email(email))
        session.add(
            ApiKey(
                public_id=public_id, user_id=owner.id, name=name, key_sha256=_digest(key), created_at=datetime.now(UTC)
            )
        )
    return key


def list_keys(email: str | None = None) -> list[KeyRecord]:
    """Keys of one user or of all, revoked ones too, oldest first. Raises UnknownUser."""
    query = select(ApiKey).order_by(ApiKey.created_at, ApiKey.public_id)
    with reading() as session:
        if email is not None:
            owner = session.scalar(select(User).where(User.email == normal_email(email)))
            if owner is None:
                raise UnknownUser(normal_email(email))
            query = query.where(ApiKey.user_id == owner.id)
        return [_record(key) for key in session.scalars(query)]


def get_key(public_id: str) -> KeyRecord:
    """Also a revoked one. Raises UnknownKey."""
    with reading() as session:
        key = session.get(ApiKey, public_id)
        if key is None:
            raise UnknownKey(public_id)
        return _record(key)


def revoke_key(public_id: str) -> None:
    """End a key and the sockets opened with it, everywhere within 5 s. Repeating it keeps the first time.

    Where the record store is away, open sockets are not told; a warning in the log says so. Raises UnknownKey.
    """
    with writing() as session:
        key = session.get(ApiKey, public_id)
        if key is None:
            raise UnknownKey(public_id)
        key.revoked_at = key.revoked_at or datetime.now(UTC)
    _recent.clear()
    revocations.make_heard(revocations.of_key(public_id))


def public_id_of(key_text: str) -> str:
    """The part of a well-formed key that names it."""
    return key_text.split("_")[1]


def is_active_key(public_id: str) -> bool:
    """Whether there is such a key, and it was not revoked; asks the database. Its user is another question."""
    with reading() as session:
        key = session.get(ApiKey, public_id)
    return key is not None and key.revoked_at is None


def find_by_key(key_text: str) -> Account | None:
    """The active account a key belongs to; None for a wrong or revoked key or a disabled user.

    The answer may be up to 5 s old. ``last_used_at`` follows once a minute, if the database allows.
    """
    if not _FORM.fullmatch(key_text):
        return None
    return _recent.get(key_text, _look_up)


def _look_up(key_text: str) -> Account | None:
    public_id = public_id_of(key_text)
    with reading() as session:
        key = session.get(ApiKey, public_id)
    kept = key.key_sha256 if key else _digest("")
    if not hmac.compare_digest(_digest(key_text), kept) or key is None:
        return None
    if key.revoked_at is not None or key.user.disabled_at is not None:
        return None
    _note_use(public_id, key.last_used_at)
    return key.user.account()


def _note_use(public_id: str, last_used_at: datetime | None) -> None:
    now = datetime.now(UTC)
    if last_used_at is not None and now - last_used_at < LAST_USED_STEP:
        return
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= now - LAST_USED_STEP)
    try:
        with writing() as session:
            session.execute(update(ApiKey).where(ApiKey.public_id == public_id, stale).values(last_used_at=now))
    except DatabaseUnavailable:
        return  # a key is no worse for it; the next look-up tries again


def _record(key: ApiKey) -> KeyRecord:
    return KeyRecord(key.public_id, key.user.email, key.name, key.created_at, key.last_used_at, key.revoked_at)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
