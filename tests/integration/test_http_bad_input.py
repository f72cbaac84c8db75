"""Bad input: a clear error with the right status, and nothing enqueued."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
import redis

from tests.integration.conftest import Shop

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def nothing_enqueued(shop: Shop) -> Iterator[None]:
    """After the test no job is recorded; a message is never published without its record."""
    yield
    with redis.Redis.from_url(shop.redis_url) as client:
        assert list(client.scan_iter("*:jobs:*")) == []


pytestmark = pytest.mark.usefixtures("nothing_enqueued")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"task": "shop.ad"}, 404, "did you mean 'shop.add'?"),
        ({"task": "shop.secret"}, 404, "there is no public task 'shop.secret'"),
        ({"task": "shop.add", "kwargs": {"a": 1, "c": 2}}, 422, "there is no such argument"),
        ({"task": "shop.add", "args": [1]}, 422, "missing a required argument: 'b'"),
        ({"task": "shop.add", "args": [1, 2, 3]}, 422, "too many positional arguments"),
        ({"task": "shop.add", "args": [1, 2], "priority": 11}, 422, "less than or equal to 9"),
        ({"task": "shop.add", "args": [1, 2], "priority": -1}, 422, "greater than or equal to 0"),
        ({"task": "shop.add", "args": [1, 2], "priority": "5"}, 422, "valid integer"),
        ({"task": "shop.add", "args": [1, 2], "queue": "offlod"}, 422, "did you mean 'offload'?"),
        ({"task": "shop.add", "args": [1, 2], "queue": "dead-letter"}, 422, "there is no queue"),
        ({"task": "shop.add", "args": [1, 2], "countdown": -1}, 422, "greater than or equal to 0"),
        ({"task": "shop.add", "args": [1, 2], "countdown": 1, "eta": "2027-01-01T00:00:00Z"}, 422, "not both"),
        ({"task": "shop.add", "args": [1, 2], "eta": "9999-12-31T23:59:59-12:00"}, 422, "year 9998 at the latest"),
        ({"task": "shop.add", "args": [1, 2], "max_retries": -1}, 422, "greater than or equal to 0"),
        ({"task": "shop.add", "args": {}}, 422, "valid array"),
        ({"task": "shop.add", "argz": []}, 422, "Extra inputs are not permitted"),
        ({"args": []}, 422, "Field required"),
        ([], 422, ""),
        ("text", 422, ""),
    ],
)
def test_a_job_that_cannot_be_submitted_says_why(ann: httpx2.Client, body: object, status: int, words: str) -> None:
    answer = ann.post("/jobs", json=body, headers=JSON)
    problem = answer.json()
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert words in problem["detail"] + str(problem["errors"])


@pytest.mark.parametrize(
    "raw",
    [
        b"{bad",
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"task": "shop.add"',
        b'{"task": "shop.add", "args": [NaN, 1]}',
        b'{"task": "shop.add", "args": [1e999, 1]}',
    ],
)
def test_unreadable_json_is_400(ann: httpx2.Client, raw: bytes) -> None:
    answer = ann.post("/jobs", content=raw, headers=JSON)
    assert (answer.status_code, answer.json()["title"]) == (400, "Bad Request")


def test_a_chunked_body_over_the_limit_is_413_and_not_cut(ann: httpx2.Client) -> None:
    def chunks():
        yield b'{"task": "shop.add", "args": [1, 2]}'
        for _ in range(40):
            yield b" " * 65_536

    assert ann.post("/jobs", content=chunks(), headers=JSON).status_code == 413


def test_a_head_request_calls_no_function(ann: httpx2.Client) -> None:
    assert ann.head("/api/Calc/multiply?a=1").status_code == 405


def test_a_function_called_by_cookie_needs_the_csrf_token(ann: httpx2.Client) -> None:
    signed_in = ann.post("/session")
    cookie = {"Cookie": signed_in.headers["Set-Cookie"].partition(";")[0]}
    url = f"{ann.base_url}/api/Calc/multiply?a=1"
    assert httpx2.get(url, headers=cookie).status_code == 403


def test_another_content_type_is_415(ann: httpx2.Client) -> None:
    assert ann.post("/jobs", data={"task": "shop.add"}).status_code == 415


def test_a_body_of_ten_megabytes_is_413(ann: httpx2.Client) -> None:
    answer = ann.post("/jobs", content=b"x" * 10_000_000, headers=JSON)
    assert (answer.status_code, "PLATFORM_BODY_MAX_BYTES" in answer.json()["detail"]) == (413, True)


@pytest.mark.parametrize("authorization", [None, "Bearer pk_aaaaaaaaaa_wrong", "Bearer x", "Basic YTpi"])
def test_no_key_or_a_wrong_one_is_401(ann: httpx2.Client, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = httpx2.post(f"{ann.base_url}/jobs", json={"task": "shop.add", "args": [1, 2]}, headers=headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/api/Calc/multipy?a=1", None, 404, "did you mean 'Calc/multiply'?"),
        ("GET", "/api/Calc/multiply?a=x", None, 422, "valid integer"),
        ("GET", "/api/Calc/multiply?a=1&c=2", None, 422, "there is no such argument"),
        ("GET", "/api/Calc/multiply", None, 422, "Field required"),
        ("POST", "/api/Calc/multiply", {"a": "1"}, 422, "valid integer"),
        ("POST", "/api/Calc/multiply", [1], 422, "should be an object"),
        ("PUT", "/resources/acme.shelv/box/red", {}, 404, "did you mean 'acme.shelf'?"),
        ("POST", "/resources/acme.shelf/box/red/restrat", {}, 404, "did you mean 'restart'?"),
        ("PUT", "/resources/files/checksun/x", {"path": "/etc"}, 422, "did you mean 'checksum'?"),
        ("PUT", "/resources/files/checksum/x", {"pfad": "/etc"}, 422, "send exactly"),
        ("GET", "/resources/acme.shelf/box/none", None, 404, "there is no resource acme.shelf/box/none"),
        ("GET", "/jobs/none", None, 404, "no job 'none' is known"),
        ("DELETE", "/jobs/none", None, 404, "no job 'none' is known"),
        ("GET", "/jobs?state=done", None, 422, "'completed'"),
        ("GET", "/jobs?page=0", None, 422, "greater than or equal to 1"),
        ("GET", "/jobs?stat=pending", None, 422, "Extra inputs are not permitted"),
        ("PATCH", "/jobs", None, 405, "PATCH is not possible at /jobs"),
        ("GET", "/nowhere", None, 404, "there is nothing at /nowhere"),
    ],
)
def test_every_route_says_what_is_wrong(
    ann: httpx2.Client, method: str, path: str, body: object, status: int, words: str
) -> None:
    answer = ann.request(method, path, json=body) if body is not None else ann.request(method, path)
    problem = answer.json()
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert words in problem["detail"] + str(problem["errors"])
