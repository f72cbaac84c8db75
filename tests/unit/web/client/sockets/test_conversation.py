"""The protocol, frame by frame."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.web.client.sockets.conftest import CONNECTED, TASKS, created, message, subscribed
from web.client import Ended, Gap, Message, Position, Refused, ServerUnreachable, SocketClosed, Unsubscribed
from web.client.sockets.conversation import Conversation
from web.client.sockets.following import Following
from web.client.sockets.interest import Interest
from web.client.sockets.loss import Hangup
from web.client.sockets.position import Since

LOBBY = "app:myapp:room:lobby"


class Talk:
    """A conversation, spoken to in dicts."""

    def __init__(self, max_waiting: int = 100) -> None:
        self.core = Conversation(max_waiting)
        self.connect()

    def connect(self) -> None:
        self.hears(CONNECTED)

    def hears(self, *frames: dict[str, Any]) -> None:
        for frame in frames:
            self.core.received(json.dumps(frame))

    def says(self) -> list[dict[str, Any]]:
        """Everything there is to send."""
        return [json.loads(text) for text in iter(self.core.next_frame, None)]

    def events(self, following: Following | None = None) -> list[Any]:
        return list(iter(lambda: self.core.take(following), None))

    def follows(self, since: Since = None, **wanted: Any) -> Following:
        return self.core.subscribe(Interest(**(wanted or {"model": "task"})), since)

    def following(self, channel: str = TASKS, **wanted: Any) -> Following:
        """One that the server has answered, at offset 10."""
        found = self.follows(**wanted)
        self.says()
        self.hears(subscribed(found.ref, channel))
        return found


@pytest.fixture
def talk() -> Talk:
    return Talk()


# -- before and between connections


def test_nothing_is_said_before_the_server_has_greeted() -> None:
    core = Conversation(10)
    core.subscribe(Interest(model="task"))
    core.ping()
    assert core.next_frame() is None
    assert not core.is_settled


def test_all_that_is_followed_is_resumed_in_one_frame(talk: Talk) -> None:
    talk.following(model="task", filter={"n": 1})
    talk.follows(since=0, room="lobby")
    talk.says()
    talk.hears(created(12))
    talk.core.lost("cut")
    talk.connect()
    assert talk.says() == [
        {
            "type": "resume",
            "ref": 3,
            "subscriptions": [
                {"ref": 1, "channel": {"model": "task"}, "filter": {"n": 1}, "since": {"epoch": "e1", "offset": 12}},
                {"ref": 2, "room": "lobby", "since": 0},
            ],
        }
    ]


def test_it_is_settled_once_all_is_resumed(talk: Talk) -> None:
    following = talk.following()
    assert talk.core.is_settled
    talk.core.lost("cut")
    talk.connect()
    talk.says()
    talk.hears(subscribed(following.ref))
    assert not talk.core.is_settled
    talk.hears({"type": "resumed", "ref": 2, "count": 1})
    assert talk.core.is_settled


def test_the_position_from_before_the_first_event_is_remembered(talk: Talk) -> None:
    talk.following()
    talk.core.lost("cut")
    talk.connect()
    assert talk.says()[0]["subscriptions"][0]["since"] == {"epoch": "e1", "offset": 10}


def test_what_was_not_sent_goes_out_on_the_next_connection_and_once(talk: Talk) -> None:
    talk.core.publish("lobby", 1)
    talk.core.lost("cut")
    talk.connect()
    assert [frame["type"] for frame in talk.says()] == ["publish"]
    assert talk.says() == []


def test_a_subscription_asked_for_but_not_sent_is_not_sent_twice(talk: Talk) -> None:
    talk.follows()
    talk.core.lost("cut")
    talk.connect()
    assert [frame["type"] for frame in talk.says()] == ["resume"]


def test_what_was_sent_fails_with_the_connection(talk: Talk) -> None:
    question = talk.core.call("Chat", "say", {})
    talk.says()
    talk.core.lost("cut")
    assert isinstance(question.error, ServerUnreachable)
    talk.connect()
    assert talk.says() == []


def test_what_nobody_waits_for_any_more_is_not_sent(talk: Talk) -> None:
    talk.core.forget(talk.core.publish("lobby", 1))
    assert talk.says() == []


def test_unsubscribing_needs_no_connection(talk: Talk) -> None:
    following = talk.following()
    talk.core.lost("cut")
    assert talk.core.unsubscribe(following).has_ended
    talk.connect()
    assert talk.says() == []


def test_losing_the_connection_does_as_well_as_unsubscribing(talk: Talk) -> None:
    question = talk.core.unsubscribe(talk.following())
    talk.says()
    talk.core.lost("cut")
    assert (question.answer, question.error) == ({}, None)


# -- events


def test_what_was_seen_is_not_given_again(talk: Talk) -> None:
    talk.following()
    talk.hears(created(9), created(10), created(11), created(11), created(13), created(12))
    assert [event.offset for event in talk.events()] == [11, 13]


def test_offsets_of_one_channel_say_nothing_of_another(talk: Talk) -> None:
    talk.following()
    talk.following(LOBBY, room="lobby")
    talk.hears(created(500), message(11, "hi"))
    assert [event.offset for event in talk.events()] == [500, 11]


def test_within_an_epoch_an_answer_does_not_lead_back(talk: Talk) -> None:
    following = talk.following()
    talk.hears(created(20))
    talk.hears(subscribed(following.ref, offset=15), created(18), created(21))
    assert [event.offset for event in talk.events()] == [20, 21]


def test_in_another_epoch_offsets_begin_anew(talk: Talk) -> None:
    following = talk.following()
    talk.hears(created(20))
    talk.hears(subscribed(following.ref, epoch="e2", offset=3, recovered=False), created(4))
    assert [(event.event, event.offset) for event in talk.events()] == [
        ("model_created", 20),
        ("gap", 3),
        ("model_created", 4),
    ]


def test_a_gap_belongs_to_its_subscription(talk: Talk) -> None:
    tasks = talk.following()
    lobby = talk.follows(since=Position("e0", 1), room="lobby")
    talk.hears(subscribed(lobby.ref, LOBBY, recovered=False))
    assert talk.events(tasks) == []
    assert [type(event) for event in talk.events(lobby)] == [Gap]


def test_a_position_follows_what_was_taken_not_what_was_read(talk: Talk) -> None:
    following = talk.following()
    talk.hears(created(11), created(12))
    assert following.position == Position("e1", 10)
    talk.core.take(following)
    assert following.position == Position("e1", 11)


def test_what_has_no_offset_is_given_as_often_as_it_comes(talk: Talk) -> None:
    following = talk.following(LOBBY, room="lobby")
    talk.hears(message(None, 1), message(None, 1))
    assert [event.data for event in talk.events(following)] == [1, 1]
    assert following.position == Position("e1", 10)


def test_what_this_device_is_told_belongs_to_no_subscription(talk: Talk) -> None:
    talk.hears(message(None, "for you", "app:myapp:device:d-1"))
    assert [type(event) for event in talk.events()] == [Message]


def test_an_event_of_a_newer_server_is_given_as_it_is(talk: Talk) -> None:
    talk.following()
    talk.hears({"event": "model_praised", "channel": TASKS, "offset": 11, "data": {"by": "ann"}, "more": 1})
    [event] = talk.events()
    assert (event.event, event.data) == ("model_praised", {"by": "ann"})


@pytest.mark.parametrize("text", ["no json", "[]", '"x"', b"\xff", '{"event": "message", "channel": 3}'])
def test_what_is_no_frame_ends_it(talk: Talk, text: str | bytes) -> None:
    with pytest.raises(SocketClosed) as caught:
        talk.core.received(text)
    assert caught.value.code == 1007


def test_a_control_frame_of_a_newer_server_is_passed_over(talk: Talk) -> None:
    talk.hears({"type": "weather", "ref": 1})
    assert talk.core.is_settled


# -- one channel, one subscription


def test_a_second_subscription_to_a_channel_takes_the_firsts_place(talk: Talk) -> None:
    first = talk.following()
    talk.hears(created(11))
    second = talk.following(model="task", filter={"n": 1})
    talk.hears(created(12))
    assert [event.offset for event in talk.events(second)] == [12]
    assert talk.core.take(first) is not None
    with pytest.raises(Unsubscribed):
        talk.core.take(first)


def test_ending_the_one_that_was_replaced_leaves_the_other(talk: Talk) -> None:
    first = talk.following()
    second = talk.following(model="task", filter={"n": 1})
    assert talk.core.unsubscribe(first).has_ended
    assert talk.says() == []
    talk.hears(created(11))
    assert len(talk.events(second)) == 1


def test_an_answer_that_comes_after_unsubscribing_changes_nothing(talk: Talk) -> None:
    following = talk.follows()
    question = talk.core.unsubscribe(following)
    assert [frame["type"] for frame in talk.says()] == ["subscribe", "unsubscribe"]
    talk.hears(subscribed(following.ref), created(11), {"type": "unsubscribed", "ref": following.ref, "channel": TASKS})
    assert question.has_ended
    assert talk.events() == []


def test_unsubscribing_what_the_server_does_not_know_is_no_error(talk: Talk) -> None:
    question = talk.core.unsubscribe(talk.following())
    talk.hears({"type": "error", "ref": question.ref, "code": "not_subscribed", "message": "nothing"})
    assert (question.answer, question.error) == ({}, None)


# -- refusals


def test_a_subscription_that_is_refused_is_not_resumed(talk: Talk) -> None:
    following = talk.follows()
    talk.hears({"type": "error", "ref": following.ref, "code": "unknown_model", "message": "there is no task"})
    assert isinstance(following.question.error, Refused)
    talk.core.lost("cut")
    talk.connect()
    assert talk.says() == []


def test_one_that_is_refused_after_a_reconnect_says_so_last(talk: Talk) -> None:
    following = talk.following()
    talk.hears(created(11))
    talk.core.lost("cut")
    talk.connect()
    talk.hears({"type": "error", "ref": following.ref, "code": "forbidden", "message": "not any more"})
    assert [talk.core.take(following) for _ in range(2)][1] == Ended(
        channel=TASKS, code="forbidden", message="not any more"
    )
    with pytest.raises(Unsubscribed):
        talk.core.take(following)


@pytest.mark.parametrize("ref", [1, 2], ids=["subscription", "resume"])
def test_a_store_that_is_away_after_a_reconnect_asks_for_another_one(talk: Talk, ref: int) -> None:
    talk.following()
    talk.core.lost("cut")
    talk.connect()
    with pytest.raises(Hangup, match="the store is away"):
        talk.hears({"type": "error", "ref": ref, "code": "unavailable", "message": "the store is away"})


@pytest.mark.parametrize("what", ["a question", "a subscription"])
def test_an_error_that_names_no_frame_is_about_the_only_one(talk: Talk, what: str) -> None:
    question = talk.core.ping() if what == "a question" else talk.follows().question
    talk.says()
    talk.hears({"type": "error", "code": "too_many", "message": "this one was not heard"})
    assert isinstance(question.error, Refused)


def test_among_several_it_is_about_none(talk: Talk) -> None:
    questions = [talk.core.ping(), talk.core.ping()]
    talk.says()
    talk.hears({"type": "error", "code": "too_many", "message": "this one was not heard"})
    assert not any(question.has_ended for question in questions)


def test_an_error_about_nothing_in_particular_is_logged(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    talk.hears({"type": "error", "code": "too_many", "message": "this one was not heard"})
    assert "this one was not heard" in caplog.text


# -- too much waits


def test_reading_stops_when_too_much_waits_and_goes_on_after_some_was_taken() -> None:
    talk = Talk(max_waiting=2)
    talk.following()
    talk.hears(created(11))
    assert talk.core.wants_to_read
    talk.hears(created(12))
    assert not talk.core.wants_to_read
    talk.core.take()
    assert talk.core.wants_to_read


def test_reading_does_not_stop_while_an_answer_is_waited_for() -> None:
    talk = Talk(max_waiting=1)
    talk.following()
    talk.hears(created(11))
    question = talk.core.ping()
    assert talk.core.wants_to_read
    talk.hears({"type": "pong", "ref": question.ref})
    assert not talk.core.wants_to_read
    talk.follows(room="lobby")
    assert talk.core.wants_to_read


# -- the end


def test_the_first_reason_stays_and_all_that_waits_is_told(talk: Talk) -> None:
    question, following = talk.core.ping(), talk.follows()
    talk.core.end(SocketClosed(4403))
    talk.core.end(SocketClosed(1000))
    assert [one.error.args[0] for one in (question, following.question) if one.error] == [4403, 4403]
    assert [one.error.args[0] for one in (talk.core.ping(), talk.follows().question) if one.error] == [4403, 4403]
    with pytest.raises(SocketClosed, match="4403"):
        talk.core.take()
