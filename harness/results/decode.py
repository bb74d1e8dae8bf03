"""Build frozen dataclasses from JSON types, strictly: each fault names its place.

A stored result must be what its schema says, or it is refused: a figure that
was cut off, a status nobody knows, or NaN in place of a number would otherwise
travel into a report and look like a measurement.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar, Union

T = TypeVar("T")


class DecodeError(ValueError):
    """A value does not fit its field; `place` is its path in the document."""

    def __init__(self, place: str, fault: str) -> None:
        super().__init__(f"{place}: {fault}")
        self.place = place
        self.fault = fault


def decode(cls: type[T], data: Any, place: str = "") -> T:
    """Return an instance of the dataclass cls made of data (JSON types).

    Fields with a default may be absent, others may not; unknown fields are
    refused.  Raises DecodeError.
    """
    if not isinstance(data, Mapping):
        raise DecodeError(place or "the document", f"must be an object, not {_name(data)}")
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    prefix = f"{place}." if place else ""
    for key in data:
        if key not in fields:
            raise DecodeError(f"{prefix}{key}", "is not a field of this schema")
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _value(hints[name], data[name], f"{prefix}{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise DecodeError(f"{prefix}{name}", "is missing")
    return cls(**values)


def _value(hint: Any, data: Any, place: str) -> Any:
    """Return data as the type that hint names."""
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin in {Union, types.UnionType}:
        inner = next(item for item in arguments if item is not type(None))
        return None if data is None else _value(inner, data, place)
    if origin is tuple:
        if not isinstance(data, list | tuple):
            raise DecodeError(place, f"must be a list, not {_name(data)}")
        return tuple(_value(arguments[0], item, f"{place}[{i}]") for i, item in enumerate(data))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(data, Mapping):
            raise DecodeError(place, f"must be an object, not {_name(data)}")
        items = data.items()
        return {str(key): _value(arguments[1], item, f"{place}.{key}") for key, item in items}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return decode(hint, data, place)
    return data if hint is Any else _scalar(hint, data, place)


def _scalar(hint: Any, data: Any, place: str) -> Any:
    if isinstance(hint, type) and issubclass(hint, Enum):
        try:
            return hint(data)
        except ValueError:
            known = ", ".join(str(item.value) for item in hint)
            raise DecodeError(place, f"{data!r} is none of {known}") from None
    if hint is float:
        # JSON has one number type: 3 is a float here, true is not.
        if isinstance(data, bool) or not isinstance(data, int | float):
            raise DecodeError(place, f"must be a number, not {_name(data)}")
        if not math.isfinite(data):
            raise DecodeError(place, f"must be finite, not {data}")
        return float(data)
    if hint in {str, int, bool}:
        if not isinstance(data, hint) or (hint is int and isinstance(data, bool)):
            raise DecodeError(place, f"must be {_KINDS[hint]}, not {_name(data)}")
        return data
    raise TypeError(f"{place}: no rule for fields of type {hint}")


_KINDS: dict[Any, str] = {str: "a string", int: "an integer", bool: "true or false"}


def _name(data: Any) -> str:
    if data is None:
        return "null"
    names = {bool: "true or false", str: "a string", int: "a number", float: "a number"}
    return names.get(type(data), "an object" if isinstance(data, Mapping) else "a list")
