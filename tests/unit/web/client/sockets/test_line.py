from __future__ import annotations

import pytest

from web.client.sockets.line import Line


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/ws"),
        ("https://platform.example/here/", "wss://platform.example/here/ws"),
    ],
)
def test_it_leads_to_the_platforms_socket(base_url: str, url: str) -> None:
    assert Line(base_url, 5).url == url


def test_this_machines_own_addresses_are_reached_without_a_proxy() -> None:
    assert Line("http://127.0.0.1:8000", 5).settings("t")["proxy"] is None
    assert Line("https://platform.example", 5).settings("t")["proxy"] is True


def test_the_token_is_in_no_address() -> None:
    line = Line("http://127.0.0.1:8000", 5)
    assert "t-secret" not in line.url
    assert line.settings("t-secret")["additional_headers"] == {"Authorization": "Bearer t-secret"}


@pytest.mark.parametrize("address", ["", "ws://127.0.0.1:8000", "127.0.0.1"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="is not an address like"):
        Line(address, 5)
