"""Fields of configuration dataclasses: limits of numbers, and construction from JSON or TOML values.

A configuration is a frozen dataclass whose fields are numbers, strings, literals, tuples of one of them, or
further configurations (its sections). Every number has its limits where it is declared:

    @dataclass(frozen=True)
    class QuantizerConfig:
        experts: int = bounded(8, 1, 32)
        form: Literal["full", "factorised"] = "full"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from .errors import SwcError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Config = TypeVar("Config", bound=DataclassInstance)

T = TypeVar("T")
_LIMITS = "limits"


class FieldError(ValueError):
    """A field is unknown or has a value it cannot have; the message names it as "section.field"."""


class Limits(NamedTuple):
    """Least and greatest value of a number, both allowed."""

    low: float
    high: float


def bounded(default: T, low: float, high: float) -> T:
    """Declare a dataclass field that is a number, or a tuple of numbers, from `low` to `high`."""
    return field(default=default, metadata={_LIMITS: Limits(low, high)})


@contextmanager
def field_errors_as(error: type[SwcError]) -> Iterator[None]:
    """Turn a FieldError raised inside the block into an error meant for the user."""
    try:
        yield
    except FieldError as caught:
        raise error(f"configuration: {caught}") from None


def number_limits(config: type[DataclassInstance]) -> dict[str, Limits]:
    """The limits of every number field of a configuration class, not of its sections.

    Raises:
        TypeError: A number field was declared without limits.
    """
    hints, limits = get_type_hints(config), {}
    for item in fields(config):
        if _element_type(hints[item.name]) in (int, float):
            if _LIMITS not in item.metadata:
                raise TypeError(f"{config.__name__}.{item.name} is a number without limits: use bounded()")
            limits[item.name] = item.metadata[_LIMITS]
    return limits


def check_fields(config: DataclassInstance, name: str) -> None:
    """Check the numbers and literals of a configuration, not those of its sections.

    Args:
        config: What is checked.
        name: Its name in messages.

    Raises:
        FieldError: A number is out of its limits, or a string is none of the literals.
    """
    for key, (low, high) in number_limits(type(config)).items():
        value = getattr(config, key)
        for number in value if isinstance(value, tuple) else (value,):
            if not low <= number <= high:  # true for NaN, too
                raise FieldError(f"{name}.{key} must be {low:g} to {high:g}: {value!r}")
    for key, hint in get_type_hints(type(config)).items():
        value = getattr(config, key)
        if get_origin(hint) is Literal and value not in get_args(hint):
            raise FieldError(f"{name}.{key} must be one of {', '.join(get_args(hint))}: {value!r}")


def from_mapping(config: type[Config], values: object, name: str) -> Config:
    """Build a configuration, sections included, from plain values; what is missing gets its default.

    Args:
        config: The dataclass to build.
        values: A mapping as JSON or TOML give it.
        name: Its name in messages.

    Raises:
        FieldError: A field is unknown or of the wrong type, or a value is refused by the dataclass.
    """
    if not isinstance(values, Mapping):
        raise FieldError(f"{name} must be a table, not {values!r}")
    hints = get_type_hints(config)
    if unknown := sorted(values.keys() - hints.keys()):
        raise FieldError(f"unknown field {name}.{unknown[0]}")
    return config(**{key: _converted(value, hints[key], f"{name}.{key}") for key, value in values.items()})


def _element_type(hint: Any) -> Any:
    """X of tuple[X, ...]; any other type itself."""
    return get_args(hint)[0] if get_origin(hint) is tuple else hint


def _converted(value: object, hint: Any, name: str) -> object:
    """A plain value as the type of its field."""
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise FieldError(f"{name} must be a list: {value!r}")
        return tuple(_converted(element, _element_type(hint), name) for element in value)
    if is_dataclass(hint) and isinstance(hint, type):
        return from_mapping(hint, value, name)
    if hint is float and type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise FieldError(f"{name} is too large") from None
    expected = str if get_origin(hint) is Literal else hint
    if type(value) is not expected:
        raise FieldError(f"{name} must be {expected.__name__}: {value!r}")
    return value
