"""What a client says and is told, on one platform with a worker."""

from __future__ import annotations

import json
import secrets
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from platform.routing import direct
from tests import processes
from tests.changes import replayed
from tests.integration.asking import ended, submit
from tests.integration.conftest import Shop
from tests.integration.sockets.conftest import (
    Client,
    Connect,
    Frame,
    Inside,
    account_of,
    deleted,
    patched,
    stored,
    token_of,
)
from tests.processes import Web
from tests.waiting import eventually

MOST_FOLLOWED = 8
MOST_KEPT = 500
TASKS = {"model": "task"}

pytestmark = pytest.mark.usefixtures("shop_worker")


@pytest.fixture(scope="module")
def shop_web(shop: Shop) -> Web:
    shop.settings["stream_max_entries"] = MOST_KEPT
    return shop.start_web(socket_subscriptions=MOST_FOLLOWED, socket_messages_per_s=1000)


@pytest.fixture(scope="module")
def ann(shop: Shop, shop_web: Web) -> httpx2.Client:
    """One user for all: making one takes longer than a conversation."""
    return shop.caller(shop_web)


@pytest.fixture(scope="module")
def bob(shop: Shop, shop_web: Web) -> httpx2.Client:
    """Another user of the same tenant."""
    return shop.caller(shop_web)


@pytest.fixture(scope="module")
def boss(shop: Shop, shop_web: Web) -> httpx2.Client:
    return shop.caller(shop_web, "operator")


@pytest.fixture(scope="module")
def stranger(shop: Shop, shop_web: Web) -> httpx2.Client:
    """An operator of another tenant."""
    return shop.caller(shop_web, "operator", "elsewhere")


@pytest.fixture
def witness(join: Connect, boss: httpx2.Client) -> Client:
    """Follows all tasks and items: what it is told of has been told to everybody. It begins after what was stored."""
    client = join(boss)
    for model in ("task", "item"):
        client.follow(channel={"model": model})
    return client


@pytest.fixture
def room() -> str:
    """One that no other test has been in."""
    return f"room-{secrets.token_hex(4)}"


def place_of(answer: Frame) -> dict[str, Any]:
    """Where whoever got that answer to a subscription, and nothing since, stands."""
    return {"epoch": answer["epoch"], "offset": answer["offset"]}


def about(frames: list[Frame]) -> list[tuple[str, str]]:
    return [(frame["event"], frame["id"]) for frame in frames]


# -- connecting


def test_the_first_frame_says_who_is_connected(ann: httpx2.Client, shop_web: Web, open_socket: Connect) -> None:
    frame = open_socket(shop_web, token_of(ann, device_id="tablet-7")).next()
    me = ann.get("/session").json()
    assert set(frame) == {"type", "conn_id", "device_id", "session"}
    assert (frame["type"], frame["device_id"]) == ("connected", "tablet-7")
    assert (frame["session"]["user"], frame["session"]["roles"]) == (me["user"], me["roles"])
    assert frame["session"]["expires_at"].endswith("Z")


def test_each_connection_has_an_id_and_without_a_device_one_made_for_it(
    ann: httpx2.Client, shop_web: Web, open_socket: Connect
) -> None:
    one, other = (open_socket(shop_web, token_of(ann)).next() for _ in range(2))
    assert one["conn_id"] != other["conn_id"]
    assert one["device_id"] != other["device_id"]
    assert one["device_id"]


@pytest.mark.parametrize("more", [{}, {"ref": 7}, {"ref": "a"}, {"ref": -(2**63)}, {"ref": 2**70}, {"ref": ""}])
def test_a_ping_is_answered_with_its_ref(join: Connect, ann: httpx2.Client, more: dict[str, Any]) -> None:
    assert join(ann).ask(type="ping", **more) == {"type": "pong", **more}


# -- documents


def test_a_document_is_told_from_its_creation_to_its_end(join: Connect, ann: httpx2.Client) -> None:
    client = join(ann)
    begun = client.follow(ref=1, channel=TASKS)
    document = stored(ann, "task", title="bread")
    after = patched(ann, document, status="completed")
    deleted(ann, document)
    created, updated, gone = client.told(3)
    channel, id, user = "app:default:model:task", document["id"], document["userId"]
    assert begun == {
        "type": "subscribed", "ref": 1, "channel": channel, "epoch": begun["epoch"], "offset": begun["offset"],
        "recovered": True,
    }  # fmt: skip
    offsets = [frame.pop("offset") for frame in (created, updated, gone)]
    assert begun["offset"] < offsets[0] < offsets[1] < offsets[2]
    facts = {"model": "task", "id": id, "channel": channel}
    assert created == {"event": "model_created", "version": 1, "data": document, **facts}
    assert replayed(document, updated) == after
    scopes = ("app:default", f"app:default:user:{user}")
    channels = [f"{scope}:model:task{end}" for scope in scopes for end in ("", f":{id}")]
    first = updated.pop("data")[0]
    assert first == {"op": "replace", "path": ["status"], "value": ["completed"], "metadata": {"channels": channels}}
    assert updated == {"event": "model_updated", "version": 2, **facts}
    address = {"appId": "default", "userId": user, "type": "task", "id": id}
    assert gone == {"event": "model_deleted", "version": 3, "data": address, **facts}


