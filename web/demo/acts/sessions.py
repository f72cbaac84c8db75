"""A person signs in with e-mail and password, and makes a token for sockets."""

from __future__ import annotations

import time

from web.client import AuthenticationError, Client
from web.demo.act import Outcome, Stage
from web.demo.failure import DemoFailed

TITLE = "Sessions"


def play(stage: Stage) -> Outcome:
    began = time.monotonic()
    with Client(stage.access.url) as client:
        refused = _refused(client, stage.access.email)
        session = client.sign_in(stage.access.email, stage.access.password)
        me = client.session()
        token = client.socket_token(device_id="demo", ttl_s=60)
    if me.user != session.user:
        raise DemoFailed(f"{session.user.email} signed in and is taken for {me.user.email}")
    until = f"{session.expires_at:%H:%M} UTC" if session.expires_at else "for ever"
    return Outcome(
        headline=f"signed in as {me.user.email} ({me.roles[-1]}) until {until}",
        count=4,
        took_s=time.monotonic() - began,
        notes=[
            f"a wrong password: 401, {refused}",
            f"POST /session/tokens: a token for sockets that ends at {token.expires_at:%H:%M:%S} UTC",
        ],
    )


def _refused(client: Client, email: str) -> str:
    try:
        client.sign_in(email, "not the password")
    except AuthenticationError as exc:
        return str(exc)
    raise DemoFailed("a wrong password was accepted")
