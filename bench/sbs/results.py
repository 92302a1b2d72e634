"""What was measured and on what, as one JSON file.

    { "version": 1, "date", "commit", "dirty", "spillway", "machine": {...},
      "options": {...}, "absent": {kind: why},
      "workloads": [
        { "name", "group", "stands_for", "budget", "absent": why or null,
          "metrics": [{"name", "unit", "better", "label", "detail"}],
          "runs": {kind: [turn, ...]},
          "summary": {metric: {kind: {median, min, max}, "ratios": [...]}},
          "ours": the kind that the ratios are of,
          "targets": [{"metric", "times", "more", "most", "ahead", "kind",
                       "values": [...]}]
        } ] }

A turn is { "values": {metric: number}, "error": null or text, "killed": n,
"samples": [[seconds, bytes], ...], "processes": [Run, ...] }.
"""
from __future__ import annotations

import dataclasses
import datetime
import json
import os
import pathlib
import platform
import subprocess
from typing import Any

from .run import Run
from .stats import pair_ratios, summary, target_values
from .workload import HERE, Metric, Target, Workload

# What is known of every workload, from what its processes used.
COMMON = [
    Metric("wall", "s", label="wall time"),
    Metric("cpu", "s", label="CPU of everything"),
    Metric("cpu_user", "s", label="  user", detail=True),
    Metric("cpu_sys", "s", label="  system", detail=True),
    Metric("cpu_own", "s", label="  of it supervisor and agents"),
    Metric("cpu_kswapd", "s", label="  kswapd, whole machine", detail=True),
    Metric("peak_tree", "MiB", label="peak memory of the programs"),
    Metric("peak_store", "MiB", label="peak of the compressed store"),
    Metric("peak_own", "MiB", label="  supervisor, store included",
           detail=True),
    Metric("own_memory", "MiB", label="  supervisor and agents without it",
           detail=True),
    Metric("swapins", "pages", label="pages swapped in"),
]


@dataclasses.dataclass
class Turn:
    """One run of one workload under one kind."""

    values: dict[str, float] = dataclasses.field(default_factory=dict)
    error: str | None = None
    killed: int = 0
    samples: list[tuple[float, int]] = dataclasses.field(default_factory=list)
    processes: list[dict[str, Any]] = dataclasses.field(default_factory=list)


def _sum(values: list[Any]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) if known else None


def _max_mib(values: list[Any]) -> float | None:
    known = [v for v in values if v is not None]
    return max(known) / (1 << 20) if known else None


def common_values(runs: list[Run]) -> dict[str, float]:
    """The values of COMMON that are known."""
    values = {
        "wall": _sum([r.wall for r in runs]),
        "cpu": _sum([r.cpu_user + r.cpu_sys for r in runs]),
        "cpu_user": _sum([r.cpu_user for r in runs]),
        "cpu_sys": _sum([r.cpu_sys for r in runs]),
        "cpu_own": _sum([r.cpu_own for r in runs]),
        "cpu_kswapd": _sum([r.cpu_kswapd for r in runs]),
        "peak_tree": _max_mib([r.peak_tree for r in runs]),
        "peak_store": _max_mib([r.peak_store for r in runs]),
        "peak_own": _max_mib([r.peak_own for r in runs]),
        "own_memory": _max_mib([r.own_memory for r in runs]),
        "swapins": _sum([r.swapins for r in runs]),
    }
    return {name: v for name, v in values.items() if v is not None}


def turn_of(runs: list[Run], values: dict[str, float],
            error: str | None = None, killed: int = 0) -> Turn:
    """`killed` are those that were done again. Where one was not, the sums
    are of less work than the other kinds' and are left out."""
    turn = Turn(error=error, killed=killed + sum(r.killed for r in runs))
    if not error:
        turn.values = dict(values)
        if not any(r.killed and r.status for r in runs):
            turn.values |= common_values(runs)
    for run in runs:
        told = dataclasses.asdict(run)
        for left_out in ("samples", "stdout", "stderr", "started"):
            del told[left_out]
        turn.processes.append(told)
        turn.samples += [(round(run.started - runs[0].started + at, 3), size)
                         for at, size in run.samples]
    return turn


# ---- what it was measured on ----

def _output(*argv: str) -> str:
    try:
        done = subprocess.run(argv, cwd=HERE, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _field(path: str, name: str) -> str:
    try:
        for line in pathlib.Path(path).read_text().splitlines():
            key, _, value = line.partition(":" if ":" in line else "=")
            if key.strip() == name:
                return value.strip().strip('"')
    except OSError:
        pass
    return ""


def machine() -> dict[str, Any]:
    return {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE"),
        "kernel": platform.release(),
        "system": _field("/etc/os-release", "PRETTY_NAME"),
    }


class Results:
    """All of it, from the first turn to the file."""

    def __init__(self, spillway: pathlib.Path, options: dict[str, Any]):
        self.data: dict[str, Any] = {
            "version": 1,
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(
                timespec="seconds"),
            "commit": _output("git", "rev-parse", "HEAD"),
            "dirty": bool(_output("git", "status", "--porcelain")),
            "spillway": f"{spillway} "
                        f"{_output(str(spillway), '--version')}".strip(),
            "machine": machine(),
            "options": options,
            "absent": {},
            "workloads": [],
        }

    def add(self, workload: Workload, turns: dict[str, list[Turn]],
            absent: str | None = None) -> dict[str, Any]:
        """A workload with all its turns, as it stands in the file."""
        metrics = [*workload.metrics, *COMMON]
        row = {
            "name": workload.name,
            "group": workload.group,
            "stands_for": workload.stands_for,
            "budget": workload.budget,
            "absent": absent,
            "metrics": [dataclasses.asdict(m) for m in metrics],
            "runs": {kind: [dataclasses.asdict(t) for t in of]
                     for kind, of in turns.items()},
            "ours": workload.ours,
            "summary": summaries(metrics, turns, workload.ours),
            "targets": against_targets(workload.targets, metrics, turns),
        }
        self.data["workloads"].append(row)
        return row

    def write(self, path: pathlib.Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        try:
            new.write_text(json.dumps(self.data, indent=1) + "\n")
            new.rename(path)
        finally:
            new.unlink(missing_ok=True)


def _column(turns: dict[str, list[Turn]], kind: str,
            metric: str) -> list[float | None]:
    return [t.values.get(metric) for t in turns.get(kind, [])]


def against_targets(targets: list[Target], metrics: list[Metric],
                    turns: dict[str, list[Turn]]) -> list[dict[str, Any]]:
    """Each target, and what came of it."""
    better = {metric.name: metric.better for metric in metrics}
    rows = []
    for target in targets:
        row = dataclasses.asdict(target)
        row["values"] = target_values(
            row, _column(turns, "plain", target.metric),
            _column(turns, "kernel", target.metric),
            _column(turns, target.kind, target.metric),
            better[target.metric])
        rows.append(row)
    return rows


def summaries(metrics: list[Metric], turns: dict[str, list[Turn]],
              ours: str) -> dict[str, Any]:
    """Of each metric that has values: per kind, and the pairs' ratios."""
    found: dict[str, Any] = {}
    for metric in metrics:
        columns = {kind: _column(turns, kind, metric.name)
                   for kind in turns}
        row: dict[str, Any] = {}
        for kind, values in columns.items():
            of = summary(values)
            if of:
                row[kind] = {"median": of.median, "min": of.low,
                             "max": of.high}
        if row:
            row["ratios"] = pair_ratios(columns.get("kernel", []),
                                        columns.get(ours, []),
                                        metric.better)
            found[metric.name] = row
    return found
