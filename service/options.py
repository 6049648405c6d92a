"""A request's options: one validated model made of the dataclasses of all who read them."""

from dataclasses import MISSING, Field, dataclass, field, fields
from enum import StrEnum
from typing import Any, TypeVar, get_type_hints

import pydantic
from pydantic import BaseModel, ConfigDict, create_model

from service.errors import Problem

OptionsT = TypeVar("OptionsT")


class VectorEncoding(StrEnum):
    """An embedding as JSON numbers, or as base64 of little-endian float32."""

    FLOAT = "float"
    BASE64 = "base64"


@dataclass(frozen=True)
class ModelOptions:
    model: str | None = field(
        default=None, metadata={"description": "Name of the model, from GET /models; by default the task's first"}
    )


@dataclass(frozen=True)
class EmbeddingOptions:
    encoding_format: VectorEncoding = field(
        default=VectorEncoding.FLOAT, metadata={"description": "float: JSON numbers; base64: little-endian float32"}
    )
    normalize: bool = field(default=False, metadata={"description": "Scale each vector to length 1"})


class Options:
    """The options that one endpoint knows: `types` are dataclasses, each read by another part of the service."""

    def __init__(self, name: str, *types: type) -> None:
        definitions: dict[str, Any] = {f.name: _definition(kind, f) for kind in types for f in fields(kind)}
        self.model: type[BaseModel] = create_model(name, __config__=ConfigDict(extra="forbid"), **definitions)
        required = any(field.is_required() for field in self.model.model_fields.values())
        self._usual = None if required else ParsedOptions(self.model())

    def parse(self, given: dict[str, Any]) -> "ParsedOptions":
        """Raises Problem 422, naming every option that is unknown or out of range."""
        if not given and self._usual is not None:
            return self._usual
        try:
            return ParsedOptions(self.model.model_validate(given))
        except pydantic.ValidationError as error:
            raise _invalid(error, self.model) from error

    def openapi_parameters(self) -> list[dict[str, Any]]:
        schema = self.model.model_json_schema(ref_template="#/components/schemas/{model}")
        definitions = schema.get("$defs", {})
        return [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": prop.pop("description", ""),
                "schema": _inline(prop, definitions),
            }
            for name, prop in schema["properties"].items()
        ]


class ParsedOptions:
    """Valid options of all types; each reader takes its own."""

    def __init__(self, values: BaseModel) -> None:
        self.values = values
        self._taken: dict[type, Any] = {}

    def of(self, kind: type[OptionsT]) -> OptionsT:
        if kind not in self._taken:
            self._taken[kind] = kind(**{f.name: getattr(self.values, f.name) for f in fields(kind)})  # type: ignore[arg-type]
        taken: OptionsT = self._taken[kind]
        return taken


def _definition(kind: type, option: Field[Any]) -> tuple[Any, Any]:
    default = ... if option.default is MISSING else option.default
    return get_type_hints(kind)[option.name], pydantic.Field(default, **option.metadata)


def _inline(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Put referenced enums where they are used: parameters are no place for references of their own."""
    if "$ref" in schema:
        return dict(definitions[schema["$ref"].rsplit("/", 1)[-1]])
    if "anyOf" in schema:
        return {**schema, "anyOf": [_inline(choice, definitions) for choice in schema["anyOf"]]}
    return schema


def _invalid(error: pydantic.ValidationError, model: type[BaseModel]) -> Problem:
    faults = [(".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors()]
    told = "; ".join(f"{name}: {message}" for name, message in faults)
    known = ", ".join(model.model_fields)
    errors = [{"loc": name, "msg": message} for name, message in faults]
    return Problem(422, "invalid_parameter", f"{told} (options: {known})", {"errors": errors})
