"""Calls of a function in worker processes, with results in order.

One process, the fork server, loads what the function needs; workers are forked from it, so that they share
that memory and start at once. It is itself started afresh ("spawn") and computes with one thread, since the
threads of torch do not survive a fork. Every worker serves one slot, so that one that dies costs one call;
the slot continues with a new worker.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import reduction, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from ..atomic_io import observe_temporaries
from ..errors import SwcError, describe, system_message

if TYPE_CHECKING:
    from multiprocessing.context import ForkProcess

Item = TypeVar("Item")
Value = TypeVar("Value")

_READY, _TEMPORARY, _VALUE, _ERROR = "ready", "temporary", "value", "error"  # kinds of messages
_FORK, _JOIN = "fork", "join"  # requests to the fork server
_EXIT_SECONDS = 10.0  # time that a process gets for removing its partial output
_LOOK_AHEAD = 8  # calls for each process among which the longest is begun first
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class ProcessError(SwcError):
    """A worker process ended, or its result cannot be sent."""


@dataclass(frozen=True)
class Calls(Generic[Item, Value]):
    """Calls of a function.

    All fields can be pickled, as can the results.
    """

    create: Callable[[], Callable[[Item], Value]]
    """Makes the function, once in each process."""
    items: Sequence[Item]
    """Arguments of the calls."""
    lengths: Sequence[float]
    """How long each call takes, in any unit; long ones are begun before others that follow soon."""
    preload: Callable[[], None] | None = None
    """Called before processes are forked, to load what `create` then finds."""


def ordered_results(calls: Calls[Item, Value], processes: int) -> Generator[Value | ProcessError, None, None]:
    """Call a function for every item in worker processes, and yield the results in the order of the items.

    Close the iterator to stop the processes; they then remove their partial output.

    Args:
        calls: the function and the items.
        processes: number of processes; each uses one thread for computing.

    Yields:
        The result of each call, or an error if the process ended before or the function raised an exception.

    Raises:
        SwcError: no process can be started.
    """
    pool: _Pool[Item, Value] = _Pool(calls, min(processes, len(calls.items)))
    try:
        yield from pool.results()
    finally:
        pool.stop()


class _Pool(Generic[Item, Value]):
    """Worker processes and the calls that they execute."""

    def __init__(self, calls: Calls[Item, Value], processes: int) -> None:
        self._calls = calls
        self._server = _ForkServer(pickle.dumps((calls.create, calls.preload)))
        self._slots = [_Slot(self._server) for _ in range(processes)]

    def results(self) -> Iterator[Value | ProcessError]:
        """Execute all calls."""
        items = self._calls.items
        finished: dict[int, Any] = {}
        waiting = begin_order(self._calls.lengths, _LOOK_AHEAD * len(self._slots))
        for index in range(len(items)):
            while index not in finished:
                for slot in self._slots:
                    if slot.call is None and (following := next(waiting, None)) is not None:
                        slot.give(following, items[following])
                for slot, call in self._slots_with_messages():
                    result = slot.receive()
                    if slot.call is None:
                        finished[call] = result
            yield finished.pop(index)

    def _slots_with_messages(self) -> list[tuple[_Slot, int]]:
        """Wait for messages; returns the slots that have one, with the numbers of their calls."""
        busy = [
            (slot, slot.call, slot.connection)
            for slot in self._slots
            if slot.call is not None and slot.connection is not None
        ]
        ready = wait([connection for _, _, connection in busy])
        return [(slot, call) for slot, call, connection in busy if connection in ready]

    def stop(self) -> None:
        """End all processes."""
        for slot in self._slots:
            slot.terminate()
        for slot in self._slots:
            slot.close()
        self._server.stop()


def begin_order(lengths: Sequence[float], group: int) -> Iterator[int]:
    """The numbers of calls in the order in which they are begun.

    The calls are taken in groups, and in each the longest first: that way all processes end at about the same
    time, while results in order of the calls do not wait for many others.
    """
    for start in range(0, len(lengths), group):
        numbers = range(start, min(start + group, len(lengths)))
        yield from sorted(numbers, key=lambda number: -lengths[number])


class _Slot:
    """Place of one worker process at a time.

    Attributes:
        call: number of the call that is executed, None if the process is idle.
        connection: to the process.
    """

    def __init__(self, server: _ForkServer) -> None:
        self._server = server
        self._pid: int | None = None
        self._temporaries: list[str] = []
        self.connection: Connection | None = None
        self.call: int | None = None

    def give(self, call: int, item: object) -> None:
        """Let the process execute a call; starts a process if there is none. Raises SwcError."""
        self.call = call
        if self.connection is not None and not self._send(item):
            self.close()  # it ended while it was idle
        if self.connection is None:
            self._pid, self.connection = self._server.fork()
            self._send(item)  # if it has ended, `receive` detects it

    def _send(self, item: object) -> bool:
        assert self.connection is not None
        try:
            self.connection.send(item)
        except OSError:
            return False
        return True

    def receive(self) -> Any:
        """Read a message of the process, which has one or has ended; `call` is None if that ends the call.

        Returns:
            The result of the call, or a ProcessError.
        """
        assert self.connection is not None
        try:
            kind, value = self.connection.recv()
        except (EOFError, OSError):
            self.call = None
            return ProcessError(f"the worker process ended unexpectedly ({_exit_text(self.close())})")
        if kind == _TEMPORARY:
            self._temporaries.append(value)
        elif kind != _READY:
            self.call = None
            self._temporaries.clear()
        return ProcessError(value) if kind == _ERROR else value

    def terminate(self) -> None:
        """Ask the process to end."""
        if self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGTERM)

    def close(self) -> int | None:
        """Wait until the process has ended, and remove its partial output; returns its exit code."""
        if self._pid is None or self.connection is None:
            return None
        exit_code = self._server.join(self._pid)
        with suppress(EOFError, OSError):
            while self.connection.poll():
                kind, value = self.connection.recv()
                if kind == _TEMPORARY:
                    self._temporaries.append(value)
        self.connection.close()
        for path in self._temporaries:
            with suppress(OSError):
                os.unlink(path)
        self._temporaries.clear()
        self._pid = self.connection = None
        return exit_code


def _exit_text(code: int | None) -> str:
    """How a process ended."""
    if code is None or code >= 0:
        return f"exit code {code}"
    hint = ", perhaps for lack of memory" if code == -signal.SIGKILL else ""
    return f"signal {-code}{hint}"


class _ForkServer:
    """The process that worker processes are forked from; started with the first of them.

    Args:
        functions: `create` and `preload` of `Calls`, pickled.
    """

    def __init__(self, functions: bytes) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._functions = functions
        self._process: multiprocessing.context.SpawnProcess | None = None
        self._control: Connection | None = None

    def fork(self) -> tuple[int, Connection]:
        """Start a worker process.

        Returns:
            Its identifier, and a connection to it.

        Raises:
            SwcError: it cannot be started.
        """
        try:
            control = self._control or self._start()
            connection, other_end = self._context.Pipe()
        except OSError as error:
            raise SwcError(f"cannot start a worker process: {system_message(error)}") from None
        try:
            with other_end:
                control.send((_FORK, None))
                reduction.send_handle(control, other_end.fileno(), None)
            answer = _answer(control, _FORK)
        except (EOFError, OSError):
            connection.close()
            raise SwcError(f"worker processes cannot be started ({_exit_text(self._exit_code())})") from None
        if isinstance(answer, str):
            connection.close()
            raise SwcError(f"cannot start a worker process: {answer}")
        return answer, connection

    def _start(self) -> Connection:
        resource_tracker.ensure_running()  # its start would unblock the signal
        self._control, other_end = self._context.Pipe()
        with other_end, _blocked_interrupt():
            process = self._context.Process(target=_serve_forks, args=(other_end, self._functions))
            process.start()
            self._process = process
        return self._control

    def join(self, pid: int) -> int | None:
        """Wait until a worker process has ended, but not for long; returns its exit code."""
        if self._control is None:
            return None
        try:
            self._control.send((_JOIN, pid))
            exit_code: int | None = _answer(self._control, _JOIN)
        except (EOFError, OSError):
            return None
        return exit_code

    def _exit_code(self) -> int | None:
        """How the fork server ended."""
        if self._process is None:
            return None
        self._process.join(_EXIT_SECONDS)
        return self._process.exitcode

    def stop(self) -> None:
        """End the fork server, which has no worker processes any more, even while it loads something."""
        if self._control is not None:
            self._control.close()
        if self._process is not None and self._process.pid is not None:
            self._process.kill()
            self._process.join()
        self._process = self._control = None


def _answer(control: Connection, request: str) -> Any:
    """The answer of the fork server; those to earlier requests, which an interruption left, are dropped."""
    while True:
        answered, answer = control.recv()
        if answered == request:
            return answer


@contextmanager
def _blocked_interrupt() -> Iterator[None]:
    """Let processes start with SIGINT blocked, since it would interrupt them before they can ignore it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve_forks(control: Connection, functions: bytes) -> None:
    """Fork worker processes on request, until the connection is closed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # it lives as long as its parent
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # before the libraries are loaded
    create, preload = pickle.loads(functions)
    if preload is not None:
        with suppress(Exception):  # the workers raise it again, and report it
            preload()
    gc.collect()
    gc.freeze()  # the collector would write to the memory that is shared
    workers: dict[int, ForkProcess] = {}
    with suppress(EOFError, OSError):
        while True:
            request, pid = control.recv()
            if request == _FORK:
                control.send((_FORK, _fork(control, create, workers)))
            else:
                control.send((_JOIN, _join(workers.pop(pid))))
    for worker in workers.values():  # the parent has ended
        worker.terminate()
    for worker in workers.values():
        _join(worker)


def _fork(control: Connection, create: Callable[[], Any], workers: dict[int, ForkProcess]) -> int | str:
    """Fork a worker process for the connection that follows; returns its identifier, or an error."""
    connection = Connection(reduction.recv_handle(control))
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(control, connection, create))
    try:
        process.start()
    except OSError as error:
        return system_message(error)
    finally:
        connection.close()
    assert process.pid is not None
    workers[process.pid] = process
    return process.pid


def _join(process: ForkProcess) -> int | None:
    """Wait until a worker process has ended; kills it if that takes too long."""
    process.join(_EXIT_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode


def _serve(control: Connection, connection: Connection, create: Callable[[], Callable[[Any], Any]]) -> None:
    """Execute calls in a worker process until the connection is closed.

    Args:
        control: of the fork server, to be closed.
        connection: to the process that gives the calls.
        create: see `Calls`.
    """
    control.close()
    for number in (
        signal.SIGTERM,
        signal.SIGHUP,
    ):  # SIGINT is ignored: the terminal sends it to all processes
        signal.signal(number, _end)
    observe_temporaries(lambda path: connection.send((_TEMPORARY, str(path))))
    call: Callable[[Any], Any] | None = None
    try:
        connection.send((_READY, None))
        while True:
            item = connection.recv()
            try:
                call = call or create()
                message = pickle.dumps((_VALUE, call(item)))
                pickle.loads(message)  # some exceptions can be pickled, but not be read again
            except Exception as error:
                message = pickle.dumps((_ERROR, describe(error)))
            connection.send_bytes(message)
    except (EOFError, OSError):
        sys.exit(1)  # the parent has ended


def _end(number: int, _: object) -> NoReturn:
    """Unwind the stack, so that partial output is removed; further signals are ignored."""
    for other in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)
