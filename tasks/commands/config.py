"""``celery -A platform config``: the effective settings, a check of them, a template; the database's schema."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from tasks.commands.output import json_option, print_json, print_table, reporting_errors

MASK = "**"


@click.group()
def config() -> None:
    """Show, check and generate settings; migrate the database."""


@config.command()
@json_option("Print a JSON list.")
@reporting_errors()
def show(as_json: bool) -> None:
    """The effective settings and where each comes from; secrets are masked."""
    from platform.settings import load

    loaded = load()
    rows = [
        {"key": f"PLATFORM_{name.upper()}", "value": _shown(name, value), "origin": loaded.origins[name]}
        for name, value in loaded.settings
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(["Key", "Value", "Origin"], [[row["key"], _text(row["value"]), row["origin"]] for row in rows])


@config.command()
@json_option("Print a JSON object, as `GET /ready` answers.")
@reporting_errors()
def check(as_json: bool) -> None:
    """Check the settings, and that broker, record store and database answer; exit 1 if one does not."""
    from platform import endpoints, health
    from platform.celery import app
    from platform.settings import settings

    app.load_everything()
    endpoints.ensure_embedded(settings())
    checks = {"settings": "ok", "modules": "ok"} | health.readiness()
    if as_json:
        print_json(health.ready(checks))
    else:
        print_table(["Check", "Answer"], list(checks.items()))
    if not health.is_ready(checks):
        raise click.exceptions.Exit(1)


@config.command()
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@json_option("Print a JSON list of what was, or would be, done.")
@reporting_errors()
def migrate(dry_run: bool, as_json: bool) -> None:
    """Bring the database's schema to what this release and your modules need.

    Programs of the release before may go on meanwhile. `up` does this by itself; elsewhere run it before the new
    release starts.
    """
    from platform import schema
    from platform.celery import app

    app.load_everything()
    found = schema.pending() if dry_run else schema.migrate()
    if as_json:
        print_json([asdict(part) for part in found])
        return
    if not found:
        click.echo("the schema is up to date")
        return
    click.echo("this would be done:" if dry_run else "done:")
    print_table(["Kind", "Name", "What"], [[part.kind, part.name, part.what] for part in found])


@config.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to this file instead of the terminal.")
@reporting_errors()
def generate(output: Path | None) -> None:
    """A TOML file with every setting, its meaning and default; name it in PLATFORM_CONFIG."""
    text = _template()
    if output is None:
        click.echo(text, nl=False)
        return
    if output.exists():
        click.echo(f"Error: {output} exists; choose another name or remove it", err=True)
        raise click.exceptions.Exit(1)
    output.touch(mode=0o600)
    output.write_text(text)
    click.echo(f"wrote {output}; start with PLATFORM_CONFIG={output}")


def _template() -> str:
    import secrets

    from platform.settings import Settings

    lines = ["# Uncomment what you change. The environment (PLATFORM_…) wins over this file.", ""]
    for name, field in Settings.model_fields.items():
        default = _toml(field.default)
        if name == "secret_keys":
            default = f'["{secrets.token_urlsafe(32)}"]  # made for you just now'
        lines += [f"# {field.description}", f"# {name} = {default}", ""]
    return "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, tuple):
        return "[]"
    return '""' if value is None else f'"{value}"'


def _shown(name: str, value: Any) -> Any:
    """The value as it may be shown: a secret's mask, a URL without its password, else itself."""
    from platform.settings import Settings, is_secret

    if value in (None, ()):
        return None if value is None else []
    if name.endswith("_url"):
        return _without_password(value)
    if is_secret(name, Settings.model_fields[name]):
        return MASK
    if isinstance(value, tuple):
        return [str(part) for part in value]
    return value if isinstance(value, bool | int | float) else str(value)


def _without_password(url: str) -> str:
    import re

    return re.sub(r"(://[^:@/]*:)[^@]*@", rf"\1{MASK}@", url)


def _text(value: Any) -> Any:
    return ", ".join(value) or None if isinstance(value, list) else value
