"""Functions and providers are found by name, with the nearest one named when they are not."""

from __future__ import annotations

import pytest

from tasks.modules import DuplicateFunction, UnknownFunction, find_function, function
from tasks.offload import Provider, UnknownAction, UnknownProvider, action, find_action, find_provider


@function("RegistryTest")
def greet(name: str) -> str:
    """Greet somebody.

    More text.
    """
    return f"hello {name}"


class Lamp(Provider):
    name = "test.lamp"

    @action
    def blink(self, type: str, name: str, times: int = 1) -> int:
        return times

    def not_an_action(self) -> None: ...


def test_a_function_has_an_address_a_task_and_a_summary() -> None:
    found = find_function("RegistryTest", "greet")
    assert (found.task.name, found.summary, found.wait_s) == ("RegistryTest.greet", "Greet somebody.", None)
    assert greet("ann") == "hello ann"


def test_an_unknown_function_names_the_nearest() -> None:
    with pytest.raises(UnknownFunction, match="did you mean 'RegistryTest/greet'"):
        find_function("RegistryTest", "gret")


def test_two_functions_cannot_share_an_address() -> None:
    def other() -> None: ...

    other.__name__ = "greet"
    with pytest.raises(DuplicateFunction, match=r"/api/RegistryTest/greet is taken"):
        function("RegistryTest")(other)


def test_a_provider_is_registered_by_being_declared() -> None:
    assert isinstance(find_provider("test.lamp"), Lamp)
    with pytest.raises(UnknownProvider, match="did you mean 'test\\.lamp'"):
        find_provider("test.lmp")


def test_only_marked_methods_are_actions() -> None:
    lamp = find_provider("test.lamp")
    assert lamp.actions() == ["blink"]
    assert find_action(lamp, "blink")(type="t", name="n", times=2) == 2
    for name in ("not_an_action", "delete", "__init__"):
        with pytest.raises(UnknownAction):
            find_action(lamp, name)
