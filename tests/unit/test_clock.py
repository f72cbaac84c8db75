"""The clock is the real one unless a test's file says otherwise, and never in production."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from platform import clock


@pytest.fixture(autouse=True)
def _forgets_the_file() -> Iterator[None]:
    clock._file.cache_clear()
    yield
    clock._file.cache_clear()


def ahead_s() -> float:
    return round(clock.now_ms() / 1000 - time.time(), 1)


@pytest.mark.usefixtures("settings_env")
def test_the_clock_is_the_real_one() -> None:
    assert ahead_s() == 0


@pytest.mark.usefixtures("settings_env")
def test_a_test_moves_it_by_what_its_file_says_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ahead"
    monkeypatch.setenv(clock.VARIABLE, str(file))
    assert ahead_s() == 0
    file.write_text("7200")
    assert ahead_s() == 7200
    file.write_text("-0.5")
    assert ahead_s() == -0.5


def test_in_production_nothing_moves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings_env: Callable[..., None]
) -> None:
    settings_env(env="production", secret_keys="s" * 40, flower_password="p" * 20)
    (tmp_path / "ahead").write_text("7200")
    monkeypatch.setenv(clock.VARIABLE, str(tmp_path / "ahead"))
    assert ahead_s() == 0
