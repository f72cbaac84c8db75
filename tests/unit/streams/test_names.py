"""Channels are read as they are written."""

from __future__ import annotations

import pytest

from platform.streams.names import BadChannel, View, channels_of, other_stream, stream_of, view_of
from tests.changes import change

VIEWS = {
    "app:shop:model:task": View("shop", "task"),
    "app:shop:model:task:d1": View("shop", "task", "d1"),
    "app:shop:user:ann:model:task": View("shop", "task", "", "ann"),
    "app:shop:user:ann:model:task:d1": View("shop", "task", "d1", "ann"),
}


@pytest.mark.parametrize(("channel", "view"), VIEWS.items())
def test_a_channel_and_its_view_say_the_same(channel: str, view: View) -> None:
    assert view_of(channel) == view
    assert view.channel == channel
    assert view.stream == "shop:task"


def test_a_change_is_told_on_four_channels_the_widest_first() -> None:
    assert sorted(channels_of(change(1))) == sorted(VIEWS)
    assert channels_of(change(1))[0] == "app:shop:model:task"


def test_a_document_of_nobody_is_told_on_two_channels() -> None:
    assert channels_of(change(1, user="")) == ["app:shop:model:task", "app:shop:model:task:d1"]


@pytest.mark.parametrize(
    "channel",
    [
        *("", "task", "app:shop", "app:shop:model", "app:shop:model:", "app::model:task", "app:shop:room:lobby"),
        *("app:shop:user::model:task", "app:shop:model:task:d1:more", "APP:shop:model:task"),
    ],
)
def test_another_text_is_no_channel(channel: str) -> None:
    with pytest.raises(BadChannel, match="is no channel; write app:<appId>:model:<type>"):
        view_of(channel)


@pytest.mark.parametrize(("view", "shown"), [("", True), ("d1", True), ("d2", False)])
def test_a_view_shows_its_documents(view: str, shown: bool) -> None:
    assert View("shop", "task", view).shows("ann", "d1") is shown
    assert View("shop", "task", view, "bob").shows("ann", "d1") is False


def test_no_stream_of_documents_has_the_name_of_another_one() -> None:
    assert other_stream("job", "a") != stream_of("job", "a")
