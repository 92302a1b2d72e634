"""lib: the library in a program, beside the kernel's swap and `spillway run`.

    lib-touch    accesses to a region: in order, at random, by Zipf's law
    lib-file     in order, with a file for the swap device
    lib-hash     a hash table on a region that is said to be used at random
    lib-regions  what regions cost themselves

One source a program: built a second time, it has its data in a region
(../arena.h) and runs with faults served by signal and by thread.
"""
from __future__ import annotations

import pathlib

from .kinds import KINDS, Kind
from .wl_classic import Hash
from .wl_touch import TRACES, Touch, metrics_of
from .workload import (HERE, MIB, Metric, Target, Workload, compile_c,
                       parse_lines)

IN_ORDER = ["seq_read_1", "seq_read_2", "seq_write_1", "seq_write_2"]


def compile_region(cache: pathlib.Path, library: pathlib.Path, source: str,
                   *options: str) -> str:
    """The same program with its data in a region."""
    return compile_c(cache, source, "-DREGION", f"-I{HERE.parent / 'include'}",
                     f"-L{library}", f"-Wl,-rpath,{library}", "-lspillway",
                     *options)


class InRegion:
    """A workload whose program has its data in a region."""
    group = "lib"
    kinds = list(KINDS)
    ours = "signal"
    in_quick = False


class LibTouch(InRegion, Touch):
    name = "lib-touch"
    stands_for = "accesses to a region inside the program that asked for it"

    def __init__(self, quick: bool = False):
        super().__init__(quick)
        self.traces = [t for t in TRACES if t[0] != "scan" and t[1] <= 4]
        self.metrics = metrics_of(self.traces)
        self.targets = self.aims()
        self._in_region = ""

    def aims(self) -> list[Target]:
        random = ["rand_read", "rand_write"]
        return [
            *(Target(n, ahead=4, kind="signal") for n in IN_ORDER),
            *(Target(f"{n}.access", ahead=2, kind="signal") for n in random),
            *(Target(f"{n}.access", ahead=1.2, kind="thread")
              for n in random),
            *(Target(f"{n}.p999", ahead=10, kind="signal") for n in random),
            *(Target(f"t{t}.{n}.access", ahead=1, kind="signal")
              for t in (2, 4) for n in [*random, "zipf_read", "zipf_write"])]

    def prepare(self, cache: pathlib.Path) -> None:
        super().prepare(cache)
        self._in_region = compile_region(cache, self.setup.library, "touch.c",
                                         "-lm")

    def program(self, kind: Kind) -> str:
        return self._in_region if kind.in_region else self._program


class LibFile(LibTouch):
    name = "lib-file"
    stands_for = "the same in order, with a file to swap to"
    swap = "file"

    def __init__(self, quick: bool = False):
        super().__init__(quick)
        self.traces = [t for t in self.traces if t[0] == "order"]
        self.metrics = metrics_of(self.traces)

    def aims(self) -> list[Target]:
        return [Target(n, ahead=3, kind="signal") for n in IN_ORDER]


class LibHash(InRegion, Hash):
    name = "lib-hash"
    stands_for = "a hash table under zipf, on a region used at random"

    def __init__(self, quick: bool = False):
        super().__init__(quick)
        self.targets = [Target("op", ahead=1, kind=kind)
                        for kind in ("signal", "thread")]
        self._programs = ("", "")

    def prepare(self, cache: pathlib.Path) -> None:
        super().prepare(cache)
        self._programs = (self._program, compile_region(
            cache, self.setup.library, "hash.c", "-lm"))

    def run(self, kind: Kind) -> dict[str, float]:
        self._program = self._programs[kind.in_region]
        return super().run(kind)


class LibRegions(Workload):
    """The many take a MiB each, of which one page is touched."""

    group, name = "lib", "lib-regions"
    stands_for = "allocating and freeing regions, and many in one instance"
    kinds = ["signal", "thread"]
    in_quick = False
    budget = 32 * MIB

    def __init__(self, quick: bool = False):
        super().__init__(quick)
        self.times = 100 if quick else 2000
        self.many = 1000 if quick else 10_000
        of = f"{self.many} regions"
        self.metrics = [
            Metric("both", "us", label="1 GiB allocated and freed"),
            *(Metric(f"{name}{tail}", "us", label=f"  {label}{words}",
                     detail=bool(tail))
              for name, label in (("alloc", "allocated"), ("free", "freed"))
              for tail, words in (("", ""), (".p50", ", p50"),
                                  (".p99", ", p99"))),
            Metric("many.alloc", "us", label=f"{of}: allocated, each"),
            Metric("many.touch", "us", label="  first touch"),
            Metric("many.again", "us", label="  touched again"),
            Metric("many.free", "us", label="  freed"),
            Metric("many.books", "KiB", label="  books, each")]
        self.targets = [Target("both", most=50, kind=kind)
                        for kind in self.kinds]
        self._program = ""

    def prepare(self, cache: pathlib.Path) -> None:
        self._program = compile_region(cache, self.setup.library, "regions.c")

    def run(self, kind: Kind) -> dict[str, float]:
        values = parse_lines(kind.run([self._program, str(self.times),
                                       str(self.many)]).stdout)
        values["both"] = values["alloc"] + values["free"]
        return values


WORKLOADS: list[type[Workload]] = [LibTouch, LibFile, LibHash, LibRegions]
