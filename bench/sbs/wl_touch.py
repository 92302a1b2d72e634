"""touch: what an access to memory costs when half of it does not fit.

Each trace of one thread is a process of its own, so that the pages it swapped
in are known for it alone and are the same accesses everywhere; see ../touch.c for what the traces are.
"""
from __future__ import annotations

import pathlib

from .kinds import Kind
from .run import Killed
from .workload import MIB, Metric, Workload, compile_c, parse_lines

# (traces, threads, accesses for each page)
TRACES = [
    ("order", 1, 0.0),
    ("random", 1, 1.0),
    ("zipf", 1, 4.0),
    ("scan", 1, 3.5),
    ("random,zipf", 2, 1.0),
    ("random,zipf", 4, 1.0),
    ("random,zipf", 16, 1.0),
]

PASSES = {
    "order": [],
    "random": [("rand_read", "random read"), ("rand_write", "random write"),
               ("rand_read_2", "random read again")],
    "zipf": [("zipf_read", "zipf 0.99 read"), ("zipf_write", "zipf 0.99 write")],
    "scan": [("scan_hot", "hot set under a scan, read")],
}


def _prefix(threads: int) -> str:
    return "" if threads == 1 else f"t{threads}."


def _pass_metrics(name: str, title: str, threads: int) -> list[Metric]:
    """The short form for one thread is what the table always shows."""
    title += "" if threads == 1 else f", {threads} threads"
    more = threads > 1
    rows = [Metric(f"{name}.access", "us", label=title),
            Metric(f"{name}.misses", "accesses", label="  unmapped before",
                   detail=more),
            Metric(f"{name}.miss", "us", label="    their mean",
                   detail=more)]
    for of, words in (("", "    unmapped only "), ("all.", "  all accesses ")):
        for tail in ("p50", "p90", "p99", "p999", "max"):
            shown = tail in ("p50", "p99", "p999") if not of else tail == "p99"
            rows.append(Metric(f"{name}.{of}{tail}", "us",
                               label=words + tail.replace("p999", "p99.9"),
                               detail=more or not shown))
    return rows


def metrics_of(traces: list[tuple[str, int, float]]) -> list[Metric]:
    rows = [Metric(name, "us/page", label=label) for name, label in (
        ("fill", "fill"),
        ("seq_read_1", "read in order, 1st"),
        ("seq_read_2", "read in order, 2nd"),
        ("seq_write_1", "write in order, 1st"),
        ("seq_write_2", "write in order, 2nd"),
        ("verify", "verify all"))]
    for names, threads, _accesses in traces:
        for trace in names.split(","):
            for name, title in PASSES[trace]:
                rows += _pass_metrics(_prefix(threads) + name, title, threads)
        words = "" if threads == 1 else f", {threads} threads"
        rows.append(Metric(f"{_prefix(threads)}{names}.swapins", "pages",
                           label=f"swapped in by {names}{words}"))
    return rows


class Touch(Workload):
    group = name = "touch"
    stands_for = "single accesses to memory, in order and at random"

    def __init__(self, quick: bool = False):
        super().__init__(quick)
        self.size = (64 if quick else 256) * MIB
        self.budget = self.size // 2
        self.traces = [t for t in TRACES if not quick or t[1] < 4]
        self.metrics = metrics_of(self.traces)
        self._program = ""

    def prepare(self, cache: pathlib.Path) -> None:
        self._program = compile_c(cache, "touch.c", "-lm")

    def program(self, _kind: Kind) -> str:
        return self._program

    def run(self, kind: Kind) -> dict[str, float]:
        values: dict[str, float] = {}
        known = {metric.name for metric in self.metrics}
        for traces, threads, per_page in self.traces:
            accesses = int(self.size // 4096 * per_page)
            try:
                run = kind.run([self.program(kind), "-s", str(self.size // MIB),
                                "-p", traces, "-t", str(threads),
                                "-a", str(accesses or 1)], tries=2)
            except Killed:
                continue  # the other traces still have something to say
            for name, value in parse_lines(run.stdout).items():
                if _prefix(threads) + name in known:
                    # Each process fills and verifies: the first one counts.
                    values.setdefault(_prefix(threads) + name, value)
            if run.swapins is not None:
                values[f"{_prefix(threads)}{traces}.swapins"] = run.swapins
        return values


WORKLOADS: list[type[Workload]] = [Touch]
