"""Why a change is not stored; trying it again would end the same way, so none of these is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from platform.errors import PlatformError, did_you_mean


class ChangeRefused(PlatformError):
    """A change that is not stored. ``status`` is what HTTP answers, ``facts`` are its attributes, fit for JSON."""

    is_permanent = True
    status: ClassVar[int] = 422

    @property
    def facts(self) -> dict[str, Any]:
        return dict(vars(self))


class UnknownModel(ChangeRefused):
    """No model of that type is declared; the nearest one of ``known`` is named."""

    status = 404

    def __init__(self, type: str, known: Iterable[str] = ()):
        known = tuple(known)
        super().__init__(type, known)
        self.type, self.known = type, known

    def __str__(self) -> str:
        hint = did_you_mean(self.type, self.known) or "; declare it as a class of tasks.models.Model"
        return f"there is no model {self.type!r}{hint}"


class InvalidDocument(ChangeRefused):
    """The document does not fit its model. ``errors``: a list of ``{"loc": [...], "msg": ...}``, one per problem."""

    def __init__(self, type: str, errors: Sequence[Mapping[str, Any]]):
        errors = [dict(error) for error in errors]
        super().__init__(type, errors)
        self.type, self.errors = type, errors

    def __str__(self) -> str:
        problems = "; ".join(f"{_place(error['loc'])}: {error['msg']}" for error in self.errors[:5])
        more = f"; and {len(self.errors) - 5} more" if len(self.errors) > 5 else ""
        return f"this is no {self.type}: {problems}{more}"


class BadPatch(ChangeRefused):
    """A patch that cannot be applied. ``index`` is the operation's place in it, from 0; None: the patch itself."""

    def __init__(self, index: int | None, problem: str):
        super().__init__(index, problem)
        self.index, self.problem = index, problem

    def __str__(self) -> str:
        place = "the patch" if self.index is None else f"operation {self.index} of the patch"
        return f"{place}: {self.problem}"


class PatchConflict(ChangeRefused):
    """The document is not what a ``test`` operation of the patch expects."""

    status = 409

    def __init__(self, index: int, path: str):
        super().__init__(index, path)
        self.index, self.path = index, path

    def __str__(self) -> str:
        where = self.path or "the document"
        return f"operation {self.index} of the patch, the test of {where}, failed; read the document again"


class VersionConflict(ChangeRefused):
    """The document has another version than the change was meant for; ``found`` is 0 where there is none."""

    status = 409

    def __init__(self, type: str, id: str, expected: int, found: int):
        super().__init__(type, id, expected, found)
        self.type, self.id, self.expected, self.found = type, id, expected, found

    def __str__(self) -> str:
        found = f"has version {self.found}" if self.found else "is not there"
        return f"{self.type} {self.id!r} {found}, not version {self.expected}; read it again and repeat the change"


class DocumentExists(ChangeRefused):
    """A new document was to get an id that is taken."""

    status = 409

    def __init__(self, type: str, id: str):
        super().__init__(type, id)
        self.type, self.id = type, id

    def __str__(self) -> str:
        return f"there is a {self.type} {self.id!r} already; patch it, or choose another id"


class UnknownDocument(ChangeRefused):
    """There is no such document, or it is somebody else's: which of both is not told."""

    status = 404

    def __init__(self, type: str, id: str):
        super().__init__(type, id)
        self.type, self.id = type, id

    def __str__(self) -> str:
        return f"there is no {self.type} {self.id!r}; list them to see which there are"


def named(name: str, args: Sequence[Any]) -> ChangeRefused:
    """The refusal whose class has that name, made of its ``args`` again."""
    kinds = {kind.__name__: kind for kind in ChangeRefused.__subclasses__()}
    return kinds[name](*args)


def _place(loc: Sequence[Any]) -> str:
    return ".".join(str(part) for part in loc) or "the document"