def test_one_document_is_followed_by_its_id(join: Connect, ann: httpx2.Client, witness: Client) -> None:
    wanted, other = (stored(ann, "task", title=title) for title in ("wanted", "other"))
    witness.told(2)
    client = join(ann)
    begun = client.follow(channel={"model": "task", "id": wanted["id"]})
    assert begun["channel"] == f"app:default:model:task:{wanted['id']}"
    for document in (wanted, other):
        patched(ann, document, n=1)
    witness.told(2)
    [frame] = client.rest()
    assert (frame["id"], frame["channel"]) == (wanted["id"], begun["channel"])


def test_one_users_documents_are_followed_by_the_users_id(
    join: Connect, ann: httpx2.Client, bob: httpx2.Client, witness: Client
) -> None:
    user = account_of(bob)["id"]
    client = join(ann)
    begun = client.follow(channel={"model": "task", "userId": user})
    assert begun["channel"] == f"app:default:user:{user}:model:task"
    document = stored(bob, "task", title="bob's")
    stored(ann, "task", title="ann's")
    witness.told(2)
    assert about(client.rest()) == [("model_created", document["id"])]


def test_a_filter_chooses_and_documents_enter_and_leave(join: Connect, ann: httpx2.Client, witness: Client) -> None:
    client = join(ann)
    client.follow(channel=TASKS, filter={"assignee": "ann", "n": {"$gte": 5}})
    document = stored(ann, "task", title="a", assignee="ann", n=1)
    stored(ann, "task", title="somebody else's", assignee="bob", n=9)
    for n in (5, 6, 2, 3):
        patched(ann, document, n=n)
    witness.told(6)
    came, changed, went = client.rest()
    assert (came["event"], came["entered"], came["version"], came["data"]["n"]) == ("model_created", True, 2, 5)
    assert (changed["event"], changed["version"]) == ("model_updated", 3)
    assert (went["event"], went["left"], went["version"], went["id"]) == ("model_deleted", True, 4, document["id"])


def test_what_was_missed_of_a_filtered_channel_is_told_as_it_was(
    join: Connect, ann: httpx2.Client, witness: Client
) -> None:
    wanted: dict[str, Any] = {"channel": TASKS, "filter": {"n": {"$gte": 5}}}
    live, late = join(ann), join(ann)
    begun = live.follow(**wanted)
    document = stored(ann, "task", title="a", n=1)
    for n in (5, 2, 3):
        patched(ann, document, n=n)
    witness.told(4)
    told = live.rest()
    assert [frame["version"] for frame in told] == [2, 3]
    assert late.follow(**wanted, since=place_of(begun))["recovered"]
    assert late.rest() == told


def test_of_a_model_that_owners_see_only_the_own_documents_come(
    join: Connect, ann: httpx2.Client, bob: httpx2.Client, boss: httpx2.Client, witness: Client
) -> None:
    mine, all_ = join(ann), join(boss)
    assert mine.follow(channel={"model": "item"})["channel"] == "app:default:model:item"
    all_.follow(channel={"model": "item"})
    hers, his = stored(ann, "item", name="ann's"), stored(bob, "item", name="bob's")
    patched(bob, his, n=1)
    witness.told(3)
    expected = {("model_created", hers["id"]), ("model_created", his["id"]), ("model_updated", his["id"])}
    assert set(about(all_.rest())) == expected
    [frame] = mine.rest()
    assert (frame["id"], frame["channel"]) == (hers["id"], "app:default:model:item")


def test_nobody_follows_anothers_documents_of_such_a_model_but_an_operator(
    join: Connect, ann: httpx2.Client, bob: httpx2.Client, boss: httpx2.Client, witness: Client
) -> None:
    channel = {"model": "item", "userId": account_of(bob)["id"]}
    assert join(ann).ask(type="subscribe", ref=1, channel=channel)["code"] == "forbidden"
    client = join(boss)
    client.follow(channel=channel)
    stored(ann, "item", name="ann's")
    his = stored(bob, "item", name="bob's")
    witness.told(2)
    assert about(client.rest()) == [("model_created", his["id"])]


