"""A worker for other processes, in a module of its own that they import quickly."""

import os
import signal
import threading
from pathlib import Path

from switchcodec_cli.atomic_io import atomic_output
from switchcodec_cli.batch.run import Difference
from switchcodec_cli.errors import BadInputError, DeviceError


class UnreadableError(BadInputError):
    """An error that can be pickled, but not be read again."""

    def __init__(self, first, second):
        super().__init__(f"{first}: {second}")


class Worker:
    """Copies files; what it does beside depends on the name of the source."""

    def __init__(self):
        self.lock = threading.Lock()  # cannot be pickled, like a model

    def run(self, job, progress):
        if "wait" in job.source:  # until the jobs behind it are done
            while not Path("last.out").exists():
                threading.Event().wait(0.01)
        if "bad" in job.source:
            raise BadInputError(f"{job.source}: bad")
        if "unreadable" in job.source:
            raise UnreadableError(job.source, "unreadable")
        progress.start(job.source, None)
        progress.advance(2.0)
        with atomic_output(job.output, job.overwrite) as file:
            file.write(str(os.getpid()).encode())
            file.flush()
            if "killed" in job.source:
                os.kill(os.getpid(), signal.SIGKILL)
            if "exits" in job.source:
                os._exit(7)
        return job.source

    def difference(self, job):
        return None if "same" in job.source else Difference("is different")


class Loaded:
    """Creates workers that write which process loaded them."""

    process = None

    def preload(self):
        self.process = os.getpid()

    def __call__(self):
        return LoadedWorker(self.process)


class LoadedWorker(Worker):
    def __init__(self, process):
        super().__init__()
        self.process = process

    def run(self, job, progress):
        super().run(job, progress)
        with open("loaded", "a") as file:
            file.write(f"{self.process} {os.getpid()}\n")
        return job.source


def no_device():
    raise DeviceError("no such device")


def exit_at_once(*_):
    os._exit(3)
