"""What is taken back ends the sockets that stand on it, within five seconds, and no others."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

import httpx2
import pytest

from platform.accounts import revocations
from tests.integration.conftest import Shop
from tests.integration.sockets.conftest import Client, Connect, Inside, account_of, token_of
from tests.processes import Web

IN_TIME_S = 5.0

Users = Callable[[], httpx2.Client]


@pytest.fixture
def bob(new_caller: Users) -> httpx2.Client:
    return new_caller()


def key_of(caller: httpx2.Client) -> str:
    return caller.headers["Authorization"].removeprefix("Bearer ")


def another_key(shop: Shop, caller: httpx2.Client) -> str:
    with shop.as_own_settings():
        from platform.accounts import add_key

        return add_key(account_of(caller)["email"])


def public_id(key: str) -> str:
    return key.split("_")[1]


def are_closed(*clients: Client) -> bool:
    """Each of them, with 4401, in time from now on."""
    until = time.monotonic() + IN_TIME_S
    return [client.closed(max(0.01, until - time.monotonic())).code for client in clients] == [4401] * len(clients)


def are_up(*clients: Client) -> bool:
    return all(client.ask(type="ping") == {"type": "pong"} for client in clients)


@pytest.fixture
def connected(open_socket: Connect, shop_web: Web) -> Callable[[str], Client]:
    def connect(credential: str) -> Client:
        client = open_socket(shop_web, credential)
        assert client.answer()["type"] == "connected"
        return client

    return connect


def test_revoking_a_key_ends_its_sockets_and_not_those_of_another(
    shop: Shop, ann: httpx2.Client, bob: httpx2.Client, connected: Callable[[str], Client]
) -> None:
    lost, kept = key_of(ann), another_key(shop, ann)
    concerned = [connected(lost), connected(lost), connected(token_of(ann))]  # the token was made with it
    others = [connected(kept), connected(key_of(bob)), connected(token_of(bob))]
    revoked = shop.celery("keys", "revoke", public_id(lost))
    assert revoked.returncode == 0, revoked.stderr
    assert are_closed(*concerned)
    assert are_up(*others)


def test_disabling_a_user_ends_all_of_its_sockets_and_nobody_elses(
    shop: Shop, ann: httpx2.Client, bob: httpx2.Client, connected: Callable[[str], Client]
) -> None:
    access = ann.post("/session").json()["access_token"]
    credentials = [key_of(ann), access, token_of(ann), token_of(ann, device_id="phone")]
    concerned = [connected(credential) for credential in credentials]
    others = [connected(key_of(bob)), connected(token_of(bob, device_id="phone"))]
    disabled = shop.celery("users", "disable", account_of(ann)["email"])
    assert disabled.returncode == 0, disabled.stderr
    assert are_closed(*concerned)
    assert are_up(*others)


def test_revoking_a_device_ends_its_sockets_and_it_may_come_back_with_a_new_token(
    ann: httpx2.Client, bob: httpx2.Client, connected: Callable[[str], Client]
) -> None:
    old = token_of(ann, device_id="phone")
    concerned = [connected(old), connected(old)]
    others = [
        connected(token_of(ann, device_id="tablet")),
        connected(token_of(ann)),
        connected(key_of(ann)),
        connected(token_of(bob, device_id="phone")),
    ]
    assert ann.delete("/session/devices/phone").status_code == 204
    back = connected(token_of(ann, device_id="phone"))
    assert are_closed(*concerned)
    assert are_up(back, *others)
    # What is revoked next has been heard of when its socket is closed: the first is not heard of again.
    assert ann.delete("/session/devices/tablet").status_code == 204
    assert are_closed(others[0])
    assert are_up(back, *others[1:])


def test_who_comes_back_at_once_with_what_was_revoked_is_not_let_in_by_an_old_answer(
    shop: Shop, ann: httpx2.Client, connected: Callable[[str], Client], open_socket: Connect, shop_web: Web
) -> None:
    """What was found good is not looked up again for five seconds; the sockets are closed after two at most."""
    credentials = [another_key(shop, ann), token_of(ann), token_of(ann, device_id="phone")]
    user = account_of(ann)
    clients = [connected(credential) for credential in credentials]
    with shop.as_own_settings():
        from platform.accounts import disable_user

        assert ann.delete("/session/devices/phone").status_code == 204
        disable_user(user["email"])
    assert are_closed(*clients)
    assert are_closed(*(open_socket(shop_web, credential) for credential in credentials))


def test_who_revokes_a_thousand_devices_makes_nobody_else_wait(
    shop: Shop, ann: httpx2.Client, bob: httpx2.Client, connected: Callable[[str], Client], inside: Inside
) -> None:
    mallory, phone = account_of(bob)["id"], connected(token_of(ann, device_id="phone"))
    seconds, microseconds = inside.client.time()
    now_ms = seconds * 1000 + microseconds // 1000
    # As so many DELETE /session/devices/{id} within the last moment leave them.
    many = {revocations.of_device(mallory, f"d{number}"): now_ms - 5_000 + number for number in range(5_000)}
    inside.client.zadd("{platform}:revocations", many)
    assert ann.delete("/session/devices/phone").status_code == 204
    assert are_closed(phone)


def test_a_newer_token_is_what_counts_from_then_on(
    shop: Shop, ann: httpx2.Client, connected: Callable[[str], Client]
) -> None:
    lost = another_key(shop, ann)
    with httpx2.Client(base_url=ann.base_url, headers={"Authorization": f"Bearer {lost}"}, trust_env=False) as caller:
        moved, stays = (connected(token_of(caller, device_id="phone")) for _ in range(2))
    assert moved.ask(type="refresh", token=token_of(ann, device_id="phone"))["type"] == "refreshed"
    revoked = shop.celery("keys", "revoke", public_id(lost))
    assert revoked.returncode == 0, revoked.stderr
    assert are_closed(stays)
    assert are_up(moved)
    ann.delete("/session/devices/phone")
    assert are_closed(moved)


@pytest.mark.parametrize("other", [{"device_id": "tablet"}, {}], ids=["another device", "no device"])
def test_a_token_of_another_device_is_no_newer_one_and_the_first_device_can_be_revoked(
    ann: httpx2.Client, connected: Callable[[str], Client], other: dict[str, str]
) -> None:
    phone = connected(token_of(ann, device_id="phone"))
    answer = phone.ask(type="refresh", ref=1, token=token_of(ann, **other))
    assert (answer["type"], answer["ref"], answer["code"]) == ("error", 1, "forbidden")
    assert ann.delete("/session/devices/phone").status_code == 204
    assert are_closed(phone)


def test_readers_of_events_are_ended_as_well(ann: httpx2.Client, bob: httpx2.Client, shop_web: Web) -> None:
    with ExitStack() as held:
        begun = []
        for caller in (ann, bob):
            params = {"room": "lobby", "token": token_of(caller, device_id="phone")}
            answer = held.enter_context(
                httpx2.stream("GET", f"{shop_web.url}/events", params=params, timeout=20, trust_env=False)
            )
            lines = answer.iter_lines()
            while not next(lines).startswith("data:"):
                continue
            begun.append(lines)
        assert ann.delete("/session/devices/phone").status_code == 204
        began = time.monotonic()
        assert [line for line in begun[0] if line] == []
        assert time.monotonic() - began < IN_TIME_S
        bob.post("/session")
