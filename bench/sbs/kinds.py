"""What a workload runs under: nothing, the kernel's swap, or spillway; or with
its data in regions of the library, where its program is built for that.

    kind = make("kernel", setup)
    reason = kind.available()         # or None
    with kind.limited_to(budget):     # makes cgroup, swap, folders
        run = kind.run(["sort", ...])         # a program that ends
        server = kind.start(["redis-server"]) # one that does not
        ...
        run = server.stop()
                                      # all of it is gone

Programs whose memory is not in question (clients of a server) are started in
the ordinary way, outside of any kind.
"""
from __future__ import annotations

import abc
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

from . import cgroup, swapdev
from .interrupt import held
from .run import Handle, Killed, Run, Stream

DEVICE_PER_BUDGET = 3


@dataclasses.dataclass
class Setup:
    """What all kinds of one benchmark have in common."""

    spillway: pathlib.Path
    swap: str = "zram"  # or "file"
    folder: pathlib.Path = pathlib.Path("/var/tmp")

    @property
    def library(self) -> pathlib.Path:
        """The folder it is built in: that of the same build."""
        return self.spillway.parent.parent / "lib"


class Kind(abc.ABC):
    """One way to run. `runs` are those since limited_to() was entered,
    `killed` how many more there were that were done again, and `scratch` a
    folder for files of the workload, removed with the rest."""

    name = ""
    has_budget = True
    in_region = False  # the program's data: it is to be built for that

    def __init__(self, setup: Setup):
        self.setup = setup
        self.swap = setup.swap
        self.budget = 0
        self.runs: list[Run] = []
        self.killed = 0
        self.scratch = pathlib.Path()
        self._handles: list[Handle] = []
        self._folder = pathlib.Path()
        self._stack = contextlib.ExitStack()

    @abc.abstractmethod
    def available(self) -> str | None:
        """Why this machine cannot do it, or None."""

    @contextlib.contextmanager
    def limited_to(self, budget: int, swap: str | None = None
                   ) -> Iterator[Kind]:
        """`swap` is for workloads that are about one kind of device."""
        self.budget = budget
        self.swap = swap or self.setup.swap
        self.runs = []
        self.killed = 0
        self._handles = []
        try:
            with held():
                self._folder = pathlib.Path(tempfile.mkdtemp(
                    prefix="spillway-bench.", dir=self.setup.folder))
                self._stack.callback(shutil.rmtree, self._folder,
                                     ignore_errors=True)
            self.scratch = self._folder / "scratch"
            self.scratch.mkdir()
            self._open(self._stack)
            self._stack.callback(self._end_all)
            yield self
        finally:
            self.close()

    def close(self) -> None:
        """Removes what limited_to() made. An interruption can come just
        before this is called, so whoever made a kind calls it once more at
        the very end; there is nothing left to do then in all other cases."""
        with held():
            self._stack.close()

    def start(self, argv: list[str], env: dict[str, str] | None = None,
              stdin: Stream = None, stdout: Stream = None,
              cwd: str | None = None) -> Handle:
        """Starts a program under this kind. `env` adds to ours; stdin is
        empty and stdout kept for Run.stdout if nothing else is said."""
        with held():
            handle = self._start([str(a) for a in argv], dict(
                env=env, stdin=stdin, stdout=stdout, cwd=cwd,
                folder=self._folder,
                mark=f"{os.getpid()}.{id(self)}.{len(self._handles)}"))
            self._handles.append(handle)
            self.runs.append(handle.run)
        return handle

    def run(self, argv: list[str], env: dict[str, str] | None = None,
            stdin: Stream = None, stdout: Stream = None,
            timeout: float | None = 300, cwd: str | None = None,
            tries: int = 1) -> Run:
        """Runs a program to its end; Killed or RunFailed unless that is 0.
        The kernel sometimes kills a program at its limit with most of the
        device still free: `tries` is how often it may be tried, for programs
        that a half run does not disturb."""
        while True:
            handle = self.start(argv, env, stdin, stdout, cwd)
            try:
                return handle.wait(timeout)
            except Killed:
                tries -= 1
                if not tries:
                    raise
                self.runs.remove(handle.run)
                self.killed += 1

    def _spec(self) -> str:
        """A device of ours of the size that the kernel gets."""
        size = self.budget * DEVICE_PER_BUDGET
        return (f"zram:{size}" if self.swap == "zram" else
                f"file:{self._folder / 'swap'},size={size}")

    def _end_all(self) -> None:
        for handle in self._handles:
            handle.end()

    def _open(self, stack: contextlib.ExitStack) -> None:
        """What this kind needs beside a folder."""

    @abc.abstractmethod
    def _start(self, argv: list[str], how: dict[str, Any]) -> Handle:
        ...


