"""The end of the demonstration: what happened, what was found, where to look."""

from __future__ import annotations

from collections.abc import Sequence

from web.demo.act import Outcome
from web.demo.folder import Folder
from web.demo.screen import Screen
from web.demo.throwaway import FLOWER_USER, Access, Throwaway


def show(screen: Screen, folder: Folder, played: Sequence[tuple[str, Outcome]]) -> None:
    """Counts, rates and times; p50 and p95 are from being sent to being done."""
    screen.say()
    screen.say("What happened", "bold")
    screen.table(played)
    for title, outcome in played:
        for number, note in enumerate(outcome.notes):
            screen.fact("" if number else title, note)
    screen.say()
    screen.say(f"What is in {folder.path}", "bold")
    for _, outcome in played:
        for label, value in outcome.found:
            screen.fact(label, value)


def addresses(screen: Screen, access: Access, stays: bool) -> None:
    screen.say()
    screen.say("Where it answers" if stays else "Where it answered", "bold")
    screen.fact("API", access.url)
    screen.fact("Docs", f"{access.url}/docs")
    screen.fact("Flower", access.flower_url)


def kept(screen: Screen, access: Access, platform: Throwaway) -> None:
    """What is needed to use it from now on, and to end it."""
    screen.fact("Sign in", f"{access.email}, password and API key in {platform.keep(access)}")
    screen.fact("Sign in to Flower", f"{FLOWER_USER}, password in {platform.flower_password_file}")
    screen.fact("Logs", str(platform.logs))
    screen.say()
    screen.say("It goes on running. To stop it and remove what it stored:")
    screen.say(f"  {platform.stop_command}")
