"""costs: what spillway costs beside a native run, each with its target.

    fork         forks of a large process, most of which is out
    exec         programs that come and go: what it costs to attach one
    roomy-build  make -j4 in a budget larger than it needs
    roomy        programs that touch 60 and 95 % of their budget
    own          memory of our own while 2 GiB are managed

"Native" is the same program without any limit, with all its memory in place.
"""
from __future__ import annotations

import pathlib

from .kinds import Kind
from .run import Run
from .wl_build import Build
from .workload import MIB, Metric, Target, Workload, compile_c, parse_lines

COMPARED = ["plain", "spillway"]  # the kernel's swap has no part in it


class _Cost(Workload):
    group = "costs"
    kinds = COMPARED
    in_quick = False

    def __init__(self, quick: bool = False):
        super().__init__(quick)
        self._program = ""

    def prepare(self, cache: pathlib.Path) -> None:
        self._program = compile_c(cache, "costs.c")

    def costs(self, kind: Kind, *args: str | int, tries: int = 1
              ) -> tuple[Run, dict[str, float]]:
        run = kind.run([self._program, *map(str, args)], tries=tries)
        return run, parse_lines(run.stdout)


class Fork(_Cost):
    """The child ends at once; what later writes cost is not in it."""

    name = "fork"
    stands_for = "forks of a large process, 60 % of it out"
    kinds = Workload.kinds
    times = 5

    def __init__(self, quick: bool = False):
        super().__init__(quick)
        self.size = 256 if quick else 2048  # MiB
        self.left = self.size * 4 // 10
        self.budget = self.left * MIB
        size = f"{self.size} MiB" if quick else "2 GiB"
        self.metrics = [
            Metric("first", "ms", label=f"fork of {size}, 60 % out"),
            Metric("first.child", "ms", label="  until the child runs"),
            Metric("again", "ms", label="  again, mean"),
            Metric("resident", "MiB", label="  of it in place"),
            Metric("small", "ms",
                   label=f"fork of {self.left} MiB, all in place"),
        ]
        self.targets = [Target("first", times=2)]

    def run(self, kind: Kind) -> dict[str, float]:
        _run, values = self.costs(kind, "fork", self.size, self.times, tries=2)
        if not kind.has_budget:
            _run, small = self.costs(kind, "fork", self.left, self.times)
            values["small"] = small["first"]
        return values


class Exec(_Cost):
    """CPU is that of everything, so it has the program itself in it."""

    name = "exec"
    stands_for = "programs that come and go, in a budget they do not need"
    metrics = [
        Metric("spawn", "ms", label="posix_spawn of /bin/true"),
        Metric("spawn.median", "ms", label="  median"),
        Metric("spawn.cpu", "ms", label="  CPU of everything"),
        Metric("forkexec", "ms", label="fork and exec of it"),
        Metric("forkexec.cpu", "ms", label="  CPU of everything"),
    ]
    targets = [Target("spawn", more=0.3)]

    def __init__(self, quick: bool = False):
        super().__init__(quick)
        self.times = 300 if quick else 2000

    def run(self, kind: Kind) -> dict[str, float]:
        values = {}
        for way in ("spawn", "forkexec"):
            run, said = self.costs(kind, way, self.times)
            values[way] = said["mean"]
            values[f"{way}.cpu"] = (run.cpu_user + run.cpu_sys
                                    ) * 1000 / self.times
            if way == "spawn":
                values["spawn.median"] = said["median"]
        return values


class RoomyBuild(Build):
    """Not optimised as it is in `build`, so that compilers come and go
    faster."""

    group, name = "costs", "roomy-build"
    stands_for = "make -j4 in a budget larger than it needs"
    kinds = COMPARED
    budget = 256 * MIB
    flags = ["CFLAGS=-O0"]
    targets = [Target("wall", times=1.03), Target("cpu", times=1.03)]


class Roomy(Workload):
    """Times are those that the programs measure: to start and to end a
    session is not in them. From 60 % of the budget on a program is managed."""

    group, name = "costs", "roomy"
    stands_for = "programs that stay below their budget"
    kinds = COMPARED
    in_quick = False
    per_page = 8  # accesses of a pass

    def __init__(self, quick: bool = False):
        super().__init__(quick)
        self.budget = (64 if quick else 256) * MIB
        self.metrics = []
        self.targets = []
        for percent in (60, 95):
            for what, part in (("touch", "fill"), ("hash", "insert")):
                name = f"{what}{percent}"
                self.metrics += [
                    Metric(name, "s", label=f"{what} in {percent} % of it"),
                    Metric(f"{name}.{part}", "s", label=f"  {part}"),
                    Metric(f"{name}.use", "s", label="  use")]
                self.targets.append(Target(name, times=1.01))
        self._touch = self._hash = ""

    def prepare(self, cache: pathlib.Path) -> None:
        self._touch = compile_c(cache, "touch.c", "-lm")
        self._hash = compile_c(cache, "hash.c", "-lm")

    def run(self, kind: Kind) -> dict[str, float]:
        values = {}
        for percent in (60, 95):
            # Code, libraries' data, stacks and buffers have a MiB.
            memory = self.budget * percent // 100 - MIB
            for what, (first, use) in (
                    ("touch", self._run_touch(kind, memory)),
                    ("hash", self._run_hash(kind, memory))):
                name = f"{what}{percent}"
                part = "fill" if what == "touch" else "insert"
                values |= {name: first + use, f"{name}.{part}": first,
                           f"{name}.use": use}
        return values

    def _run_touch(self, kind: Kind, memory: int) -> tuple[float, float]:
        """Beside a page it has a counter of it and a float an access."""
        mib = memory // (4096 + 4 + 4 * self.per_page) * 4096 // MIB
        pages = mib * MIB // 4096
        accesses = pages * self.per_page
        said = parse_lines(kind.run(
            [self._touch, "-s", str(mib), "-p", "random", "-a",
             str(accesses)]).stdout)
        use = accesses * sum(said[f"{name}.access"] for name in (
            "rand_read", "rand_write", "rand_read_2"))
        return (said["fill"] * pages / 1e6,
                (use + said["verify"] * pages) / 1e6)

    def _run_hash(self, kind: Kind, memory: int) -> tuple[float, float]:
        """An entry has 128 bytes, a head of a chain, and half a float."""
        entries = memory // (128 + 4 + 2)
        operations = entries // 2
        said = parse_lines(kind.run(
            [self._hash, str(entries), str(operations)]).stdout)
        return said["insert"] * entries / 1e6, said["op"] * operations / 1e6


class Own(Workload):
    """Filled, then read in order: every page that is in place has a copy in
    the store, too, and that is when our books are largest."""

    group, name = "costs", "own"
    stands_for = "memory of our own, with twice the budget managed"
    kinds = ["spillway"]
    metrics = [Metric("own", "MiB", label="supervisor, keeper and agents")]
    in_quick = False

    def __init__(self, quick: bool = False):
        super().__init__(quick)
        self.size = (256 if quick else 2048) * MIB
        self.budget = self.size // 2
        most = self.size * 0.015 / MIB + 8
        self.targets = [Target("own", most=most)]
        self._program = ""

    def prepare(self, cache: pathlib.Path) -> None:
        self._program = compile_c(cache, "touch.c", "-lm")

    def run(self, kind: Kind) -> dict[str, float]:
        run = kind.run([self._program, "-s", str(self.size // MIB),
                        "-p", "random", "-a", "1000"])
        return {} if run.own_memory is None else {"own": run.own_memory / MIB}


WORKLOADS: list[type[Workload]] = [Fork, Exec, RoomyBuild, Roomy, Own]
