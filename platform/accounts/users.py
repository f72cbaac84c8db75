"""Users: added, listed, disabled, found by id, and recognised by password."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError

from platform.accounts import passwords, revocations
from platform.accounts.account import (
    Account,
    InvalidAccount,
    UnknownUser,
    UserExists,
    checked_app_id,
    checked_role,
    normal_email,
)
from platform.accounts.tables import User
from platform.database import reading, writing
from platform.settings import settings


@dataclass(frozen=True)
class UserRecord:
    """A user as operators see it; times in UTC."""

    account: Account
    created_at: datetime
    disabled_at: datetime | None


def add_user(email: str, role: str, password: str, app_id: str | None = None) -> Account:
    """Add a user; without ``app_id`` to the tenant in the settings.

    Raises UserExists, WeakPassword, InvalidAccount.
    """
    user = User(
        id=str(uuid4()),
        email=normal_email(email),
        role=checked_role(role),
        app_id=checked_app_id(settings().app_id if app_id is None else app_id),
        password_hash=passwords.hash_password(password),
        created_at=datetime.now(UTC),
    )
    try:
        with writing() as session:
            session.add(user)
    except IntegrityError as exc:
        raise UserExists(user.email) from exc
    return user.account()


def list_users() -> list[UserRecord]:
    """All users, disabled ones too, by e-mail address."""
    with reading() as session:
        users = session.scalars(select(User).order_by(User.email))
        return [_record(user) for user in users]


def get_user(email: str) -> UserRecord:
    """Also a disabled one. Raises UnknownUser."""
    with reading() as session:
        user = session.scalar(_by_email(normal_email(email)))
        if user is None:
            raise UnknownUser(normal_email(email))
        return _record(user)


def disable_user(email: str) -> Account:
    """End a user's keys, sessions, tokens and open sockets, everywhere within 5 s. Repeating it keeps the first time.

    Where the record store is away, open sockets are not told; a warning in the log says so. Raises UnknownUser.
    """
    with writing() as session:
        user = session.scalar(_by_email(normal_email(email)))
        if user is None:
            raise UnknownUser(normal_email(email))
        user.disabled_at = user.disabled_at or datetime.now(UTC)
        account = user.account()
    revocations.make_heard(revocations.of_user(account.id))
    return account


def find_account(account_id: str) -> Account | None:
    """The account with that id; None if there is none or it is disabled."""
    with reading() as session:
        user = session.get(User, account_id)
        return user.account() if user and user.disabled_at is None else None


def verify_password(email: str, password: str) -> Account | None:
    """The account, if it is active and the password is its own.

    Takes the same time for an unknown address, so that nobody learns from it which ones exist. A hash
    made with older parameters is replaced on the way.
    """
    user = _find_user(email)
    if not passwords.matches(password, user.password_hash if user else None):
        return None
    if user is None or user.disabled_at is not None:
        return None
    if passwords.is_outdated(user.password_hash):
        _replace_hash(user, passwords.hash_password(password))
    return user.account()


def _find_user(email: str) -> User | None:
    try:
        normal = normal_email(email)
    except InvalidAccount:
        return None
    with reading() as session:
        return session.scalar(_by_email(normal))


def _replace_hash(user: User, password_hash: str) -> None:
    with writing() as session:
        kept = session.get(User, user.id)
        if kept is not None and kept.password_hash == user.password_hash:  # nobody changed the password meanwhile
            kept.password_hash = password_hash


def _record(user: User) -> UserRecord:
    return UserRecord(user.account(), user.created_at, user.disabled_at)


def _by_email(normal: str) -> Select[User]:
    return select(User).where(User.email == normal)
