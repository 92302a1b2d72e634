"""Servers under a kind, and the clients that work them from outside.

    with serving(kind, ["redis-server", ...], ready) as server:
        said = client(["redis-benchmark", ...])
    print(server.run.swapins)           # known from here on

Clients run in the ordinary way: they are in no group, under no spillway, and
in none of the figures.
"""
from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

from .interrupt import held
from .kinds import Kind
from .run import Handle, RunFailed
from .workload import WorkloadError


@contextlib.contextmanager
def serving(kind: Kind, argv: list[str], ready: Callable[[], bool],
            timeout: float = 60) -> Iterator[Handle]:
    """A server that answers, from start to end. Killed if the kernel's cgroup
    killed it or a child of it, RunFailed if it ended by itself: what a client
    says about a lost server helps nobody."""
    server = kind.start(argv)
    try:
        deadline = time.monotonic() + timeout
        while not ready():
            if not server.alive():
                raise WorkloadError("gone before it answered")
            if time.monotonic() > deadline:
                raise WorkloadError(f"no answer after {timeout:.0f} s")
            time.sleep(0.02)
        yield server
    except Exception:
        _await_death(server)
        fell = not server.alive()
        server.stop()  # raises Killed
        if fell:
            raise RunFailed(server.run) from None
        raise
    server.stop()
    if server.run.status:
        raise RunFailed(server.run)


def _await_death(server: Handle) -> None:
    """A client hears of it a little before a pidfd does."""
    deadline = time.monotonic() + 1
    while server.alive() and time.monotonic() < deadline:
        time.sleep(0.02)


def client(argv: list[str], stdin: bytes = b"", timeout: float = 300) -> str:
    """What a client wrote; WorkloadError if it failed."""
    name = os.path.basename(argv[0])
    process = None
    try:
        with held():
            process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, start_new_session=True)
        out, err = process.communicate(stdin, timeout)
    except subprocess.TimeoutExpired:
        raise WorkloadError(f"{name}: not done after {timeout:.0f} s") from None
    finally:
        with held():
            if process and process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if process.returncode:
        said = (err or out).decode(errors="replace").strip().splitlines()
        raise WorkloadError(f"{name}: exit status {process.returncode}"
                            + (f": {said[-1]}" if said else ""))
    return out.decode(errors="replace")
