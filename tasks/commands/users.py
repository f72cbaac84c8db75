"""``celery -A platform users``: who may sign in, and as what."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from tasks.commands.output import json_option, print_json, print_table, reporting_errors

if TYPE_CHECKING:
    from platform.accounts import UserRecord

ROLES = ("user", "operator", "admin")


@click.group()
def users() -> None:
    """Add, list and disable the users of the API and the console."""


@users.command()
@click.argument("email")
@click.option("--role", type=click.Choice(ROLES), default="user", show_default=True, help="Includes the lesser ones.")
@click.option("--app-id", help="The user's tenant.  [default: PLATFORM_APP_ID]")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
@json_option("Print the user as JSON.")
@reporting_errors()
def add(email: str, role: str, app_id: str | None, password_stdin: bool, as_json: bool) -> None:
    """Add a user; asks for a password twice unless --password-stdin is given."""
    password = _read_password() if password_stdin else _ask_password()
    from platform.accounts import add_user, get_user

    account = add_user(email, role, password, app_id)
    if as_json:
        print_json(_fields(get_user(account.email)))
    else:
        click.echo(f"added {account.email} as {account.role} of {account.app_id}")


@users.command("ls")
@json_option("Print a JSON list.")
@reporting_errors()
def list_(as_json: bool) -> None:
    """List the users, disabled ones too."""
    from platform.accounts import list_users

    found = [_fields(user) for user in list_users()]
    if as_json:
        print_json(found)
    else:
        print_table(["ID", "E-mail", "Role", "App", "Created", "Disabled"], [list(user.values()) for user in found])


@users.command()
@click.argument("email")
@json_option("Print the user as JSON.")
@reporting_errors()
def disable(email: str, as_json: bool) -> None:
    """End a user's sign-ins, sessions and API keys within 5 s."""
    from platform.accounts import disable_user, get_user

    account = disable_user(email)
    if as_json:
        print_json(_fields(get_user(account.email)))
    else:
        click.echo(f"disabled {account.email}")


def _fields(user: UserRecord) -> dict[str, Any]:
    account = user.account
    return {
        "id": account.id,
        "email": account.email,
        "role": account.role,
        "app_id": account.app_id,
        "created_at": user.created_at,
        "disabled_at": user.disabled_at,
    }


def _read_password() -> str:
    return sys.stdin.readline().rstrip("\r\n")


def _ask_password() -> str:
    if not _on_a_terminal():
        raise click.UsageError("there is no terminal to ask for a password on; pipe one in and give --password-stdin")
    return click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)


def _on_a_terminal() -> bool:
    return sys.stdin.isatty()
