"""Functions and providers are found by name, with the nearest one named when they are not."""

from __future__ import annotations

import pytest

from tasks import offload
from tasks.modules import DuplicateFunction, UnknownFunction, find_function, function
from tasks.offload import (
    BadProvider,
    DuplicateProvider,
    Provider,
    UnknownAction,
    UnknownProvider,
    action,
    find_action,
    find_provider,
    providers,
)


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


@pytest.mark.parametrize("base", [Provider, Lamp])
def test_a_provider_without_a_name_of_its_own_is_refused(base: type[Provider]) -> None:
    with pytest.raises(BadProvider, match=r'\.Nameless: it has no name; write name = "acme\.shelf"'):
        type("Nameless", (base,), {})


@pytest.mark.parametrize("name", ["", "a/b", 7, "x" * 201])
def test_a_name_that_no_address_can_have_is_refused(name: object) -> None:
    with pytest.raises(BadProvider, match=r"cannot stand in an address; .* 1 to 200 characters without /"):
        type("Odd", (Provider,), {"name": name})


def test_two_providers_cannot_share_a_name() -> None:
    with pytest.raises(DuplicateProvider, match=r"the name test\.lamp is .*test_registries\.Lamp's already"):
        type("Bulb", (Provider,), {"name": "test.lamp"})
    assert isinstance(find_provider("test.lamp"), Lamp)


@pytest.mark.parametrize("module", [__name__, "__main__"])
def test_a_provider_of_a_module_that_is_loaded_again_takes_its_place(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(offload._providers, "test.lamp", find_provider("test.lamp"))
    again = type("Lamp", (Provider,), {"name": "test.lamp", "__module__": module})
    assert type(find_provider("test.lamp")) is again


def test_a_base_for_others_is_no_provider() -> None:
    before = providers()

    class Light(Provider, abstract=True): ...

    assert providers() == before


def test_only_marked_methods_are_actions() -> None:
    lamp = find_provider("test.lamp")
    assert lamp.actions() == ["blink"]
    assert find_action(lamp, "blink")(type="t", name="n", times=2) == 2
    for name in ("not_an_action", "delete", "__init__"):
        with pytest.raises(UnknownAction):
            find_action(lamp, name)
