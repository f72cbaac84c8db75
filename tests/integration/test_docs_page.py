"""The page at /docs as browsers get it: complete, strict, readable on a phone, useful without scripts."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests import processes

CHROMIUM = shutil.which("chromium")
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1300, "height": 900}


@pytest.fixture(scope="module")
def page_text(shop_web: processes.Web) -> str:
    return shop_web.http.get("/docs").text


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs chromium on the path")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Browser, shop_web: processes.Web) -> Iterator[Callable[..., Page]]:
    """Open an address in a context of its own; whatever the console said fails the test."""
    said: list[str] = []
    contexts: list[BrowserContext] = []

    def open_page(path: str = "/docs", **options: object) -> Page:
        context = browser.new_context(base_url=shop_web.url, **{"viewport": DESK, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


def test_every_operation_is_on_the_page(shop_web: processes.Web, page_text: str) -> None:
    api = shop_web.http.get("/openapi.json").json()
    shown = re.findall(r'<article class="operation" id="([^"]+)"', page_text)
    assert len(shown) == len(set(shown)) == sum(len(methods) for methods in api["paths"].values())


def test_every_link_inside_the_page_leads_somewhere(page_text: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page_text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page_text)) <= set(ids)


def test_the_page_keeps_to_the_strict_policy(shop_web: processes.Web, page_text: str) -> None:
    assert "default-src 'self'" in shop_web.http.get("/docs").headers["Content-Security-Policy"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|https?://(?!127\.0\.0\.1)", page_text)


def test_what_the_page_needs_is_served(shop_web: processes.Web, page_text: str) -> None:
    wanted = {*re.findall(r'(?:src|href)="(/[^"]+)"', page_text), "/favicon.ico"}
    assert {path: shop_web.http.get(path).status_code for path in wanted} == dict.fromkeys(wanted, 200)


def test_examples_name_the_address_the_reader_came_by(shop_web: processes.Web) -> None:
    text = httpx2.get(f"{shop_web.url}/docs", headers={"Host": "platform.example"}, trust_env=False).text
    assert "curl http://platform.example/health" in text


def test_a_host_name_cannot_write_into_the_page(shop_web: processes.Web) -> None:
    text = httpx2.get(f"{shop_web.url}/docs", headers={"Host": "a<script>alert(1)</script>"}, trust_env=False).text
    assert "<script>alert" not in text


def test_typing_filters_the_list(visit: Callable[..., Page]) -> None:
    page = visit()
    page.keyboard.press("/")
    page.keyboard.type("jobs delete")
    assert page.locator(".side li:visible").all_inner_texts() == ["DELETE\nCancel a job"]
    page.keyboard.press("Enter")
    assert page.url.endswith("#delete-jobs-job-id")
    page.get_by_role("searchbox").fill("zzz")
    assert page.get_by_text("Nothing matches").is_visible()


def test_a_button_copies_the_command(visit: Callable[..., Page], shop_web: processes.Web) -> None:
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    page.locator("#get-health").get_by_role("button", name="Copy").click()
    page.locator("#get-health").get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == f"curl {shop_web.url}/health"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_nothing_is_wider_than_the_screen(visit: Callable[..., Page], scheme: str, viewport: dict[str, int]) -> None:
    page = visit(color_scheme=scheme, viewport=viewport)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_dark_and_light_differ(visit: Callable[..., Page]) -> None:
    grounds = {s: visit(color_scheme=s).evaluate(GROUND) for s in ("light", "dark")}
    assert grounds == {"light": "rgb(251, 251, 253)", "dark": "rgb(14, 17, 24)"}


GROUND = "getComputedStyle(document.documentElement).backgroundColor"


def test_on_a_phone_the_list_opens_and_closes(visit: Callable[..., Page]) -> None:
    page = visit(viewport=PHONE)
    assert not page.locator(".side").is_visible()
    page.get_by_text("Operations", exact=True).click()
    page.locator(".side").get_by_text("Submit a job").click()
    assert not page.locator(".side").is_visible()
    assert page.locator("#post-jobs").is_visible()


def test_it_works_without_scripts(visit: Callable[..., Page]) -> None:
    page = visit(viewport=PHONE, java_script_enabled=False)
    page.get_by_text("Operations", exact=True).click()
    page.locator(".side").get_by_text("Submit a job").click()
    assert page.locator("#post-jobs").get_by_text("curl -X POST").is_visible()
    assert page.get_by_role("searchbox").count() == 0
