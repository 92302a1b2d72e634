"""What the terminal shows: a bar while it runs, and a table of what came
out. Both are made of a workload's row in the results, so that a table can be
printed again from a file."""
from __future__ import annotations

import statistics
import sys
import time
from typing import Any, TextIO

from . import stats

MIB = 1 << 20


def number(value: float) -> str:
    """Three figures or more; no row of a table needs exponents."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 1:
        return f"{value:.2f}"
    return f"{value:.3f}"


def duration(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


LABEL, CELL = 38, 25


def _cell(found: dict[str, float] | None) -> str:
    if not found:
        return f"{'-':>9}".ljust(CELL)
    text = f"{number(found['median']):>9}"
    if found["min"] != found["max"]:
        text += f"  {number(found['min'])}-{number(found['max'])}"
    return text.ljust(CELL)


def _ratio(ratios: list[float]) -> str:
    if not ratios:
        return ""
    text = f"{statistics.median(ratios):6.2f}"
    if len(ratios) > 1:
        text += f"  {min(ratios):.2f}-{max(ratios):.2f}"
    return text


def lines(row: dict[str, Any], details: bool = False) -> list[str]:
    """The table of one workload."""
    kinds = list(row["runs"])
    text = [f"{row['name']}: {row['stands_for']}"]
    if row["absent"]:
        return [*text, f"  left out: {row['absent']}"]
    turns = max(len(of) for of in row["runs"].values())
    head = f"  budget {row['budget'] // MIB} MiB, {turns} run{'s' if turns > 1 else ''}"
    ours = row.get("ours", "spillway")  # older files are of that only
    pair = "better by" if {"kernel", ours} <= set(kinds) else ""
    if pair and ours != "spillway":
        pair = f"{ours} {pair}"
    text.append((head.ljust(LABEL) + "".join(
        f"{kind:>9}".ljust(CELL) for kind in kinds) + f"{pair:>9}").rstrip())
    for metric in row["metrics"]:
        found = row["summary"].get(metric["name"])
        if not found or (metric["detail"] and not details):
            continue
        label = f"  {metric['label'] or metric['name']}, {metric['unit']}"
        text.append((label.ljust(LABEL) + "".join(
            _cell(found.get(kind)) for kind in kinds)
            + _ratio(found["ratios"])).rstrip())
    return text + targets(row) + _troubles(row)


def targets(row: dict[str, Any]) -> list[str]:
    """What was set as a target, and what came of it."""
    labels = full_labels(row)
    units = {m["name"]: m["unit"] for m in row["metrics"]}
    text = []
    for target in row.get("targets", []):  # older files have none
        if not target["values"]:
            continue
        name, values = target["metric"], target["values"]
        limit, words = next(
            (target[key], words) for key, words in (
                ("ahead", "times better than the kernel"),
                ("times", "times plain"),
                ("more", f"{units[name]} more than plain"),
                ("most", units[name])) if target.get(key) is not None)
        found = statistics.median(values)
        line = f"  target: {labels[name]}"
        if target.get("kind", "spillway") != "spillway":
            line += f", {target['kind']}"
        line += f": {number(found)} {words}"
        if len(values) > 1:
            line += f" ({number(min(values))} to {number(max(values))})"
        least = target.get("ahead") is not None
        line += f", at {'least' if least else 'most'} {number(limit)}"
        missed = found < limit if least else found > limit
        text.append(f"{line}: MISSED" if missed else line)
    return text


def full_labels(row: dict[str, Any]) -> dict[str, str]:
    """By name; an indented row with the one it belongs to before it."""
    labels = {}
    above = ""
    for metric in row["metrics"]:
        label = metric["label"] or metric["name"]
        if label.startswith(" "):
            label = f"{above}: {label.strip()}"
        else:
            above = label
        labels[metric["name"]] = label
    return labels


def _troubles(row: dict[str, Any]) -> list[str]:
    text = []
    for kind, killed, turns, errors in stats.troubles(row["runs"]):
        if killed:
            text.append(f"  The cgroup of the {kind} killed programs in "
                        f"{killed} of {turns} runs.")
        text += [f"  FAILED under {kind}: {error}" for error in errors]
    return text


FOOTNOTE = """\
Medians, with minimum-maximum where they differ. "better by" is how many times
spillway was better than the kernel: the median of the ratios of each pair of
runs, and their range. CPU of everything is the program, its children, the
supervisor and the agents; the kernel reclaims for a cgroup in the program's own
time, while kswapd belongs to nobody (-v shows it, for the whole machine)."""


class Progress:
    """A bar on a terminal; nothing where there is none."""

    WIDTH = 24

    def __init__(self, steps: int, out: TextIO = sys.stderr):
        self._steps = max(steps, 1)
        self._done = 0
        self._out = out
        self._tty = out.isatty()
        self._start = time.monotonic()
        self._shown = 0

    def show(self, what: str) -> None:
        if not self._tty:
            return
        full = self.WIDTH * self._done // self._steps
        passed = time.monotonic() - self._start
        text = (f"[{'#' * full}{'.' * (self.WIDTH - full)}] "
                f"{self._done}/{self._steps} {what}, {duration(passed)}")
        if self._done:
            left = passed / self._done * (self._steps - self._done)
            text += f", about {duration(left)} left"
        self._write(text)

    def step(self, count: int = 1) -> None:
        self._done += count

    def clear(self) -> None:
        """Before something else is printed."""
        if self._tty and self._shown:
            self._write("")
            self._out.write("\r")
            self._out.flush()

    def _write(self, text: str) -> None:
        self._out.write("\r" + text.ljust(self._shown))
        self._out.flush()
        self._shown = len(text)