def test_an_item_of_anothers_is_silent_also_for_who_knows_its_id_and_from_the_beginning(
    join: Connect, ann: httpx2.Client, bob: httpx2.Client, witness: Client
) -> None:
    his = stored(bob, "item", name="bob's")
    witness.told(1)
    client = join(ann)
    client.follow(channel={"model": "item", "id": his["id"]}, since=0)
    patched(bob, his, n=1)
    witness.told(1)
    assert client.rest() == []


def test_another_tenants_documents_are_not_told(
    join: Connect, ann: httpx2.Client, stranger: httpx2.Client, witness: Client
) -> None:
    theirs = join(stranger)
    assert theirs.follow(channel=TASKS, since=0)["channel"] == "app:elsewhere:model:task"
    stored(ann, "task", title="ours")
    witness.told(1)
    assert theirs.rest() == []


# -- subscribing anew, and no more


def test_subscribing_to_a_channel_again_replaces_filter_and_ref(
    join: Connect, ann: httpx2.Client, witness: Client
) -> None:
    client = join(ann)
    client.follow(ref=1, channel=TASKS, filter={"n": 1})
    client.follow(ref=2, channel=TASKS, filter={"n": 2})
    stored(ann, "task", title="first", n=1)
    wanted = stored(ann, "task", title="second", n=2)
    witness.told(2)
    assert about(client.rest()) == [("model_created", wanted["id"])]
    assert client.ask(type="unsubscribe", ref=1)["code"] == "not_subscribed"
    assert client.ask(type="unsubscribe", ref=2)["channel"] == "app:default:model:task"


def test_a_refused_subscription_leaves_the_one_there_was(join: Connect, ann: httpx2.Client, room: str) -> None:
    client = join(ann)
    client.follow(ref=1, room=room)
    for since in ("yesterday", {"epoch": "", "offset": 1}):
        assert client.ask(type="subscribe", ref=2, room=room, since=since)["code"] == "bad_since"
    client.say(type="publish", room=room, data="still here")
    assert client.told(1)[0]["data"] == "still here"
    assert client.ask(type="unsubscribe", ref=1)["type"] == "unsubscribed"


@pytest.mark.parametrize("how", [{"ref": "r"}, {"room": True}, {"ref": "another", "room": True}], ids=str)
def test_after_unsubscribing_nothing_comes(
    join: Connect, ann: httpx2.Client, inside: Inside, room: str, how: dict[str, Any]
) -> None:
    client, witness = join(ann), join(ann)
    for one in (client, witness):
        one.follow(ref="r", room=room)
    inside.publish(room, 1)
    client.told(1)
    if "room" in how:
        how = how | {"room": room}
    answer = client.ask(type="unsubscribe", **how)
    expected = {"type": "unsubscribed", "channel": f"app:default:room:{room}"}
    assert answer == expected | ({"ref": how["ref"]} if "ref" in how else {})
    inside.publish(room, 2)
    assert [frame["data"] for frame in witness.told(2)] == [1, 2]
    assert client.rest() == []
    assert client.ask(type="unsubscribe", **how)["code"] == "not_subscribed"


def test_documents_are_unsubscribed_by_their_channel(join: Connect, ann: httpx2.Client, witness: Client) -> None:
    client = join(ann)
    client.follow(channel=TASKS)
    answer = client.ask(type="unsubscribe", channel=TASKS)
    assert answer == {"type": "unsubscribed", "channel": "app:default:model:task"}
    stored(ann, "task", title="unheard")
    witness.told(1)
    assert client.rest() == []


def test_a_channel_can_be_followed_again_at_once(join: Connect, ann: httpx2.Client, inside: Inside, room: str) -> None:
    client = join(ann)
    for number in range(20):
        client.follow(room=room)
        inside.publish(room, number)
        assert client.told(1)[0]["data"] == number
        client.ask(type="unsubscribe", room=room)


def test_a_socket_follows_so_many_channels_and_one_given_up_makes_room(
    join: Connect, ann: httpx2.Client, room: str
) -> None:
    client = join(ann, device_id="phone")
    for number in range(MOST_FOLLOWED):
        client.follow(ref=number, room=f"{room}-{number}")
    answer = client.ask(type="subscribe", ref="more", room=f"{room}-more")
    assert (answer["type"], answer["ref"], answer["code"]) == ("error", "more", "too_many")
    client.follow(ref="again", room=f"{room}-0")
    client.ask(type="unsubscribe", ref="again")
    client.follow(ref="more", room=f"{room}-more")


# -- being away


@contextmanager
def talking(inside: Inside, room: str) -> Iterator[None]:
    """Somebody counts aloud in a room, as fast as it goes, from 0 on."""
    is_over = threading.Event()

    def count() -> None:
        number = 0
        while not is_over.is_set():
            inside.publish(room, number)
            number += 1

    speaker = threading.Thread(target=count)
    speaker.start()
    try:
        yield
    finally:
        is_over.set()
        speaker.join()


