"""Calls of a function on a Ray cluster, with results in order.

Every actor has one core or a share of a GPU, and executes one call at a time. When one dies, as with its
node, its call is repeated by another one, and a new actor starts when the cluster has room for it. The
function is made once in each actor, so that a model is loaded once.
"""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from .. import __version__
from ..atomic_io import remove_temporaries
from ..errors import SwcError, UsageError, describe, one_line
from .parallel import THREAD_VARIABLES, ProcessError

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

Item = TypeVar("Item")
Value = TypeVar("Value")

_TRIES = 4  # of a call whose actors die
_STARTS = 3  # of actors in succession that fail before one was ever ready
_PATIENCE_SECONDS = 300.0  # without an actor that is ready
_STOP_SECONDS = 5.0
_SIGNAL_SECONDS = 0.5  # while Ray waits, it does not react to signals
_GPU_SHARE = 0.25
_GPU_DEVICES = ("auto", "cuda")


class RayPool:
    """Actors on a Ray cluster, see `run.Pool`.

    Connects to the cluster, unless this process is connected already.

    Args:
        address: of the cluster, "auto" for the one that this machine belongs to, "local" for a new one.
        device: where models are, see `Codec.load`; decides whether actors ask for a share of a GPU.
        actors: their number; None for as many as the cluster has room for.

    Raises:
        UsageError: Ray is not installed.
        SwcError: there is no cluster at the address, or it has no cores.
    """

    def __init__(self, address: str, device: str = "cpu", actors: int | None = None) -> None:
        _connect(address)
        import ray

        resources = ray.cluster_resources()
        uses_gpu = device in _GPU_DEVICES and resources.get("GPU", 0) > 0
        self._options: dict[str, float] = (
            {"num_gpus": _GPU_SHARE, "num_cpus": 0} if uses_gpu else {"num_cpus": 1}
        )
        room = resources.get("GPU", 0) / _GPU_SHARE if uses_gpu else resources.get("CPU", 0)
        self._actors = actors or int(room)
        if self._actors < 1:
            raise SwcError(f"the Ray cluster at {address} has no cores")

    def results(
        self, create: Callable[[], Callable[[Item], Value]], items: Sequence[Item]
    ) -> Generator[Value | ProcessError, None, None]:
        """Call a function for every item, see `run.Pool`.

        Raises:
            SwcError: no actor can be started, or all are lost.
        """
        run = _Run(create, items, min(self._actors, len(items)), self._options)
        try:
            yield from run.results()
        finally:
            run.stop()


