"""What was made with an API key ends when the key is revoked."""

from __future__ import annotations

from collections.abc import Callable

import httpx2

from tests.integration.conftest import Shop
from tests.waiting import eventually


def test_what_was_made_with_a_key_ends_with_it(new_caller: Callable[..., httpx2.Client], shop: Shop) -> None:
    caller = new_caller()
    access = caller.post("/session").json()["access_token"]
    token = caller.post("/session/tokens").json()["token"]
    as_holder = {"Authorization": f"Bearer {access}"}
    assert caller.get("/session", headers=as_holder).status_code == 200
    assert shop.celery("keys", "revoke", caller.headers["Authorization"].split("_")[1]).returncode == 0

    def is_over() -> bool:
        refused = caller.get("/session", headers=as_holder)
        return refused.status_code == 401 and "API key that is revoked" in refused.json()["detail"]

    eventually(is_over, 8)
    by_token = httpx2.get(f"{caller.base_url}/events", params={"model": "task", "token": token}, trust_env=False)
    assert by_token.status_code == 401
