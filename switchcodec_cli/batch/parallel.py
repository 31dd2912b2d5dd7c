"""Calls of a function in worker processes, with results in order.

Every process serves one slot, so that a process that dies costs one call; the slot continues with a new
process. Processes are started afresh ("spawn"), never forked, since the threads of torch do not survive that.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from ..atomic_io import observe_temporaries
from ..errors import SwcError, describe, system_message

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

Item = TypeVar("Item")
Value = TypeVar("Value")

_READY, _TEMPORARY, _VALUE, _ERROR = "ready", "temporary", "value", "error"  # kinds of messages
_EXIT_SECONDS = 10.0  # time that a process gets for removing its partial output
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class ProcessError(SwcError):
    """A worker process ended, or its result cannot be sent."""


def ordered_results(
    create: Callable[[], Callable[[Item], Value]], items: Sequence[Item], processes: int
) -> Generator[Value | ProcessError, None, None]:
    """Call a function for every item in worker processes, and yield the results in the order of the items.

    Close the iterator to stop the processes; they then remove their partial output.

    Args:
        create: makes the function, once in each process; can be pickled, as can items and results.
        items: arguments of the calls.
        processes: number of processes; each uses one thread for computing.

    Yields:
        The result of each call, or an error if the process ended before or the function raised an exception.

    Raises:
        SwcError: no process can be started.
    """
    pool: _Pool[Item, Value] = _Pool(create, min(processes, len(items)))
    try:
        yield from pool.results(items)
    finally:
        pool.stop()


class _Pool(Generic[Item, Value]):
    """Worker processes and the calls that they execute."""

    def __init__(self, create: Callable[[], Callable[[Item], Value]], processes: int) -> None:
        data = pickle.dumps(create)
        self._slots: list[_Slot] = [_Slot(data) for _ in range(processes)]

    def results(self, items: Sequence[Item]) -> Iterator[Value | ProcessError]:
        """Execute all calls."""
        finished: dict[int, Any] = {}
        waiting = iter(enumerate(items))
        for index in range(len(items)):
            while index not in finished:
                for slot in self._slots:
                    if slot.call is None and (following := next(waiting, None)) is not None:
                        slot.give(*following)
                for slot, call in self._slots_with_messages():
                    result = slot.receive(any(other.was_ready for other in self._slots))
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


class _Slot:
    """Place of one worker process at a time.

    Attributes:
        call: number of the call that is executed, None if the process is idle.
        connection: to the process.
        was_ready: whether a process of this slot was ever ready for calls.
    """

    def __init__(self, function: bytes) -> None:
        self._function = function
        self._process: SpawnProcess | None = None
        self._temporaries: list[str] = []
        self.connection: Connection | None = None
        self.call: int | None = None
        self.was_ready = False

    def give(self, call: int, item: object) -> None:
        """Let the process execute a call; starts a process if there is none."""
        self.call = call
        if self._process is not None and not self._send(item):
            self.close()  # it ended while it was idle
        if self._process is None:
            self._start()
            self._send(item)  # if it has ended, `receive` detects it

    def _send(self, item: object) -> bool:
        assert self.connection is not None
        try:
            self.connection.send(item)
        except OSError:
            return False
        return True

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        resource_tracker.ensure_running()  # its start would unblock the signal
        try:
            self.connection, other_end = context.Pipe()
            with other_end, _blocked_interrupt():
                self._process = context.Process(target=_serve, args=(other_end, self._function), daemon=True)
                self._process.start()
        except OSError as error:
            raise SwcError(f"cannot start a worker process: {system_message(error)}") from None

    def receive(self, can_start: bool) -> Any:
        """Read a message of the process, which has one or has ended; `call` is None if that ends the call.

        Args:
            can_start: whether it is known that processes can be started.

        Returns:
            The result of the call, or a ProcessError.

        Raises:
            SwcError: no process can be started.
        """
        assert self.connection is not None
        try:
            kind, value = self.connection.recv()
        except (EOFError, OSError):
            self.call = None
            exit_code = self.close()
            if not (can_start or self.was_ready):
                raise SwcError(f"worker processes cannot be started ({_exit_text(exit_code)})") from None
            return ProcessError(f"the worker process ended unexpectedly ({_exit_text(exit_code)})")
        if kind == _READY:
            self.was_ready = True
        elif kind == _TEMPORARY:
            self._temporaries.append(value)
        else:
            self.call = None
            self._temporaries.clear()
        return ProcessError(value) if kind == _ERROR else value

    def terminate(self) -> None:
        """Ask the process to end."""
        if self._process is not None and self._process.pid is not None:
            self._process.terminate()

    def close(self) -> int | None:
        """Wait until the process has ended, and remove its partial output; returns its exit code."""
        process, connection = self._process, self.connection
        if process is None or connection is None:
            return None
        if process.pid is not None:
            process.join(_EXIT_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
        with suppress(EOFError, OSError):
            while connection.poll():
                kind, value = connection.recv()
                if kind == _TEMPORARY:
                    self._temporaries.append(value)
        connection.close()
        for path in self._temporaries:
            with suppress(OSError):
                os.unlink(path)
        self._temporaries.clear()
        self._process = self.connection = None
        return process.exitcode if process.pid is not None else None


def _exit_text(code: int | None) -> str:
    """How a process ended."""
    if code is None or code >= 0:
        return f"exit code {code}"
    hint = ", perhaps for lack of memory" if code == -signal.SIGKILL else ""
    return f"signal {-code}{hint}"


@contextmanager
def _blocked_interrupt() -> Iterator[None]:
    """Let processes start with SIGINT blocked, since it would interrupt them before they can ignore it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, function: bytes) -> None:
    """Execute calls in a worker process until the connection is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the parent ends the worker
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # before the libraries are loaded
    observe_temporaries(lambda path: connection.send((_TEMPORARY, str(path))))
    call: Callable[[Any], Any] | None = None
    try:
        connection.send((_READY, None))
        while True:
            item = connection.recv()
            try:
                call = call or pickle.loads(function)()
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
