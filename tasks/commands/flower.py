"""``celery -A platform flower``: Flower's own command, signed-in visitors only.

Flower leaves its pages open unless told otherwise. Its click command is changed in place, so that it is this
one whichever entry point Celery happens to load last. Options of Flower's command line and environment still win.
"""

from __future__ import annotations

import errno
from typing import Any

import click
from flower.command import flower

_run = flower.callback


@click.pass_context
def _with_authentication(ctx: click.Context, *args: Any, **kwargs: Any) -> Any:
    _configure()
    try:
        return ctx.invoke(_run, *args, **kwargs)
    except OSError as exc:
        if exc.errno != errno.EADDRINUSE:
            raise
        raise click.ClickException("Flower's port is taken; set PLATFORM_FLOWER_PORT to a free one") from exc


def _configure() -> None:
    """Set Flower's defaults from the settings; they are read before its command line and environment are."""
    from flower.app import Flower
    from flower.views.monitor import Metrics
    from tornado.options import options
    from tornado.web import authenticated

    from platform import credentials, endpoints, transport
    from platform.settings import settings

    config = settings()
    endpoints.ensure_embedded(config)
    options.basic_auth = [f"{config.flower_user}:{credentials.flower_password(config)}"]
    options.address = config.http_host
    options.port = config.flower_port
    # Open in Flower whatever its options; it names tasks and workers. The platform's own /metrics is for Prometheus.
    Metrics.get = authenticated(Metrics.get)
    # Flower reads queue lengths itself and knows kombu's own URL schemes only.
    Flower.broker_uri_with_password = transport.stock_url(endpoints.broker_url(config))


flower.callback = _with_authentication
