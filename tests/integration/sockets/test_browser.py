"""``/static/sockets.js`` in a real Chromium, in a page of the platform's own, over restarts of a real gunicorn."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from platform.documents.patch import applied, as_frames
from tests import processes
from tests.integration.conftest import Shop
from tests.integration.sockets.conftest import Inside
from tests.integration.sockets.door import Door
from tests.waiting import eventually

CHROMIUM = shutil.which("chromium")
WAIT = {"Prefer": "wait=20"}
WAIT_S = 20.0
SIGN_IN = """async (email) => {
    const body = JSON.stringify({ email, password: "correct horse" });
    await fetch("/session", { method: "POST", headers: { "Content-Type": "application/json" }, body });
}"""
OPEN = """async ({ key }) => {
    window.platform = await import("/static/sockets.js");
    const token = key && (async () => {
        const headers = { Authorization: `Bearer ${key}` };
        return (await (await fetch("/session/tokens", { method: "POST", headers })).json()).token;
    });
    Object.assign(window, { seen: [], said: [], socket: new platform.Socket({ token }) });
    for (const name of ["connected", "lost", "closed", "gap", "ended", "event"]) {
        socket.addEventListener(name, ({ detail }) => said.push([name, detail]));
    }
}"""
FOLLOW = """async (wanted) => {
    const handler = (event) => seen.push(event);
    const { channel, position } = await socket.subscribe(wanted, handler);
    return { channel, position };
}"""

pytestmark = pytest.mark.usefixtures("shop_worker")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs chromium on the path")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def door(shop: Shop) -> Door:
    """Where the pages come from; what happens, happens through the shop's own front door."""
    return Door(shop)


@pytest.fixture
def page(browser: Browser, door: Door) -> Iterator[Page]:
    """A page at the door; an error that nobody caught fails the test."""
    errors: list[str] = []
    context = browser.new_context(base_url=door.url)
    opened = context.new_page()
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto("/docs")
    yield opened
    context.close()
    assert errors == []


@pytest.fixture
def signed_in(page: Page, ann: httpx2.Client) -> Page:
    """Ann's page, with an open socket."""
    page.evaluate(SIGN_IN, ann.get("/session").json()["user"]["email"])
    page.evaluate(OPEN, {})
    return page


def create(caller: httpx2.Client, **fields: Any) -> dict[str, Any]:
    answer = caller.post("/model/task", json={"title": "bread"} | fields, headers=WAIT)
    assert answer.status_code == 201, answer.text
    return answer.json()


def mine(caller: httpx2.Client) -> dict[str, str]:
    return {"assignee": caller.get("/session").json()["user"]["id"]}


def seen(page: Page, count: int) -> list[dict[str, Any]]:
    """The events that the page was told, once there are so many."""
    page.wait_for_function("(count) => seen.length >= count", arg=count, timeout=WAIT_S * 1000)
    return page.evaluate("seen")


def said(page: Page, name: str) -> Any:
    """The facts of the first event of that name of the socket itself."""
    page.wait_for_function("(name) => said.some(([n]) => n === name)", arg=name, timeout=WAIT_S * 1000)
    return page.evaluate("(name) => said.find(([n]) => n === name)[1]", name)


def test_a_page_is_told_what_happens(signed_in: Page, ann: httpx2.Client) -> None:
    me = mine(ann)
    following = signed_in.evaluate(FOLLOW, {"model": "task", "filter": me})
    assert following["channel"].endswith(":model:task")
    stored = create(ann, **me)
    ann.patch(f"/model/task/{stored['id']}", json=[{"op": "replace", "path": "/n", "value": 3}], headers=WAIT)
    created, updated = seen(signed_in, 2)
    assert (created["event"], created["data"]["id"]) == ("model_created", stored["id"])
    assert (updated["event"], updated["version"]) == ("model_updated", 2)
    after = signed_in.evaluate("platform.applyOperations(seen[0].data, seen[1].data)")
    assert (after["n"], after["title"]) == (3, "bread")


