"""Configuration dataclasses: limits with every number, construction from plain values."""

from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, get_type_hints

import pytest

from switchcodec_cli.config_fields import (
    FieldError,
    bounded,
    check_fields,
    field_errors_as,
    from_mapping,
    number_limits,
)
from switchcodec_cli.errors import UsageError
from switchcodec_cli.model.config import DacConfig, ModelConfig, QuantizerConfig, SpectralConfig
from switchcodec_cli.training.config import TrainingConfig


@dataclass(frozen=True)
class Section:
    size: int = bounded(4, 1, 10)
    share: float = bounded(0.5, 0.0, 1.0)
    sizes: tuple[int, ...] = bounded((), 1, 10)
    form: Literal["full", "short"] = "full"
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Whole:
    section: Section = field(default_factory=Section)
    name: str = ""


@dataclass(frozen=True)
class Unbounded:
    size: int = 4


@dataclass(frozen=True)
class UnboundedTuple:
    sizes: tuple[float, ...] = (1.0,)


def sections(config: type) -> list[type]:
    """A configuration class and those of its sections, at any depth."""
    hints = get_type_hints(config)
    inner = [hints[item.name] for item in fields(config) if is_dataclass(hints[item.name])]
    return [config, *(each for section in inner for each in sections(section))]


def test_sections_include_the_model():
    assert {ModelConfig, SpectralConfig, DacConfig, QuantizerConfig} < set(sections(TrainingConfig))


@pytest.mark.parametrize("config", sections(TrainingConfig), ids=lambda config: config.__name__)
def test_every_number_of_every_configuration_has_limits_that_allow_its_default(config):
    for name, (low, high) in number_limits(config).items():
        value = getattr(config(), name)
        for number in value if isinstance(value, tuple) else (value,):
            assert low <= number <= high, name
        assert low < high, name


@pytest.mark.parametrize("config", [Unbounded, UnboundedTuple])
def test_numbers_without_limits_are_an_error(config: Any):
    with pytest.raises(TypeError, match=f"{config.__name__}.size.* is a number without limits"):
        number_limits(config)
    with pytest.raises(TypeError):
        check_fields(config(), "config")


def test_values_within_limits_are_accepted():
    config = from_mapping(
        Whole,
        {"section": {"size": 10, "share": 1, "sizes": [1, 10], "names": ["a"], "form": "short"}},
        "whole",
    )
    assert config == Whole(Section(10, 1.0, (1, 10), "short", ("a",)))
    assert type(config.section.share) is float
    check_fields(config.section, "whole.section")
    assert from_mapping(Whole, {}, "whole") == Whole()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "whole must be a table"),
        ({"colour": 1}, "unknown field whole.colour"),
        ({"section": {"colour": 1}}, "unknown field whole.section.colour"),
        ({"section": 3}, "whole.section must be a table"),
        ({"section": {"size": 4.0}}, "whole.section.size must be int"),
        ({"section": {"size": True}}, "whole.section.size must be int"),
        ({"section": {"share": "1"}}, "whole.section.share must be float"),
        ({"section": {"sizes": 4}}, "whole.section.sizes must be a list"),
        ({"section": {"sizes": [4, True]}}, "whole.section.sizes must be int"),
        ({"section": {"sizes": [4, None]}}, "whole.section.sizes must be int"),
        ({"section": {"names": [4]}}, "whole.section.names must be str"),
        ({"section": {"form": 4}}, "whole.section.form must be str"),
        ({"name": None}, "whole.name must be str"),
    ],
)
def test_unknown_and_ill_typed_fields_are_refused(values, message):
    with pytest.raises(FieldError, match=message):
        from_mapping(Whole, values, "whole")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (Section(size=0), "section.size must be 1 to 10: 0"),
        (Section(size=11), "section.size must be 1 to 10: 11"),
        (Section(share=float("nan")), "section.share must be 0 to 1: nan"),
        (Section(share=float("inf")), "section.share"),
        (Section(sizes=(4, 11)), "section.sizes must be 1 to 10"),
        (Section(form="long"), "section.form must be one of full, short: 'long'"),
    ],
)
def test_values_out_of_their_limits_are_refused(section, message):
    with pytest.raises(FieldError, match=message):
        check_fields(section, "section")


def test_field_errors_become_errors_for_the_user():
    with pytest.raises(UsageError, match=r"^configuration: section\.size"), field_errors_as(UsageError):
        check_fields(Section(size=0), "section")
