"""disk: swapping to a file, whatever --swap says.

Plain is the disk itself: large requests past the page cache for what goes in
order, single pages for what does not; see ../raw_io.h. So a column of the
others divided by it is the share of the disk's speed that is reached.

"After random use" is a program that has read and written at random for a
while, so that its pages went out in an order that is not theirs: what was
together in memory is together on the disk only as far as whoever swaps has
seen to it.
"""
from __future__ import annotations

import pathlib

from .kinds import Kind
from .workload import MIB, Metric, Workload, compile_c, parse_lines

PAGE_MB = 4096 / 1e6


def _rate(us_a_page: float) -> float:
    return PAGE_MB / us_a_page * 1e6


class Disk(Workload):
    group = name = "disk"
    stands_for = "a swap file, beside plain I/O on the same disk"
    swap = "file"
    in_quick = False
    metrics = [
        Metric("read", "MB/s", "higher", "read in order"),
        Metric("read.used", "MB/s", "higher", "  after random use"),
        Metric("write", "MB/s", "higher", "write in order"),
        Metric("random", "us", label="read at random, page not there"),
        Metric("random.p50", "us", label="  p50"),
        Metric("random.p99", "us", label="  p99"),
    ]

    def __init__(self, quick: bool = False):
        super().__init__(quick)
        self.size = (64 if quick else 256) * MIB
        self.budget = self.size // 2
        self._touch = self._raw = ""

    def prepare(self, cache: pathlib.Path) -> None:
        self._touch = compile_c(cache, "touch.c", "-lm")
        self._raw = compile_c(cache, "rawdisk.c")

    def _accesses(self, kind: Kind, traces: str) -> dict[str, float]:
        return parse_lines(kind.run(
            [self._touch, "-s", str(self.size // MIB), "-p", traces,
             "-a", str(self.size // 4096)], tries=2).stdout)

    def run(self, kind: Kind) -> dict[str, float]:
        if not kind.has_budget:
            return parse_lines(kind.run(
                [self._raw, str(kind.scratch / "raw"),
                 str(self.size // MIB)]).stdout)
        fresh = self._accesses(kind, "order")
        used = self._accesses(kind, "random,random,order")
        return {"read": _rate(fresh["seq_read_2"]),
                "read.used": _rate(used["seq_read_1"]),
                "write": _rate(fresh["seq_write_2"]),
                "random": used["rand_read.miss"],
                "random.p50": used["rand_read.p50"],
                "random.p99": used["rand_read.p99"]}


WORKLOADS: list[type[Workload]] = [Disk]