class Plain(Kind):
    """No limit."""

    name = "plain"
    has_budget = False

    def available(self) -> str | None:
        return None

    def _start(self, argv: list[str], how: dict[str, Any]) -> Handle:
        return Handle(argv, wrapped=argv, complete=lambda run: None, **how)


class Kernel(Kind):
    """A memory cgroup with the budget for its limit, and swap of its own."""

    name = "kernel"

    def __init__(self, setup: Setup):
        super().__init__(setup)
        self._device: Any = None

    def available(self) -> str | None:
        reason = (swapdev.DEVICES[self.setup.swap].missing()
                  or cgroup.missing())
        if reason:
            return reason
        try:
            with self.limited_to(8 << 20):
                return None
        except swapdev.SwapError as error:
            return str(error)

    def _open(self, stack: contextlib.ExitStack) -> None:
        device = swapdev.DEVICES[self.swap]
        self._device = device(self.budget * DEVICE_PER_BUDGET, self._folder)
        stack.callback(self._device.close)
        self._device.open()

    def _start(self, argv: list[str], how: dict[str, Any]) -> Handle:
        device = self._device
        group = cgroup.Group(self.budget)
        device.reset_peak()
        read_before = device.pages_read()
        swapins_before = _vmstat("pswpin")

        def complete(run: Run) -> None:
            run.killed = group.oom_kills()
            run.peak_store = device.peak()
            run.swapins = group.swapins()
            if run.swapins is None and read_before is not None:
                run.swapins = device.pages_read() - read_before
            elif run.swapins is None:
                run.swapins = _vmstat("pswpin") - swapins_before
            used = group.cpu()
            if used:
                run.cpu_user, run.cpu_sys = used
            group.remove()

        try:
            return Handle(argv, wrapped=group.enter(argv), complete=complete,
                          **how)
        except BaseException:
            group.remove()
            raise


def _vmstat(name: str) -> int:
    """A counter of the whole machine."""
    for line in pathlib.Path("/proc/vmstat").read_text().splitlines():
        key, value = line.split()
        if key == name:
            return int(value)
    return 0


class Spillway(Kind):
    """The same budget, a device of the same kind and size."""

    name = "spillway"

    def available(self) -> str | None:
        if not os.access(self.setup.spillway, os.X_OK):
            return f"{self.setup.spillway} is not built"
        with self.limited_to(16 << 20):
            done = subprocess.run(self._wrap(["true"]), text=True,
                                  stdin=subprocess.DEVNULL,
                                  capture_output=True, check=False)
        if done.returncode == 0:
            return None
        said = done.stderr.strip().splitlines()
        return said[-1] if said else f"exit status {done.returncode}"

    def _wrap(self, argv: list[str], report: str = os.devnull) -> list[str]:
        return [str(self.setup.spillway), "run", "-m", str(self.budget),
                "--swap", self._spec(), "--report", report, "--", *argv]

    def _start(self, argv: list[str], how: dict[str, Any]) -> Handle:
        report = self._folder / f"report.{len(self._handles)}"

        def complete(run: Run) -> None:
            try:
                told = json.loads(report.read_text())
            except (OSError, ValueError):
                return  # it did not come to its end
            run.cpu_own = (told["cpu"]["supervisor_seconds"]
                           + told["cpu"]["agent_seconds"])
            run.own_memory = told["own_peak_bytes"]
            run.swapins = told["counters"]["pswpin"]
            if self.swap == "zram":
                run.peak_store = sum(d["memory_peak_bytes"]
                                     for d in told["devices"])

        return Handle(argv, wrapped=self._wrap(argv, str(report)),
                      complete=complete, **how)


class _Library(Plain):
    """The program itself opens an instance (../arena.h). Its code, stacks and
    what it notes of each access lie in plain memory, which a cgroup and a
    session count too: so much less is the instance's budget. Compressed pages
    are the program's own memory here."""

    has_budget = in_region = True
    OTHER = 2 << 20

    def available(self) -> str | None:
        library = self.setup.library / "libspillway.so"
        return None if library.exists() else f"{library} is not built"

    def _start(self, argv: list[str], how: dict[str, Any]) -> Handle:
        options = (f"budget={self.budget - self.OTHER};{self._spec()};"
                   f"delivery={self.name}")
        env = {**(how["env"] or {}), "SPILLWAY_REGION": options}
        return super()._start(argv, {**how, "env": env})


class Signal(_Library):
    """Faults are served by the thread that meets them."""

    name = "signal"


class Thread(_Library):
    """Faults are served by a thread of the library."""

    name = "thread"


KINDS: dict[str, type[Kind]] = {
    kind.name: kind for kind in (Plain, Kernel, Spillway, Signal, Thread)}
UNCHANGED = ["plain", "kernel", "spillway"]  # programs as they are


def make(name: str, setup: Setup) -> Kind:
    return KINDS[name](setup)
