"""A memory cgroup of our own, version 1 or 2, whichever is mounted.

Nothing else on the machine is changed: where version 2 does not hand the
memory controller down, that is said and not put right.
"""
from __future__ import annotations

import os
import pathlib
import signal
import threading
import time

from .interrupt import held

_count = 0


def _mounts() -> list[tuple[str, pathlib.Path, list[str]]]:
    """(type, where, options) of what is mounted."""
    rows = []
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _device, where, kind, options = line.split()[:4]
        rows.append((kind, pathlib.Path(where), options.split(",")))
    return rows


def _read(path: pathlib.Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _find() -> tuple[int, pathlib.Path] | str:
    """(version, folder in which to make a group), or why there is none."""
    unified = None
    for kind, where, options in _mounts():
        if kind == "cgroup" and "memory" in options:
            return 1, where
        if kind == "cgroup2":
            unified = where
    if unified is None:
        return "no memory cgroups are mounted"
    if "memory" not in _read(unified / "cgroup.subtree_control").split():
        return ("cgroup v2 does not hand the memory controller down "
                f"({unified}/cgroup.subtree_control)")
    return 2, unified


def missing() -> str | None:
    """Why no group can be made here, or None."""
    found = _find()
    if isinstance(found, str):
        return found
    # Only trying tells: a mount may be read-only, or rights be missing.
    try:
        with held():
            Group(8 << 20).remove()
    except OSError as error:
        return f"cannot make a memory cgroup: {error.strerror}"
    return None


class _Reader(threading.Thread):
    """Reads the statistics of a group every other millisecond, which brings
    them up to date. Left alone, Linux 6.18 does that every two seconds, or
    when they are off by far, and decides by them what can be taken back: at
    a limit of 128 MiB it kills programs with most of the swap device free."""

    INTERVAL = 0.002

    def __init__(self, stat: pathlib.Path):
        super().__init__(daemon=True)
        self._file = os.open(stat, os.O_RDONLY | os.O_CLOEXEC)
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.wait(self.INTERVAL):
            os.pread(self._file, 1 << 16, 0)

    def end(self) -> None:
        self._end.set()
        self.join()
        os.close(self._file)


class Group:
    """A group for one run: a fresh one has no page cache of the last."""

    def __init__(self, limit: int):
        global _count
        found = _find()
        if isinstance(found, str):
            raise OSError(0, found)
        self.version, root = found
        _count += 1
        self.path = root / f"spillway-bench.{os.getpid()}.{_count}"
        with held():
            self.path.mkdir()
            try:
                name = ("memory.limit_in_bytes" if self.version == 1
                        else "memory.max")
                (self.path / name).write_text(str(limit))
                self._reader = _Reader(self.path / "memory.stat")
                self._reader.start()
            except OSError:
                self.path.rmdir()
                raise

    def enter(self, argv: list[str]) -> list[str]:
        """`argv` as a command that joins the group before it is anything."""
        return ["/bin/sh", "-c", 'echo $$ >"$1" && shift && exec "$@"', "-",
                str(self.path / "cgroup.procs"), *argv]

    def _values(self, name: str) -> dict[str, int]:
        pairs = (line.split() for line in _read(self.path / name).splitlines())
        return {p[0]: int(p[1]) for p in pairs if len(p) == 2}

    def oom_kills(self) -> int:
        name = ("memory.oom_control" if self.version == 1
                else "memory.events")
        return self._values(name).get("oom_kill", 0)

    def swapins(self) -> int | None:
        """Pages read from swap; version 1 does not count them."""
        return self._values("memory.stat").get("pswpin")

    def cpu(self) -> tuple[float, float] | None:
        """(user, system) seconds as version 2 counts them for the group."""
        stat = self._values("cpu.stat")
        if "user_usec" not in stat:
            return None
        return stat["user_usec"] / 1e6, stat["system_usec"] / 1e6

    def remove(self) -> None:
        """Ends what is still in the group, and the group."""
        with held():
            if self._reader.is_alive():
                self._reader.end()
            for _ in range(100):
                for pid in _read(self.path / "cgroup.procs").split():
                    try:
                        os.kill(int(pid), signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                try:
                    self.path.rmdir()
                    return
                except FileNotFoundError:
                    return
                except OSError:
                    time.sleep(0.05)  # the dead are still leaving
            raise OSError(0, f"cannot remove {self.path}")
