"""What one run is, and what is known of it afterwards.

A Handle is a program (with all it starts) that runs under some kind; it is
made by Kind.start() and ends in wait() or stop(), which return a Run.
"""
from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import resource
import select
import signal
import subprocess
import time
from collections.abc import Callable
from typing import IO, Any

from .interrupt import held
from .tree import MARK, Sampler, Tree

Stream = int | IO[Any] | str | os.PathLike[str] | None


@dataclasses.dataclass
class Run:
    """None is what this kind cannot know. Seconds and bytes."""

    argv: list[str]
    status: int = 0  # as a shell says it: 128 + N for signal N
    killed: int = 0  # processes that the kernel's cgroup killed
    started: float = 0.0  # time.monotonic()
    wall: float = 0.0
    # Of the program, its children and, with spillway, supervisor and agents.
    # The kernel reclaims for a group in the group's own processes, so that is
    # in cpu_sys; cpu_kswapd is what these threads did for the whole machine.
    cpu_user: float = 0.0
    cpu_sys: float = 0.0
    cpu_own: float | None = None  # of it: supervisor and agents
    cpu_kswapd: float = 0.0
    peak_tree: int = 0  # anonymous memory of the programs
    peak_own: int | None = None  # of the supervisor, its store included
    own_memory: int | None = None  # the same without it, by its own report
    peak_store: int | None = None  # what compressed pages took
    swapins: int | None = None  # pages
    samples: list[tuple[float, int]] = dataclasses.field(default_factory=list)
    stdout: str = ""
    stderr: str = ""

    def __str__(self) -> str:
        said = self.stderr.strip().splitlines()
        words = f"{os.path.basename(self.argv[0])}: exit status {self.status}"
        return f"{words}: {said[-1]}" if said else words


class RunFailed(Exception):
    """The program ended with a status other than 0, or did not end."""

    def __init__(self, run: Run, why: str | None = None):
        super().__init__(why or str(run))
        self.run = run


class Killed(RunFailed):
    """The kernel's cgroup killed it."""


def kswapd_seconds() -> float:
    """CPU time of the kernel's reclaim threads since boot."""
    ticks = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            head, _, rest = stat.read_text(errors="replace").rpartition(") ")
        except OSError:
            continue
        if "(kswapd" in head:
            fields = rest.split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _status(wait_status: int) -> int:
    code = os.waitstatus_to_exitcode(wait_status)
    return code if code >= 0 else 128 - code


class Handle:
    """A program that runs."""

    def __init__(self, argv: list[str], *, folder: pathlib.Path, mark: str,
                 complete: Callable[[Run], None], wrapped: list[str],
                 env: dict[str, str] | None = None, stdin: Stream = None,
                 stdout: Stream = None, cwd: str | None = None):
        """`wrapped` is what is really started for `argv`; `complete` fills
        in what only the kind knows, once everything has ended."""
        self.run = Run(list(argv))
        self._complete = complete
        self._out = folder / f"{mark}.out"
        self._err = folder / f"{mark}.err"
        self._kswapd = kswapd_seconds()
        full_env = {**os.environ, "SPILLWAY_CONF": "", **(env or {}),
                    MARK: mark}
        with contextlib.ExitStack() as stack, held():
            def opened(stream: Stream, mode: str) -> Any:
                if isinstance(stream, (str, os.PathLike)):
                    return stack.enter_context(open(stream, mode))
                return stream

            self._process = subprocess.Popen(
                wrapped, env=full_env, cwd=cwd, start_new_session=True,
                stdin=opened(stdin or os.devnull, "rb"),
                stdout=opened(stdout or self._out, "wb"),
                stderr=opened(self._err, "wb"))
            self.run.started = time.monotonic()
            self.pid = self._process.pid  # with spillway: the supervisor's
            self._tree = Tree(self.pid, mark)
            self._sampler = Sampler(self._tree)
            self._sampler.start()
            self._poll = select.poll()
            self._pidfd = os.pidfd_open(self.pid)
            self._poll.register(self._pidfd, select.POLLIN)
        self.ended = False

    def alive(self) -> bool:
        """Is the program itself still there?"""
        return not self.ended and not self._poll.poll(0)

    def stderr(self) -> str:
        """What it said so far."""
        return self._err.read_text(errors="replace")

    def wait(self, timeout: float | None = None) -> Run:
        """Waits for its end. Raises Killed or RunFailed unless that was 0."""
        if not self._await(timeout):
            self.end()
            raise RunFailed(self.run, f"{os.path.basename(self.run.argv[0])}: "
                            f"not done after {timeout:.0f} s")
        self.end()
        if self.run.status:
            error = Killed if self.run.killed else RunFailed
            raise error(self.run)
        return self.run

    def stop(self, signum: int = signal.SIGTERM, timeout: float = 30) -> Run:
        """Asks a server to end, and makes it if it will not. What status it
        ends with is its own business; Killed if the kernel was quicker."""
        if self.alive():
            os.kill(self.pid, signum)
            self._await(timeout)
        self.end()
        if self.run.killed:
            raise Killed(self.run)
        return self.run

    def _await(self, timeout: float | None) -> bool:
        return self.ended or bool(
            self._poll.poll(None if timeout is None else timeout * 1000))

    def end(self) -> None:
        """Ends what still runs of it, and completes `run`. Never raises for
        what the program did."""
        if self.ended:
            return
        with held():
            self.ended = True
            self.run.wall = time.monotonic() - self.run.started
            self._sampler.end()
            if not self._poll.poll(0):
                self._tree.kill()
            _pid, status, used = os.wait4(self.pid, 0)
            self._process.returncode = self.run.status = _status(status)
            self._tree.kill()  # what outlived it
            self._add_up([used, *self._tree.reap_orphans()])
            os.close(self._pidfd)
            self._complete(self.run)

    def _add_up(self, usages: list[Any]) -> None:
        run, sampler = self.run, self._sampler
        used: list[resource.struct_rusage] = usages
        run.cpu_user = sum(u.ru_utime for u in used)
        run.cpu_sys = sum(u.ru_stime for u in used)
        run.cpu_kswapd = kswapd_seconds() - self._kswapd
        run.peak_tree = sampler.peak
        run.peak_own = sampler.peak_own or None
        run.samples = sampler.samples
        run.stderr = self.stderr()
        if self._out.exists():
            run.stdout = self._out.read_text(errors="replace")