def test_a_page_talks_in_rooms_and_calls_functions(signed_in: Page) -> None:
    signed_in.evaluate("socket.room('lobby', (event) => seen.push(event))")
    place = signed_in.evaluate("socket.publish('lobby', { text: 'hi' })")
    [heard] = seen(signed_in, 1)
    assert (heard["data"], heard["offset"]) == ({"text": "hi"}, place["offset"])
    assert signed_in.evaluate("socket.call('Calc', 'multiply', { a: 6, b: 7 })") == 42


def test_a_page_is_told_why_something_is_refused(signed_in: Page) -> None:
    refused = "(promise) => promise.catch(({ name, code, jobId }) => [name, code, Boolean(jobId)])"
    assert signed_in.evaluate(f"({refused})(socket.subscribe({{ model: 'tusk' }}))") == [
        "SocketError",
        "unknown_model",
        False,
    ]
    assert signed_in.evaluate(f"({refused})(socket.call('Calc', 'fail', {{ text: 'no' }}))") == [
        "SocketError",
        "call_failed",
        True,
    ]


def test_a_job_is_followed_to_its_end(signed_in: Page, ann: httpx2.Client) -> None:
    job = ann.post("/jobs", json={"task": "shop.slow", "args": [0.5], "kwargs": {"steps": 3}}).json()
    signed_in.evaluate("(id) => socket.job(id, (event) => seen.push(event))", job["job_id"])
    eventually(lambda: seen(signed_in, 1)[-1]["data"]["state"] == "completed")


def test_after_unsubscribing_nothing_more_is_told(signed_in: Page) -> None:
    signed_in.evaluate("""async () => {
        const lobby = await socket.room("quiet", (event) => seen.push(event));
        lobby.unsubscribe();
        await socket.publish("quiet", "unheard");
        await socket.room("loud", (event) => seen.push(event));
        await socket.publish("loud", "heard");
    }""")
    assert [event["data"] for event in seen(signed_in, 1)] == ["heard"]


def test_a_handler_that_fails_does_not_harm_the_socket(browser: Browser, door: Door, ann: httpx2.Client) -> None:
    context = browser.new_context(base_url=door.url)
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(error.message))
    page.goto("/docs")
    page.evaluate(OPEN, {"key": ann.headers["Authorization"].removeprefix("Bearer ")})
    page.evaluate("socket.room('trouble', () => { throw new Error('mine') })")
    page.evaluate("socket.publish('trouble', 1)")
    eventually(lambda: page.evaluate("1") and errors)
    assert errors == ["mine"]
    assert page.evaluate("socket.isConnected")
    context.close()


@pytest.mark.parametrize("how", ["close", "kill"])
def test_a_page_survives_a_restart_and_misses_nothing(page: Page, ann: httpx2.Client, door: Door, how: str) -> None:
    frames: list[dict[str, Any]] = []
    page.on("websocket", lambda ws: ws.on("framesent", lambda text: frames.append(json.loads(text))))
    page.evaluate(OPEN, {"key": ann.headers["Authorization"].removeprefix("Bearer ")})
    said(page, "connected")
    me = mine(ann)
    page.evaluate(FOLLOW, {"model": "task", "filter": me})
    page.evaluate("(name) => socket.room(name, () => {})", f"restart-{how}")
    ids = [create(ann, **me)["id"]]
    seen(page, 1)
    getattr(door, how)()
    assert said(page, "lost")["code"] == {"close": 1012, "kill": 1006}[how]
    ids += [create(ann, title=f"meanwhile {n}", **me)["id"] for n in range(3)]
    door.open()
    seen(page, 4)
    ids.append(create(ann, title="after", **me)["id"])
    assert [event["data"]["id"] for event in seen(page, 5)] == ids
    assert page.evaluate("said.filter(([name]) => name === 'gap')") == []
    [resume] = [frame for frame in frames if frame["type"] == "resume"]
    assert len(resume["subscriptions"]) == 2
    assert [frame["type"] for frame in frames].count("auth") == page.evaluate(
        "said.filter(([name]) => name === 'connected').length"
    )


