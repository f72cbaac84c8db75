from __future__ import annotations

import pickle

import pytest

from web.client import (
    AppError,
    CallFailed,
    CallPending,
    OutOfStep,
    Refused,
    SocketClosed,
    SocketTimeout,
    Unsubscribed,
)

EVERY_ERROR = [
    SocketClosed(4403, "not from there"),
    SocketClosed(1000),
    SocketClosed(4999),
    SocketTimeout("nothing came"),
    Unsubscribed("not followed"),
    OutOfStep("read again"),
    Refused("bad_filter", "there is no $no"),
    CallFailed("call_failed", "it raised", "j-1"),
    CallPending("call_pending", "it goes on", "j-1"),
]


@pytest.mark.parametrize("error", EVERY_ERROR, ids=repr)
def test_every_error_survives_pickling_whole(error: AppError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.args, vars(copy), str(copy)) == (type(error), error.args, vars(error), str(error))
    assert isinstance(error, AppError)


def test_a_closed_socket_says_what_its_code_means() -> None:
    assert str(EVERY_ERROR[0]) == (
        "the socket is closed: the origin, or what the token allows, forbids it (4403, not from there)"
    )
    assert str(EVERY_ERROR[2]) == "the socket is closed: the server ended it (4999)"


def test_a_refusal_names_its_code() -> None:
    assert str(Refused("bad_filter", "there is no $no")) == "there is no $no (bad_filter)"


def test_a_timeout_is_one_to_everybody() -> None:
    assert isinstance(SocketTimeout("nothing came"), TimeoutError)