def test_what_was_missed_comes_first_and_everything_once_while_it_goes_on(
    join: Connect, ann: httpx2.Client, inside: Inside, room: str
) -> None:
    heard: list[int] = []
    place = place_of(join(ann).follow(room=room))
    with talking(inside, room):
        for _ in range(10):
            client = join(ann)
            begun = client.follow(room=room, since=place)
            frames = client.told(15)
            assert begun["recovered"]
            assert place["offset"] <= begun["offset"] < frames[0]["offset"]
            heard += [frame["data"] for frame in frames]
            place = {"epoch": begun["epoch"], "offset": frames[-1]["offset"]}
            client.ws.close()
    assert heard == list(range(150))


def test_who_begins_in_the_middle_hears_all_behind_the_place_it_was_told(
    join: Connect, ann: httpx2.Client, inside: Inside, room: str
) -> None:
    with talking(inside, room):
        for _ in range(10):
            client, late = join(ann), join(ann)
            begun = client.follow(room=room)
            frames = client.told(15)
            late.follow(room=room, since=place_of(begun))
            assert late.told(15) == frames
            for one in (client, late):
                one.ws.close()


def test_since_0_tells_all_that_is_kept(join: Connect, ann: httpx2.Client, inside: Inside, room: str) -> None:
    inside.publish(room, *range(5))
    client = join(ann)
    begun = client.follow(room=room, since=0)
    frames = client.told(5)
    assert [frame["data"] for frame in frames] == list(range(5))
    assert (begun["recovered"], begun["offset"]) == (True, 0)
    assert client.rest() == []


def test_who_missed_nothing_is_told_nothing(join: Connect, ann: httpx2.Client, inside: Inside, room: str) -> None:
    [position] = inside.publish(room, "old")
    client = join(ann)
    begun = client.follow(room=room, since={"epoch": position.epoch, "offset": position.offset})
    assert (begun["recovered"], begun["offset"]) == (True, position.offset)
    assert client.rest() == []


def test_a_place_of_another_epoch_is_not_recovered_and_what_is_kept_comes(
    join: Connect, ann: httpx2.Client, inside: Inside, room: str
) -> None:
    first, *_ = inside.publish(room, 1, 2, 3)
    client = join(ann)
    begun = client.follow(room=room, since={"epoch": "another", "offset": first.offset})
    assert (begun["recovered"], begun["epoch"]) == (False, first.epoch)
    assert [frame["data"] for frame in client.told(2)] == [2, 3]


@pytest.mark.parametrize("epoch", ["another", None])
def test_from_a_place_nobody_has_come_to_yet_the_next_is_told(
    join: Connect, ann: httpx2.Client, inside: Inside, room: str, epoch: str | None
) -> None:
    [position] = inside.publish(room, "old")
    client = join(ann)
    begun = client.follow(room=room, since={"epoch": epoch or position.epoch, "offset": 2**53})
    assert (begun["recovered"], begun["offset"]) == (False, position.offset)
    inside.publish(room, "new")
    assert client.told(1)[0]["data"] == "new"


def test_what_the_stream_has_forgotten_is_not_passed_over_in_silence(
    join: Connect, ann: httpx2.Client, inside: Inside, room: str
) -> None:
    places = inside.publish(room, *range(MOST_KEPT + 100))
    client = join(ann)
    gone, kept = places[10], places[-51]
    assert not client.follow(room=room, since={"epoch": gone.epoch, "offset": gone.offset})["recovered"]
    assert [frame["data"] for frame in client.told(MOST_KEPT)] == list(range(100, MOST_KEPT + 100))
    assert client.follow(room=room, since={"epoch": kept.epoch, "offset": kept.offset})["recovered"]
    assert [frame["data"] for frame in client.told(50)] == list(range(MOST_KEPT + 50, MOST_KEPT + 100))
    assert client.rest() == []


