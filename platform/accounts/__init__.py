"""Who may use the platform: users with a role and a tenant, and their API keys, in the SQL database.

Importing it brings in SQLAlchemy (about half a second); command modules do so inside their functions.
"""

from platform.accounts.account import (
    ROLES,
    Account,
    InvalidAccount,
    UnknownKey,
    UnknownUser,
    UserExists,
    WeakPassword,
    roles_within,
)
from platform.accounts.keys import (
    KeyRecord,
    add_key,
    find_by_key,
    get_key,
    is_active_key,
    list_keys,
    public_id_of,
    revoke_key,
)
from platform.accounts.recent import RecentAnswers
from platform.accounts.users import (
    UserRecord,
    add_user,
    disable_user,
    find_account,
    get_user,
    list_users,
    verify_password,
)

__all__ = [
    "ROLES",
    "Account",
    "InvalidAccount",
    "KeyRecord",
    "RecentAnswers",
    "UnknownKey",
    "UnknownUser",
    "UserExists",
    "UserRecord",
    "WeakPassword",
    "add_key",
    "add_user",
    "disable_user",
    "find_account",
    "find_by_key",
    "get_key",
    "get_user",
    "is_active_key",
    "list_keys",
    "list_users",
    "public_id_of",
    "revoke_key",
    "roles_within",
    "verify_password",
]
