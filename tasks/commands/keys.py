"""``celery -A platform keys``: the API keys of users."""

from __future__ import annotations

from dataclasses import asdict

import click

from tasks.commands.output import json_option, print_json, print_table, reporting_errors


@click.group()
def keys() -> None:
    """Add, list and revoke API keys."""


@keys.command()
@click.argument("email")
@click.option("--name", help="What the key is for, shown in lists.")
@click.option("--quiet", is_flag=True, help="Print the key and nothing else.")
@json_option("Print the key's record as JSON, and the key in it.")
@reporting_errors()
def add(email: str, name: str | None, quiet: bool, as_json: bool) -> None:
    """Make an API key for a user and print it, this once."""
    from platform.accounts import add_key, get_key, public_id_of

    key = add_key(email, name)
    if as_json:
        print_json(asdict(get_key(public_id_of(key))) | {"key": key})
        return
    if not quiet:
        click.echo("Keep this key now; it cannot be shown again:", err=True)
    click.echo(key)


@keys.command("ls")
@click.argument("email", required=False)
@json_option("Print a JSON list.")
@reporting_errors()
def list_(email: str | None, as_json: bool) -> None:
    """List the keys of one user, or of all; revoked ones too."""
    from platform.accounts import list_keys

    found = [asdict(key) for key in list_keys(email)]
    if as_json:
        print_json(found)
    else:
        columns = ["Public id", "E-mail", "Name", "Created", "Last used", "Revoked"]
        print_table(columns, [list(key.values()) for key in found])


@keys.command()
@click.argument("public_id")
@json_option("Print the key's record as JSON.")
@reporting_errors()
def revoke(public_id: str, as_json: bool) -> None:
    """End an API key within 5 s; PUBLIC_ID is its middle part."""
    from platform.accounts import get_key, revoke_key

    revoke_key(public_id)
    if as_json:
        print_json(asdict(get_key(public_id)))
    else:
        click.echo(f"revoked {public_id}")