@pytest.mark.parametrize(
    "since",
    [1, "0", "x", [], {}, True, 0.5, {"epoch": "e"}, {"offset": 1}, {"epoch": "e", "offset": -1},
     {"epoch": "e", "offset": "1"}, {"epoch": 1, "offset": 1}, {"epoch": "e", "offset": 2**53 + 1}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("what", ["room", "channel", "job"])
def test_since_that_is_no_place_is_refused_and_nothing_is_followed(
    join: Connect, ann: httpx2.Client, inside: Inside, room: str, what: str, since: Any
) -> None:
    wanted = {"room": room, "channel": TASKS, "job": submit(ann, "add", 1, 2)["job_id"] if what == "job" else ""}[what]
    client = join(ann)
    answer = client.ask(type="subscribe", ref=1, since=since, **{what: wanted})
    assert (answer["type"], answer["ref"], answer["code"]) == ("error", 1, "bad_since")
    assert client.ask(type="unsubscribe", **{what: wanted})["code"] == "not_subscribed"


def test_one_frame_resumes_everything_and_tells_of_each(
    join: Connect, ann: httpx2.Client, bob: httpx2.Client, inside: Inside, room: str
) -> None:
    before = join(ann)
    tasks, said = before.follow(channel=TASKS), before.follow(room=room)
    document = stored(ann, "task", title="missed")
    before.told(1)
    inside.publish(room, "missed")
    foreign = account_of(bob)["id"]
    client = join(ann, device_id="phone")
    client.say(
        type="resume",
        ref="all",
        subscriptions=[
            {"ref": 1, "channel": TASKS, "since": place_of(tasks)},
            {"ref": 2, "channel": {"model": "item", "userId": foreign}},
            {"ref": 3, "room": room, "since": {"epoch": "", "offset": "x"}},
            {"ref": 4, "room": room, "since": place_of(said)},
        ],
    )
    frames = [client.next() for _ in range(7)]
    assert [(frame.get("type"), frame.get("ref")) for frame in frames] == [
        ("subscribed", 1), (None, None), ("error", 2), ("error", 3), ("subscribed", 4), (None, None),
        ("resumed", "all"),
    ]  # fmt: skip
    assert (frames[1]["id"], frames[5]["data"]) == (document["id"], "missed")
    assert (frames[2]["code"], frames[3]["code"], frames[6]["count"]) == ("forbidden", "bad_since", 2)
    inside.publish(room, "heard")
    assert client.told(1)[0]["data"] == "heard"


def test_one_frame_resumes_no_more_than_a_socket_may_follow(join: Connect, ann: httpx2.Client, room: str) -> None:
    client = join(ann)
    wanted = [{"ref": number, "room": room} for number in range(MOST_FOLLOWED + 3)]
    client.say(type="resume", ref="all", subscriptions=wanted)
    answers = [client.answer() for _ in range(MOST_FOLLOWED + 4)]
    assert [answer["type"] for answer in answers[:MOST_FOLLOWED]] == ["subscribed"] * MOST_FOLLOWED
    refused = [(answer["ref"], answer["code"]) for answer in answers[MOST_FOLLOWED:-1]]
    assert refused == [(MOST_FOLLOWED + number, "too_many") for number in range(3)]
    assert answers[-1] == {"type": "resumed", "ref": "all", "count": 1}


# -- rooms


def test_what_is_said_in_a_room_reaches_its_members_and_the_sender(
    join: Connect, ann: httpx2.Client, bob: httpx2.Client, room: str
) -> None:
    here, there = join(ann), join(bob)
    for client in (here, there):
        client.follow(room=room)
    data = {"from": "ann", "text": "hello 😀", "n": [1.5, None, True]}
    here.say(type="publish", room=room, data=data)
    [frame] = there.told(1)
    assert frame == {
        "event": "message", "room": room, "data": data, "channel": f"app:default:room:{room}", "offset": frame["offset"]
    }  # fmt: skip
    assert here.told(1) == [frame]


def test_who_gives_a_ref_is_told_where_its_message_stands_and_need_not_be_a_member(
    join: Connect, ann: httpx2.Client, room: str
) -> None:
    speaker, member = join(ann), join(ann)
    begun = member.follow(room=room)
    answer = speaker.ask(type="publish", ref=5, room=room, data="hi")
    [frame] = member.told(1)
    assert answer == {
        "type": "published", "ref": 5, "channel": frame["channel"], "epoch": begun["epoch"], "offset": frame["offset"]
    }  # fmt: skip
    assert speaker.rest() == []


def test_without_a_ref_nothing_is_answered(join: Connect, ann: httpx2.Client, room: str) -> None:
    client = join(ann)
    client.say(type="publish", room=room, data="hi")
    assert client.ask(type="ping") == {"type": "pong"}


def test_a_room_of_the_same_name_of_another_tenant_is_another_room(
    join: Connect, ann: httpx2.Client, stranger: httpx2.Client, room: str
) -> None:
    ours, theirs = join(ann), join(stranger)
    for client in (ours, theirs):
        client.follow(room=room, since=0)
    ours.say(type="publish", room=room, data="secret")
    assert ours.told(1)[0]["data"] == "secret"
    assert theirs.rest() == []
    theirs.follow(room=room, since=0)
    assert theirs.rest() == []


def test_a_program_of_the_platforms_speaks_in_a_room(join: Connect, ann: httpx2.Client, shop: Shop, room: str) -> None:
    client = join(ann)
    begun = client.follow(room=room)
    program = f"from tasks.rooms import publish; print(publish({room!r}, {{'text': 'from a task'}}).offset)"
    offset = int(processes.succeed(sys.executable, "-c", program, env=shop.env))
    [frame] = client.told(1)
    assert (frame["data"], frame["offset"]) == ({"text": "from a task"}, offset)
    assert offset > begun["offset"]


@pytest.mark.parametrize(
    "data",
    [
        "null",
        "0",
        "[]",
        '{"a": 1,\n "b":\r\n\t[2]}',
        '"a\\nb"',
        str(2**70),
        "1e300",
        '"\\u0000"',
        "[" * 256 + "]" * 256,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_any_json_is_told_as_it_was_said(join: Connect, ann: httpx2.Client, room: str, data: str) -> None:
    client = join(ann)
    client.follow(room=room)
    client.ws.send(f'{{"type":"publish","room":"{room}","data":{data}}}')
    assert client.told(1)[0]["data"] == json.loads(data)
    late = join(ann)
    late.follow(room=room, since=0)
    assert late.told(1)[0]["data"] == json.loads(data)


# -- devices


def test_a_message_to_a_device_reaches_its_connections_and_no_others(
    join: Connect, ann: httpx2.Client, bob: httpx2.Client, inside: Inside
) -> None:
    two = [join(ann, device_id="phone") for _ in range(2)]
    others = [join(ann, device_id="tablet"), join(bob, device_id="phone"), join(ann)]
    user = account_of(ann)["id"]

    def send(text: str) -> int:
        return direct.send("default", user, "phone", "message", {"text": text}, inside.registry)

    assert eventually(lambda: send("hi")) == 1
    channel = f"app:default:user:{user}:device:phone"
    for client in two:
        assert client.told(1) == [{"event": "message", "data": {"text": "hi"}, "channel": channel}]
        assert client.rest() == []
    for client in others:
        assert client.rest() == []


def test_a_device_that_has_gone_is_away(join: Connect, ann: httpx2.Client, inside: Inside) -> None:
    user, client = account_of(ann)["id"], join(ann, device_id="phone")

    def send() -> int:
        return direct.send("default", user, "phone", "message", 1, inside.registry)

    eventually(send)
    client.ws.close()
    assert eventually(lambda: send() == 0)


# -- jobs


def test_a_jobs_present_state_comes_first_and_then_each_newer_one_until_its_end(
    join: Connect, ann: httpx2.Client
) -> None:
    client = join(ann)
    job_id = submit(ann, "slow", 1.0, 10)["job_id"]
    begun = client.follow(ref=1, job=job_id)
    frames = client.told(1)
    while frames[-1]["data"]["state"] != "completed":
        frames += client.told(1)
    assert (begun["channel"], begun["recovered"]) == (f"app:default:job:{job_id}", True)
    assert {frame["event"] for frame in frames} == {"job"}
    assert {(frame["channel"], frame["data"]["job_id"]) for frame in frames} == {(begun["channel"], job_id)}
    offsets = [begun["offset"], *(frame["offset"] for frame in frames)]
    assert offsets == sorted(set(offsets))
    done = [frame["data"]["progress"]["done"] for frame in frames if frame["data"]["progress"]]
    assert done == sorted(done)
    assert len(set(done)) > 2
    assert frames[-1]["data"] == ended(ann, job_id)
    assert client.rest() == []


def test_a_job_that_has_ended_is_told_once_and_not_to_who_knows(join: Connect, ann: httpx2.Client) -> None:
    job_id = submit(ann, "add", 1, 2)["job_id"]
    ended(ann, job_id)
    client = join(ann)
    begun = client.follow(job=job_id)
    [frame] = client.told(1)
    assert (frame["data"]["state"], frame["data"]["result"]) == ("completed", 3)
    again = client.follow(job=job_id, since={"epoch": begun["epoch"], "offset": frame["offset"]})
    assert (again["offset"], again["recovered"]) == (frame["offset"], True)
    assert client.rest() == []
    client.follow(job=job_id, since={"epoch": begun["epoch"], "offset": frame["offset"] - 1})
    assert client.told(1) == [frame]
    client.follow(job=job_id, since=0)
    assert client.told(1) == [frame]


def test_a_job_made_anew_sends_its_followers_away_and_is_told_to_them_when_they_come_back(
    join: Connect, ann: httpx2.Client, boss: httpx2.Client, inside: Inside
) -> None:
    """By the replay of a dead letter that was kept longer than the record."""
    job_id = submit(ann, "broken")["job_id"]
    first = ended(ann, job_id)
    client = join(ann)
    begun = client.follow(job=job_id)
    [last] = client.told(1)
    inside.client.delete(f"{inside.registry.prefix}job:{job_id}")
    assert boss.post(f"/dead-letters/{first['dead_letter_id']}/replay").status_code == 202
    assert client.closed().code == 1012
    again = ended(ann, job_id)
    assert (again["state"], again["created_at"] > first["created_at"]) == ("failed", True)
    back = join(ann)
    resumed = back.follow(job=job_id, since={"epoch": begun["epoch"], "offset": last["offset"]})
    assert (resumed["epoch"] != begun["epoch"], resumed["recovered"]) == (True, False)
    assert back.told(1)[0]["data"]["created_at"] == again["created_at"]


def test_another_users_job_is_not_there_but_for_an_operator(
    join: Connect, ann: httpx2.Client, bob: httpx2.Client, boss: httpx2.Client
) -> None:
    job_id = submit(ann, "add", 1, 2)["job_id"]
    foreign = join(bob).ask(type="subscribe", ref=1, job=job_id)
    missing = join(ann).ask(type="subscribe", ref=1, job="nowhere")
    assert foreign["code"] == missing["code"] == "not_found"
    assert foreign["message"].replace(job_id, "") == missing["message"].replace("nowhere", "")
    client = join(boss)
    client.follow(ref=1, job=job_id)
    assert client.told(1)[0]["data"]["job_id"] == job_id


def test_a_job_that_was_given_up_is_silent(join: Connect, ann: httpx2.Client) -> None:
    client = join(ann)
    job_id = submit(ann, "slow", 0.6, 6)["job_id"]
    client.follow(job=job_id)
    client.told(1)
    client.ask(type="unsubscribe", job=job_id)
    client.rest()
    ended(ann, job_id)
    assert client.rest() == []


# -- calls


def test_a_function_called_runs_on_a_worker_and_its_result_comes_back(join: Connect, ann: httpx2.Client) -> None:
    answer = join(ann).ask(type="call", ref=3, module="Calc", function="multiply", args={"a": 6, "b": 7})
    assert answer == {"type": "reply", "ref": 3, "result": 42, "job_id": answer["job_id"]}
    job = ann.get(f"/jobs/{answer['job_id']}").json()
    assert (job["attempts"], job["state"], job["owner"]) == (1, "completed", account_of(ann)["id"])


def test_defaults_of_a_function_hold_and_args_may_be_left_out(join: Connect, ann: httpx2.Client) -> None:
    client = join(ann)
    assert client.ask(type="call", ref=1, module="Calc", function="multiply", args={"a": 6})["result"] == 12
    assert client.ask(type="call", ref=2, module="Calc", function="multiply")["code"] == "invalid_arguments"


def test_a_call_that_fails_says_why_and_which_job_it_was(join: Connect, ann: httpx2.Client) -> None:
    answer = join(ann).ask(type="call", ref=3, module="Calc", function="fail", args={"text": "out of paper"})
    assert (answer["type"], answer["ref"], answer["code"]) == ("error", 3, "call_failed")
    assert "ValueError: out of paper" in answer["message"]
    assert ann.get(f"/jobs/{answer['job_id']}").json()["state"] == "failed"


def test_a_call_that_is_not_waited_for_goes_on_as_a_job(join: Connect, ann: httpx2.Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    for _ in range(2):  # as many as the worker has processes
        job_id = submit(ann, "hold", str(gate))["job_id"]
        eventually(lambda job_id=job_id: ann.get(f"/jobs/{job_id}").json()["state"] == "running")
    answer = join(ann).ask(type="call", ref=3, module="Calc", function="later", args={"a": 5})
    gate.touch()
    assert (answer["type"], answer["ref"], answer["code"]) == ("error", 3, "call_pending")
    assert ended(ann, answer["job_id"])["result"] == 5


@pytest.mark.parametrize(
    ("module", "function", "args", "code"),
    [
        ("Calc", "multiply", {"a": "six"}, "invalid_arguments"),
        ("Calc", "multiply", {"a": 1, "c": 2}, "invalid_arguments"),
        ("Calc", "divide", {}, "unknown_function"),
        ("Calk", "multiply", {"a": 1}, "unknown_function"),
    ],
)
def test_a_call_that_cannot_be_made_is_refused(
    join: Connect, ann: httpx2.Client, module: str, function: str, args: dict[str, Any], code: str
) -> None:
    answer = join(ann).ask(type="call", ref="r", module=module, function=function, args=args)
    assert (answer["type"], answer["ref"], answer["code"]) == ("error", "r", code)


def test_while_a_call_is_under_way_the_client_may_say_and_hear_other_things(
    join: Connect, ann: httpx2.Client, room: str
) -> None:
    client = join(ann)
    client.follow(room=room)
    client.say(type="call", ref="slow", module="Calc", function="double", args={"n": 21})
    assert client.ask(type="ping", ref="meanwhile")["ref"] == "meanwhile"
    client.say(type="publish", room=room, data="meanwhile")
    assert client.next()["data"] == "meanwhile"
    assert client.answer()["result"] == 42


def test_each_call_is_answered_under_its_own_ref(join: Connect, ann: httpx2.Client) -> None:
    client = join(ann)
    for number in range(10):
        client.say(type="call", ref=number, module="Calc", function="multiply", args={"a": number, "b": number})
    answers = [client.answer() for _ in range(10)]
    assert {answer["ref"]: answer["result"] for answer in answers} == {number: number**2 for number in range(10)}


# -- what cannot be understood


@pytest.mark.parametrize(
    ("text", "code", "named"),
    [
        ("", "bad_message", ""),
        ("garbage", "bad_message", ""),
        ("[]", "bad_message", ""),
        ("{}", "bad_message", "no type"),
        ('{"type":"nope"}', "bad_message", "nope"),
        ('{"type":"subscribed"}', "bad_message", "did you mean 'subscribe'"),
        ('{"type":"ping","extra":1}', "bad_message", "extra"),
        ('{"type":"ping","ref":1.5}', "bad_message", "ref"),
        ('{"type":"ping","ref":1e400}', "bad_message", ""),
        ('{"type":"ping","ref":"\\ud800"}', "bad_message", ""),
        (f'{{"type":"nope","ref":{2**70}}}', "bad_message", "nope"),
        ('{"type":"publish","room":"a"}', "bad_message", "data"),
        ('{"type":"publish","room":"a","data":"\\ud800"}', "bad_message", ""),
        ('{"type":"publish","room":"a","data":' + "[" * 5000 + "]" * 5000 + "}", "bad_message", ""),
        ('{"type":"publish","room":"a","data":' + "[" * 300 + "]" * 300 + "}", "bad_message", "256"),
        ('{"type":"publish","room":"a","data":' + "[" * 985 + "]" * 985 + "}", "bad_message", ""),
        ('{"type":"call","module":"Calc","function":"multiply","args":{"a":' + "[" * 970 + "]" * 970 + "}}", "", ""),
        ('{"type":"publish","room":"two words","data":1}', "bad_channel", "two words"),
        ('{"type":"publish","room":"","data":1}', "bad_channel", ""),
        ('{"type":"publish","room":"' + "x" * 129 + '","data":1}', "bad_channel", "128"),
        ('{"type":"subscribe"}', "bad_channel", "one of"),
        ('{"type":"subscribe","room":"a","job":"b"}', "bad_channel", "one of"),
        ('{"type":"subscribe","room":"a\\u0000"}', "bad_channel", ""),
        ('{"type":"subscribe","channel":{"model":"tusk"}}', "unknown_model", "task"),
        ('{"type":"subscribe","channel":{"model":"task","id":"a:b"}}', "bad_channel", "a:b"),
        ('{"type":"subscribe","channel":{"model":"task","userId":"a b"}}', "bad_channel", "a b"),
        ('{"type":"subscribe","channel":{"model":"task"},"filter":{"n":{"$near":1}}}', "bad_filter", "$near"),
        ('{"type":"subscribe","channel":{"model":"task"},"filter":[]}', "bad_message", "filter"),
        ('{"type":"subscribe","room":"a","filter":{"n":1}}', "bad_filter", ""),
        ('{"type":"subscribe","batch":"b"}', "not_found", "b"),
        ('{"type":"unsubscribe"}', "not_subscribed", ""),
        ('{"type":"unsubscribe","ref":99}', "not_subscribed", ""),
        ('{"type":"unsubscribe","job":""}', "not_subscribed", ""),
        ('{"type":"resume"}', "bad_message", "subscriptions"),
        ('{"type":"call","module":"Calc"}', "bad_message", "function"),
        ('{"type":"auth","token":"t"}', "bad_message", "refresh"),
        ('{"type":"batch"}', "bad_message", ""),
    ],
    ids=lambda text: repr(text[:60]),
)  # fmt: skip
def test_what_cannot_be_done_is_an_error_and_the_connection_stays(
    join: Connect, ann: httpx2.Client, text: str, code: str, named: str
) -> None:
    client = join(ann)
    client.ws.send(text)
    answer = client.answer()
    assert answer["type"] == "error"
    assert answer["code"] == code or not code
    assert named in answer["message"]
    assert client.ask(type="ping") == {"type": "pong"}


def test_a_binary_message_is_an_error_and_the_connection_stays(join: Connect, ann: httpx2.Client) -> None:
    client = join(ann)
    client.ws.send(b'{"type":"ping"}')
    assert client.answer()["code"] == "bad_message"
    assert client.ask(type="ping") == {"type": "pong"}


def test_an_error_repeats_the_ref_of_what_it_is_about(join: Connect, ann: httpx2.Client) -> None:
    client = join(ann)
    assert client.ask(type="nope", ref="x")["ref"] == "x"
    assert client.ask(type="ping", ref=5, extra=1)["ref"] == 5
    assert client.ask(type="subscribe", ref=6, room="two words")["ref"] == 6
    assert "ref" not in client.ask(type="subscribe", room="two words")