def test_what_is_asked_during_a_restart_waits_for_its_end(signed_in: Page, door: Door) -> None:
    said(signed_in, "connected")
    door.close()
    said(signed_in, "lost")
    signed_in.evaluate("() => { window.product = socket.call('Calc', 'multiply', { a: 6, b: 7 }) }")
    door.open()
    assert signed_in.evaluate("product") == 42


def test_of_a_room_the_last_message_alone_may_come_first(signed_in: Page, door: Door, inside: Inside) -> None:
    inside.publish("prices", *range(3))
    signed_in.evaluate("() => socket.room('prices', (event) => seen.push(event), 'last').then(() => null)")
    assert [event["data"] for event in seen(signed_in, 1)] == [2]
    door.close()
    inside.publish("prices", *range(3, 6))
    door.open()
    assert [event["data"] for event in seen(signed_in, 2)] == [2, 5]


def test_what_is_gone_is_told(signed_in: Page) -> None:
    wanted = {"model": "task", "filter": {"assignee": "nobody"}, "since": {"epoch": "an-epoch-long-gone", "offset": 5}}
    following = signed_in.evaluate(FOLLOW, wanted)
    assert said(signed_in, "gap") == {"channel": following["channel"]}


def test_a_token_that_does_not_hold_ends_it(page: Page) -> None:
    page.evaluate("""async () => {
        const { Socket } = await import("/static/sockets.js");
        Object.assign(window, { said: [], asked: 0 });
        window.socket = new Socket({ token: async () => `wrong ${asked++}` });
        socket.addEventListener("closed", ({ detail }) => said.push(["closed", detail]));
    }""")
    assert said(page, "closed")["code"] == 4401
    assert page.evaluate("asked") == 2
    assert page.evaluate("socket.publish('lobby', 1).catch(({ code }) => code)") == "closed"


def test_closing_is_for_good(signed_in: Page) -> None:
    said(signed_in, "connected")
    signed_in.evaluate("socket.close()")
    assert said(signed_in, "closed") == {"code": 1000, "reason": ""}
    assert signed_in.evaluate("said.filter(([name]) => name === 'lost')") == []
    assert signed_in.evaluate("socket.room('lobby', () => {}).catch(({ code }) => code)") == "closed"


DOCUMENT = {"title": "bread", "tags": ["a", "b"], "place": {"a/b": 1, "~": {"x": 1}}}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/tags/-", "value": "c"},
        {"op": "add", "path": "/tags/0", "value": [1]},
        {"op": "add", "path": "/n", "value": None},
        {"op": "add", "path": "/__proto__", "value": {"polluted": True}},
        {"op": "remove", "path": "/tags/1"},
        {"op": "remove", "path": "/place/a~1b"},
        {"op": "replace", "path": "/tags/0", "value": {"y": []}},
        {"op": "move", "from": "/tags/0", "path": "/first"},
        {"op": "copy", "from": "/place/~0", "path": "/place/again"},
        {"op": "test", "path": "/place", "value": {"~": {"x": 1}, "a/b": 1}},
    ],
    ids=lambda operation: f"{operation['op']} {operation['path']}",
)
def test_every_operation_does_what_it_did_in_the_store(page: Page, operation: dict[str, Any]) -> None:
    apply = """async (text) => {
        const { applyOperations } = await import("/static/sockets.js");
        return JSON.stringify(applyOperations(...JSON.parse(text)));
    }"""
    frames = as_frames([operation], ["app:myapp:model:task"])
    assert json.loads(page.evaluate(apply, json.dumps([DOCUMENT, frames]))) == applied(DOCUMENT, [operation], 10_000)
    assert page.evaluate("({}).polluted") is None


def test_the_pages_policy_allows_it(page: Page, shop_web: processes.Web, ann: httpx2.Client) -> None:
    """The module and its connection are of the page's own origin; nothing had to be opened for them."""
    policy = shop_web.http.get("/docs").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    page.evaluate("""() => {
        window.violations = [];
        document.addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective));
    }""")
    page.evaluate(OPEN, {"key": ann.headers["Authorization"].removeprefix("Bearer ")})
    said(page, "connected")
    assert page.evaluate("violations") == []