def _connect(address: str) -> None:
    """Connect to a cluster. Raises SwcError."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        import ray

        if not ray.is_initialized():
            ray.init(address, log_to_driver=False, logging_level="ERROR")
    except ImportError:
        raise UsageError("--ray needs Ray: pip install 'switchcodec-cli[ray]'") from None
    except ConnectionError as error:
        hint = "; start one with 'ray start --head', or use --ray local" if address == "auto" else ""
        raise SwcError(f"there is no Ray cluster at {address}{hint}") from error
    except (RuntimeError, ValueError) as error:
        detail = one_line(str(error).partition("\n")[0].rstrip("."))
        raise SwcError(f"cannot connect to a Ray cluster at {address} ({detail})") from error
    finally:
        for number, handler in handlers.items():  # Ray replaces that of SIGTERM
            with suppress(ValueError):  # in another thread
                signal.signal(number, handler)


class _Actor:
    """Executes calls in a process of the cluster.

    Args:
        create: makes the function, pickled.
        folder: of the driver, which relative paths refer to.
    """

    def __init__(self, create: bytes, folder: str) -> None:
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # before the libraries are loaded
        with suppress(OSError):  # not every node has all folders
            os.chdir(folder)
        self._create: Callable[[], Callable[[Any], Any]] = pickle.loads(create)
        self._function: Callable[[Any], Any] | None = None

    def version(self) -> str:
        """The version of this package."""
        return __version__

    def call(self, item: bytes) -> bytes:
        """Execute a call; item and result are pickled."""
        try:
            self._function = self._function or self._create()
            result = pickle.dumps(self._function(pickle.loads(item)))
            pickle.loads(result)  # some exceptions can be pickled, but not be read again
        except Exception as error:
            return pickle.dumps(ProcessError(describe(error)))
        return result

    def stop(self) -> None:
        """Remove partial output in the middle of a call, before the process is killed."""
        remove_temporaries()


class _Run:
    """Calls and the actors that execute them."""

    def __init__(
        self,
        create: Callable[[], Callable[[Any], Any]],
        items: Sequence[Any],
        actors: int,
        options: dict[str, float],
    ) -> None:
        import ray

        self._ray, self._items = ray, items
        self._create = ray.put(pickle.dumps(create))
        # Two threads, so that `stop` is called during a call.
        self._class = ray.remote(_Actor).options(max_concurrency=2, **options)
        self._waiting = deque(range(len(items)))  # numbers of calls
        self._tries = [0] * len(items)
        self._starting: dict[ObjectRef[str], ActorHandle[_Actor]] = {}
        self._calling: dict[ObjectRef[bytes], tuple[ActorHandle[_Actor], int]] = {}
        self._was_ready, self._failed_starts = False, 0
        for _ in range(actors):
            self._start()

    def _start(self) -> None:
        """Ask the cluster for another actor."""
        actor = self._class.remote(self._create, os.getcwd())
        self._starting[actor.version.remote()] = actor

    def results(self) -> Iterator[Any]:
        """Execute all calls."""
        finished: dict[int, Any] = {}
        for index in range(len(self._items)):
            while index not in finished:
                for reference in self._next_events():
                    if reference in self._starting:
                        self._take_actor(reference)
                    else:
                        finished.update(self._take_result(reference))
            yield finished.pop(index)

    def _next_events(self) -> list[ObjectRef[Any]]:
        """Wait for actors that have started, and for results."""
        references = [*self._calling, *self._starting]
        until = time.monotonic() + _PATIENCE_SECONDS
        while self._calling or time.monotonic() < until:
            try:
                ready, _ = self._ray.wait(references, timeout=_SIGNAL_SECONDS)
            except SystemError as error:  # Ray puts it around exceptions of signal handlers
                raise error.__cause__ or error from None
            if ready:
                return list(ready)
        raise SwcError("the Ray cluster has had no free core for five minutes")

    def _take_actor(self, reference: ObjectRef[str]) -> None:
        """Give a call to an actor that has started."""
        actor = self._starting.pop(reference)
        try:
            version = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._failed_starts += 1
            if not self._was_ready and self._failed_starts >= _STARTS:
                raise SwcError(
                    f"workers cannot be started on the Ray cluster ({_last_line(error)})"
                ) from error
            self._start()
            return
        if version != __version__:
            raise SwcError(f"the Ray cluster has version {version} of swc, but this is {__version__}")
        self._was_ready = True
        self._give(actor)

    def _give(self, actor: ActorHandle[_Actor]) -> None:
        """Give the next call to an actor, which is stopped if there is none."""
        if not self._waiting:
            self._ray.kill(actor)
            return
        call = self._waiting.popleft()
        self._tries[call] += 1
        self._calling[actor.call.remote(pickle.dumps(self._items[call]))] = actor, call

    def _take_result(self, reference: ObjectRef[bytes]) -> dict[int, Any]:
        """The result of a call by its number; nothing if the call is to be repeated."""
        actor, call = self._calling.pop(reference)
        try:
            result = pickle.loads(self._ray.get(reference))
        except self._ray.exceptions.RayError as error:
            with suppress(Exception):  # it may be unreachable, and still at work
                self._ray.kill(actor)
            self._start()
            if self._tries[call] < _TRIES:
                self._waiting.appendleft(call)
                return {}
            return {call: ProcessError(f"{_TRIES} workers have ended unexpectedly ({_last_line(error)})")}
        self._give(actor)
        return {call: result}

    def stop(self) -> None:
        """End all actors; those that are at work remove their partial output."""
        stopping = [actor.stop.remote() for actor, _ in self._calling.values()]
        if stopping:
            self._ray.wait(stopping, num_returns=len(stopping), timeout=_STOP_SECONDS)
        for actor in [*self._starting.values(), *(actor for actor, _ in self._calling.values())]:
            with suppress(Exception):
                self._ray.kill(actor)


def _last_line(error: BaseException) -> str:
    """The end of a message of Ray, which begins with a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return one_line(lines[-1]) if lines else type(error).__name__
