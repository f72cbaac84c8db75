"""What a callable accepts, checked before anything is enqueued."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from platform.errors import PlatformError, did_you_mean
from platform.serialization import encode

Problem = dict[str, Any]
KEYWORDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class InvalidArguments(PlatformError):
    """The arguments do not fit; ``problems`` is a list of ``{"loc": [...], "msg": ...}``."""

    def __init__(self, problems: list[Problem]):
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in self.problems)


class Signature:
    """The parameters of a function (of a bound task: without ``self``), by name, type and default."""

    def __init__(self, function: Callable[..., Any], skip_first: bool = False):
        self.function = function
        parameters = list(inspect.signature(function).parameters.values())
        self.parameters = {p.name: p for p in (parameters[1:] if skip_first else parameters)}
        self.takes_any_keyword = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in self.parameters.values())

    def check_call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Whether a call with these would bind, names and count; types are the task's own business.

        Raises InvalidArguments.
        """
        self._refuse_unknown(kwargs)
        try:
            self._call.bind(*args, **kwargs)
        except TypeError as exc:
            raise InvalidArguments([{"loc": ["args"], "msg": str(exc)}]) from exc

    def from_text(self, values: Mapping[str, str]) -> dict[str, Any]:
        """Keyword arguments from a query string: ``"3"`` becomes 3 where an int is declared."""
        return self._checked(values, lambda: self._model.model_validate(dict(values)))

    def from_json(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Keyword arguments from a JSON object: ``"3"`` is not an int."""
        return self._checked(values, lambda: self._model.model_validate_json(encode(values), strict=True))

    def describe(self) -> dict[str, Any]:
        """JSON Schema of the keyword arguments."""
        return TypeAdapter(self._model).json_schema(ref_template="#/components/schemas/{model}")

    @cached_property
    def _call(self) -> inspect.Signature:
        return inspect.Signature(list(self.parameters.values()))

    @cached_property
    def _model(self) -> type[BaseModel]:
        hints = get_type_hints(self.function, include_extras=True)
        fields: dict[str, Any] = {
            f"p_{name}": (hints.get(name, Any), _field(name, p))
            for name, p in self.parameters.items()
            if p.kind in KEYWORDS
        }
        config = ConfigDict(
            extra="allow" if self.takes_any_keyword else "forbid", title=self.function.__name__, allow_inf_nan=False
        )
        return create_model(self.function.__name__, __config__=config, **fields)

    def _checked(self, values: Mapping[str, Any], validate: Callable[[], BaseModel]) -> dict[str, Any]:
        self._refuse_unknown(values)
        try:
            model = validate()
        except ValidationError as exc:
            raise InvalidArguments(problems_of(exc)) from exc
        return model.model_dump(mode="json", exclude_unset=True, by_alias=True)

    def _refuse_unknown(self, values: Mapping[str, Any]) -> None:
        if self.takes_any_keyword:
            return
        names = [name for name, p in self.parameters.items() if p.kind in KEYWORDS]
        unknown = [name for name in values if name not in names]
        if unknown:
            text = "there is no such argument"
            raise InvalidArguments([{"loc": [n], "msg": text + did_you_mean(n, names)} for n in unknown])


def _field(name: str, parameter: inspect.Parameter) -> Any:
    # Prefixed, because pydantic gives some names (model_…, a leading underscore) a meaning; users see the alias.
    required = parameter.default is inspect.Parameter.empty
    return Field(alias=name) if required else Field(parameter.default, alias=name)


def problems_of(exc: ValidationError, prefix: Sequence[str] = ()) -> list[Problem]:
    """Pydantic's errors as ``{"loc", "msg"}``, without the values, which may be secret or huge."""
    found = exc.errors(include_url=False, include_context=False, include_input=False)
    return [{"loc": [*prefix, *error["loc"]], "msg": error["msg"]} for error in found]
