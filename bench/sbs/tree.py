"""A process tree, seen from outside in the same way for every kind of run:
who belongs to it, what anonymous memory it has, and how to end all of it.

To the tree belong a root, its descendants, and those orphans that carry its
mark in their environment. Orphans come to us since we are a subreaper. Pids
are read from /proc; whoever is gone by then reads as nothing.
"""
from __future__ import annotations

import ctypes
import dataclasses
import os
import platform
import signal
import threading
import time

MARK = "SPILLWAY_BENCH_RUN"

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_CHILD_SUBREAPER = 36
_SYS_KCMP = {"x86_64": 312, "aarch64": 272}.get(platform.machine())
_KCMP_VM = 1


def become_subreaper() -> None:
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@dataclasses.dataclass
class Proc:
    pid: int
    parent: int
    comm: str
    state: str
    map: tuple[bytes, ...]  # where its code, stack and heap lie

    @property
    def is_spillways(self) -> bool:
        """The supervisor and what it needs, not the program."""
        return self.comm == "spillway"

    @property
    def is_agent(self) -> bool:
        return self.comm == "spillway-agent"


def _read(pid: int, name: str) -> bytes:
    try:
        with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:
            return file.read(1 << 16) or b""
    except OSError:
        return b""


def processes() -> dict[int, Proc]:
    """All of the machine."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        stat = _read(int(name), "stat")
        end = stat.rfind(b")")
        if end < 0:
            continue
        fields = stat[end + 2:].split()  # from the 3rd of proc(5) on
        found[int(name)] = Proc(
            int(name), int(fields[1]),
            stat[stat.find(b"(") + 1:end].decode(errors="replace"),
            fields[0].decode(), tuple(fields[23:26] + fields[42:49]))
    return found


def shares_memory(a: Proc, b: Proc) -> bool:
    """Is it one address space? Agents share their program's, and children
    their parent's between vfork and exec."""
    if a.map != b.map:
        return False
    if _SYS_KCMP:
        order = _libc.syscall(_SYS_KCMP, a.pid, b.pid, _KCMP_VM, 0, 0)
        if order >= 0:
            return order == 0
    # Without kcmp a forked child looks the same: only agents share.
    return a.is_agent != b.is_agent


def _kib(text: bytes, name: bytes) -> int:
    for line in text.splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    return 0


def _pss_anon(pid: int) -> int:
    """Bytes, pages that are shared divided by their sharers. The kernel walks
    the page table for it, which takes long where others hold the lock; a
    program that goes through its memory meanwhile, in step with the walk, is
    given more than it ever had. What it has in all is a plain counter."""
    pss = _kib(_read(pid, "smaps_rollup"), b"Pss_Anon:")
    return min(pss, _kib(_read(pid, "status"), b"RssAnon:")) * 1024


class Tree:
    def __init__(self, root: int, mark: str):
        self.root = root
        self._mark = f"{MARK}={mark}".encode()
        self._orphans: dict[int, bool] = {}  # children of ours: marked?

    def _is_orphan(self, proc: Proc) -> bool:
        if proc.pid not in self._orphans:
            self._orphans[proc.pid] = self._mark in _read(
                proc.pid, "environ").split(b"\0")
        return self._orphans[proc.pid]

    def members(self) -> list[Proc]:
        """Root first, then whoever descends from it, or did."""
        everybody = processes()
        children: dict[int, list[Proc]] = {}
        for proc in everybody.values():
            children.setdefault(proc.parent, []).append(proc)
        todo = [everybody[self.root]] if self.root in everybody else []
        todo += [p for p in children.get(os.getpid(), [])
                 if p.pid != self.root and self._is_orphan(p)]
        found = []
        while todo:
            proc = todo.pop()
            found.append(proc)
            todo += children.get(proc.pid, [])
        return found

    def memory(self) -> tuple[int, int]:
        """(of the programs, of spillway itself): bytes of anonymous memory,
        each address space once. A sum is not one moment: of a child that
        ends between the looks at it and at its parent, half would be counted
        with it and all with the parent. So the tree must stand still, and of
        a restless one the smallest sum is taken."""
        best = None
        for _ in range(5):
            before = self.members()
            sums = self._sum(before)
            best = min(best, sums) if best else sums
            if {p.pid for p in before} == {p.pid for p in self.members()}:
                return sums
        return best or (0, 0)

    @staticmethod
    def _sum(members: list[Proc]) -> tuple[int, int]:
        program = own = 0
        counted: list[Proc] = []
        for proc in sorted(members, key=lambda p: p.is_agent):
            if proc.state == "Z":
                continue
            if any(shares_memory(proc, other) for other in counted):
                continue
            counted.append(proc)
            if proc.is_spillways:
                own += _pss_anon(proc.pid)
            else:
                program += _pss_anon(proc.pid)
        return program, own

    def signal(self, signum: int) -> bool:
        """Sends to everybody who still lives; was there anybody?"""
        alive = [p for p in self.members() if p.state != "Z"]
        for proc in alive:
            try:
                os.kill(proc.pid, signum)
            except ProcessLookupError:
                pass
        return bool(alive)

    def reap_orphans(self) -> list[object]:
        """What the dead among them used (struct rusage)."""
        used = []
        for pid in [p for p, marked in self._orphans.items() if marked]:
            try:
                gone, _status, usage = os.wait4(pid, os.WNOHANG)
            except ChildProcessError:
                del self._orphans[pid]
                continue
            if gone:
                used.append(usage)
                del self._orphans[pid]
        return used

    def kill(self) -> None:
        """Ends whoever is left but the root's parent has to reap it."""
        for _ in range(200):
            if not self.signal(signal.SIGKILL):
                return
            time.sleep(0.01)
            self.reap_orphans()


class Sampler(threading.Thread):
    """Looks at a tree's memory every 100 ms. What that costs is the same
    for every kind of run."""

    INTERVAL = 0.1

    def __init__(self, tree: Tree):
        super().__init__(daemon=True)
        self._tree = tree
        self._ended = threading.Event()
        self._start = time.monotonic()
        self.samples: list[tuple[float, int]] = []
        self.peak = 0
        self.peak_own = 0

    def run(self) -> None:
        while True:
            program, own = self._tree.memory()
            at = time.monotonic() - self._start
            self.samples.append((round(at, 3), program))
            self.peak = max(self.peak, program)
            self.peak_own = max(self.peak_own, own)
            if self._ended.wait(self.INTERVAL):
                return

    def end(self) -> None:
        self._ended.set()
        self.join()
