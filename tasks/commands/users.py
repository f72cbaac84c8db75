"""``celery -A platform users``: who may sign in, and as what."""

from __future__ import annotations

import sys

import click

from tasks.commands.output import print_json, print_table, reporting_errors

ROLES = ("user", "operator", "admin")


@click.group()
def users() -> None:
    """Add, list and disable the users of the API and the console."""


@users.command()
@click.argument("email")
@click.option("--role", type=click.Choice(ROLES), default="user", show_default=True, help="Includes the lesser ones.")
@click.option("--app-id", help="The user's tenant.  [default: PLATFORM_APP_ID]")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
@reporting_errors()
def add(email: str, role: str, app_id: str | None, password_stdin: bool) -> None:
    """Add a user; asks for a password twice unless --password-stdin is given."""
    password = _read_password() if password_stdin else _ask_password()
    from platform.accounts import add_user

    account = add_user(email, role, password, app_id)
    click.echo(f"added {account.email} as {account.role} of {account.app_id}")


@users.command("ls")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@reporting_errors()
def list_(as_json: bool) -> None:
    """List the users, disabled ones too."""
    from platform.accounts import list_users

    found = [
        {
            "id": user.account.id,
            "email": user.account.email,
            "role": user.account.role,
            "app_id": user.account.app_id,
            "created_at": user.created_at,
            "disabled_at": user.disabled_at,
        }
        for user in list_users()
    ]
    if as_json:
        print_json(found)
    else:
        print_table(["ID", "E-mail", "Role", "App", "Created", "Disabled"], [list(user.values()) for user in found])


@users.command()
@click.argument("email")
@reporting_errors()
def disable(email: str) -> None:
    """End a user's sign-ins, sessions and API keys within 5 s."""
    from platform.accounts import disable_user

    account = disable_user(email)
    click.echo(f"disabled {account.email}")


def _read_password() -> str:
    return sys.stdin.readline().rstrip("\r\n")


def _ask_password() -> str:
    if not _on_a_terminal():
        raise click.UsageError("there is no terminal to ask for a password on; pipe one in and give --password-stdin")
    return click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)


def _on_a_terminal() -> bool:
    return sys.stdin.isatty()
