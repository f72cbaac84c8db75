"""Models: what documents of a type look like, who sees them, what they are found by.

``class Note(Model): title: str; n: int = 0`` declares the type ``note``. Fields are pydantic's, read strictly: nothing
is converted (dates and the like come as JSON writes them, in strings), nothing unknown is let in. What is not told in
fields is told beside the base class: ``class Note(Model, visibility="app", indexes=("title",))``.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from platform import serialization
from platform.documents.change import SYSTEM_FIELDS
from platform.documents.depth import MAX_DEPTH, is_deeper
from platform.documents.errors import InvalidDocument, UnknownModel
from platform.errors import PlatformError, did_you_mean

log = logging.getLogger(__name__)

Visibility = Literal["owner", "app"]
MAX_INDEXES = 8
TYPE_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,39}")


class BadModel(PlatformError):
    """A class of Model says of itself what cannot be."""


class DuplicateModel(PlatformError):
    """Two classes want the same type."""


@dataclass(frozen=True)
class Declaration:
    """What a model says of itself. ``owner``: only whose a document is sees it; ``app``: every user of the tenant.

    The database keeps an index on each field of ``indexes``. ``is_replaceable``: another class of the type takes
    this one's place, whichever comes first; so are the ones that are shipped.
    """

    type: str
    visibility: Visibility
    indexes: tuple[str, ...]
    is_replaceable: bool


class Model(BaseModel):
    """A document's own fields; subclass it to declare a type.

    Beside the base class may stand ``type`` (default: the class's name in lower_snake_case; None: no type, a base for
    others), ``visibility`` (``"owner"`` or ``"app"``), ``indexes`` (names of fields) and ``replaceable``. None of them
    is inherited. Raises BadModel and DuplicateModel where the class is written.
    """

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)
    declared: ClassVar[Declaration]

    def __init_subclass__(
        cls,
        *,
        type: str | None = "",
        visibility: Visibility = "owner",
        indexes: tuple[str, ...] = (),
        replaceable: bool = False,
        **unknown: Any,
    ) -> None:
        super().__init_subclass__()
        if unknown:
            known = ("type", "visibility", "indexes", "replaceable")
            raise BadModel(f"{cls.__qualname__}: unknown option {min(unknown)}{did_you_mean(min(unknown), known)}")
        indexes = (indexes,) if isinstance(indexes, str) else tuple(indexes)
        name = _snake(cls.__name__) if type == "" else type
        cls.declared = Declaration(name or "", visibility, indexes, replaceable)

    @classmethod
    def __pydantic_init_subclass__(cls, **_options: Any) -> None:
        """Called by pydantic once the class knows its fields."""
        if cls.declared.type:
            _check(cls, cls.declared)
            _register(cls)


_models: dict[str, type[Model]] = {}


def model_of(type: str) -> type[Model]:
    """The model of that type. Raises UnknownModel, which names the nearest."""
    found = _models.get(type)
    if found is None:
        raise UnknownModel(type, sorted(_models))
    return found


def models() -> list[type[Model]]:
    """Every declared model, by type."""
    return [_models[type] for type in sorted(_models)]


def checked_fields(model: type[Model], fields: Mapping[str, Any]) -> dict[str, Any]:
    """A document's own fields as they are stored: defaults filled in, in the model's order, as JSON has them.

    Raises InvalidDocument.
    """
    name = model.declared.type
    if is_deeper(fields, MAX_DEPTH - 1):
        raise InvalidDocument(name, [{"loc": [], "msg": f"it is nested more than {MAX_DEPTH} deep"}])
    try:
        made = model.model_validate_json(serialization.encode(fields))
        return made.model_dump(mode="json", by_alias=True)
    except serialization.NotJSON as exc:
        raise InvalidDocument(name, [{"loc": [], "msg": str(exc)}]) from exc
    except ValidationError as exc:
        raise InvalidDocument(name, _problems(exc)) from exc
    except Exception as exc:  # the model's own validators are the user's code, and one document's trouble at most
        log.warning("the model %s could not check a document", name, exc_info=True)
        problem = f"the model could not check it: {type(exc).__name__}: {exc}"
        raise InvalidDocument(name, [{"loc": [], "msg": problem}]) from exc


def _problems(exc: ValidationError) -> list[dict[str, Any]]:
    found = exc.errors(include_url=False, include_context=False, include_input=False)
    return [{"loc": list(error["loc"]), "msg": _message(error)} for error in found]


def _message(error: Any) -> str:
    if error["type"] == "extra_forbidden" and error["loc"][:1] and error["loc"][0] in SYSTEM_FIELDS:
        return "It is kept by the platform and cannot be given"
    return str(error["msg"])


def _check(cls: type[Model], declared: Declaration) -> None:
    who = cls.__qualname__
    names = field_names(cls)
    if not TYPE_PATTERN.fullmatch(declared.type):
        raise BadModel(f"{who}: the type {declared.type!r} must be 1 to 40 of a-z, 0-9 and _, a letter first")
    if declared.visibility not in get_args(Visibility):
        raise BadModel(f"{who}: visibility is 'owner' or 'app', not {declared.visibility!r}")
    if taken := sorted(set(names) & set(SYSTEM_FIELDS)):
        raise BadModel(f"{who}: the platform keeps a field {taken[0]} itself; name yours otherwise")
    if len(declared.indexes) > MAX_INDEXES:
        raise BadModel(f"{who}: {len(declared.indexes)} indexes; at most {MAX_INDEXES}, for each costs every change")
    for index in declared.indexes:
        if index not in names:
            raise BadModel(f"{who}: there is no field {index!r} to index{did_you_mean(index, names)}")
        if not re.fullmatch(r"\w{1,64}", index, re.ASCII):
            raise BadModel(f"{who}: {index!r} cannot be indexed; its name must be 1 to 64 of a-z, A-Z, 0-9 and _")


def field_names(cls: type[Model]) -> list[str]:
    """The fields' names in JSON."""
    return [info.serialization_alias or info.alias or name for name, info in cls.model_fields.items()]


def _register(cls: type[Model]) -> None:
    declared = cls.declared
    known = _models.get(declared.type)
    if known is None or known.declared.is_replaceable or _is_again(known, cls):
        _models[declared.type] = cls
    elif not declared.is_replaceable:
        taken_by = f"{known.__module__}.{known.__qualname__}"
        raise DuplicateModel(
            f"{cls.__module__}.{cls.__qualname__}: the type {declared.type} is {taken_by}'s already;"
            " give one of them another type"
        )


def _is_again(known: type[Model], cls: type[Model]) -> bool:
    """Whether it is the same class, of a module that was loaded again."""
    return (known.__module__, known.__qualname__) == (cls.__module__, cls.__qualname__)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
