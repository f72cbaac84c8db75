"""What an account is, what a valid one looks like, and what can be wrong about one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from platform.errors import PlatformError, did_you_mean

ROLES = ("user", "operator", "admin")  # each includes those before it
MAX_EMAIL_CHARS = 254  # RFC 5321 §4.5.3.1.3, less the angle brackets
_APP_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True)
class Account:
    """Somebody who may ask for something, and in whose name."""

    id: str
    email: str
    role: str
    app_id: str

    @property
    def roles(self) -> list[str]:
        """Every role this one includes, least first."""
        return roles_within(self.role)

    def has_role(self, role: str) -> bool:
        return role in self.roles


class InvalidAccount(PlatformError):
    """An e-mail address, role or app id breaks its rule."""

    def __init__(self, field: str, rule: str):
        super().__init__(field, rule)
        self.field = field
        self.rule = rule

    def __str__(self) -> str:
        return f"the {self.field} {self.rule}"


class UserExists(PlatformError):
    """The e-mail address, compared without case, is taken; also by a disabled user."""

    def __init__(self, email: str):
        super().__init__(email)
        self.email = email

    def __str__(self) -> str:
        return f"there is a user {self.email} already; use another address, or see them with `users ls`"


class UnknownUser(PlatformError):
    """No user has that e-mail address, or the user is disabled where an active one is needed."""

    def __init__(self, email: str):
        super().__init__(email)
        self.email = email

    def __str__(self) -> str:
        return f"there is no active user {self.email}; see `users ls`, or add one with `users add {self.email}`"


class UnknownKey(PlatformError):
    """No API key has that public id."""

    def __init__(self, public_id: str):
        super().__init__(public_id)
        self.public_id = public_id

    def __str__(self) -> str:
        return f"there is no API key {self.public_id!r}; `keys ls` shows the public ids"


class WeakPassword(PlatformError):
    """The password's length is outside its bounds."""

    def __init__(self, min_chars: int, max_chars: int):
        super().__init__(min_chars, max_chars)
        self.min_chars = min_chars
        self.max_chars = max_chars

    def __str__(self) -> str:
        return f"a password needs {self.min_chars} to {self.max_chars} characters; choose another one"


def roles_within(role: str) -> list[str]:
    """The role and those it includes, least first; an unknown role includes nothing."""
    return list(ROLES[: ROLES.index(role) + 1]) if role in ROLES else []


def normal_email(email: str) -> str:
    """The form addresses are kept and compared in. Raises InvalidAccount."""
    normal = email.strip().lower()
    name, at, host = normal.rpartition("@")
    if not (name and at and host) or " " in normal or not normal.isprintable() or len(normal) > MAX_EMAIL_CHARS:
        raise InvalidAccount("e-mail address", f"needs the form name@host, at most {MAX_EMAIL_CHARS} characters")
    return normal


def checked_role(role: str) -> str:
    if role not in ROLES:
        raise InvalidAccount("role", f"must be one of {', '.join(ROLES)}{did_you_mean(role, ROLES)}")
    return role


def checked_app_id(app_id: str) -> str:
    if not _APP_ID.fullmatch(app_id):
        raise InvalidAccount("app id", "may hold 1 to 64 letters, digits, dots, dashes and underscores")
    return app_id
