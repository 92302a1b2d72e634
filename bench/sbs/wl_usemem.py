"""usemem: processes that all write memory at once; see ../usemem.c."""
from __future__ import annotations

import pathlib

from .kinds import Kind
from .run import Killed
from .workload import MIB, Metric, Workload, compile_c, parse_lines

PROCESSES = [1, 2, 8]
REPEAT = 2


def _metrics() -> list[Metric]:
    rows = []
    for count in PROCESSES:
        words = f"{count} process{'es' if count > 1 else ''}"
        rows.append(Metric(f"n{count}.sum", "MiB/s", "higher",
                           f"written by {words}"))
        if count > 1:
            rows += [Metric(f"n{count}.process.{which}", "MiB/s", "higher",
                            f"  {which} process", detail=which == "fastest")
                     for which in ("mean", "slowest", "fastest")]
        rows += [Metric(f"n{count}.free.mean", "us",
                        label="  to unmap, mean"),
                 Metric(f"n{count}.free.slowest", "us",
                        label="  to unmap, slowest", detail=True),
                 Metric(f"n{count}.init", "us", label="  to map, mean",
                        detail=True),
                 Metric(f"n{count}.swapins", "pages",
                        label="  swapped in", detail=True)]
    return rows


class Usemem(Workload):
    group = name = "usemem"
    stands_for = "many processes that write much memory at once, and exit"
    metrics = _metrics()

    def __init__(self, quick: bool = False):
        super().__init__(quick)
        self.size = (64 if quick else 384) * MIB
        self.budget = self.size // 2
        self._program = ""

    def prepare(self, cache: pathlib.Path) -> None:
        self._program = compile_c(cache, "usemem.c")

    def run(self, kind: Kind) -> dict[str, float]:
        values: dict[str, float] = {}
        for count in PROCESSES:
            try:
                run = kind.run([self._program, "-n", str(count),
                                "-r", str(REPEAT),
                                str(self.size // MIB // count)], tries=2)
            except Killed:
                continue
            for name, value in parse_lines(run.stdout).items():
                values[f"n{count}.{name}"] = value
            if run.swapins is not None:
                values[f"n{count}.swapins"] = run.swapins
        if "n1.process.mean" in values:  # the same as the sum
            for which in ("mean", "slowest", "fastest"):
                del values[f"n1.process.{which}"]
        return values


WORKLOADS: list[type[Workload]] = [Usemem]
