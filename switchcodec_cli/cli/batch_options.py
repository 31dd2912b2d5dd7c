"""Options of the commands that execute a plan."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from ..batch.manifest import manifest_path
from ..batch.plan import Conversion, Plan, Selection, plan_jobs
from ..batch.run import RunOptions
from ..batch.shard import Shard
from .options import (
    device_option,
    dry_run_option,
    force_option,
    jobs_option,
    json_option,
    manifest_option,
    parse_selection,
    quiet_option,
    ray_option,
    selection_options,
    update_option,
    weights_option,
)

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class BatchOptions:
    """Values of the options that `batch_options` adds to a command."""

    relative_to: str | None
    exclude: tuple[str, ...]
    files_from: str | None
    null: bool
    shard: Shard | None
    weights: str | None
    device: str
    jobs: int | None
    ray_address: str | None
    manifest: str | None
    update: bool
    force: bool
    dry_run: bool
    as_json: bool
    quiet: bool

    def plan(self, inputs: Sequence[str], output: str | None, conversion: Conversion) -> Plan:
        """The jobs for the arguments of the command. Raises SwcError."""
        return plan_jobs(inputs, output, conversion, self.selection(inputs))

    def selection(self, inputs: Sequence[str]) -> Selection:
        """Which inputs are taken beside the arguments. Raises SwcError."""
        return parse_selection(
            inputs=inputs,
            relative_to=self.relative_to,
            exclude=self.exclude,
            files_from=self.files_from,
            null=self.null,
            shard=self.shard,
        )

    def manifest_path(self) -> str | None:
        """The manifest to write, None for none. Raises UsageError."""
        return None if self.manifest is None else manifest_path(self.manifest, self.shard)

    def run_options(self, delete_input: bool = False) -> RunOptions:
        """What is done about outputs that exist, and beside the execution of jobs."""
        return RunOptions(self.force, self.update, self.dry_run, delete_input)


_NAMES = tuple(field.name for field in fields(BatchOptions))
_OPTIONS = (
    selection_options,
    weights_option,
    device_option,
    jobs_option,
    ray_option,
    manifest_option,
    update_option,
    force_option,
    dry_run_option,
    json_option,
    quiet_option,
)


def batch_options(function: Function) -> Function:
    """Add options to a command, which gets their values as `batch`, a `BatchOptions`."""

    @functools.wraps(function)
    def command(*arguments: Any, **values: Any) -> Any:
        batch = BatchOptions(**{name: values.pop(name) for name in _NAMES})
        return function(*arguments, batch=batch, **values)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command  # type: ignore[return-value]  # has other parameters than the function
