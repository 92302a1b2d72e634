"""Medians, ranges and the ratios of pairs."""
from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Sequence


@dataclasses.dataclass(frozen=True)
class Summary:
    median: float
    low: float
    high: float
    count: int

    @property
    def spread(self) -> float:
        """Range by median; 0 for a median of 0."""
        return (self.high - self.low) / self.median if self.median else 0.0


def summary(values: Iterable[float | None]) -> Summary | None:
    known = [v for v in values if v is not None]
    if not known:
        return None
    return Summary(statistics.median(known), min(known), max(known),
                   len(known))


def pair_ratios(theirs: Sequence[float | None], ours: Sequence[float | None],
                better: str = "lower") -> list[float]:
    """How many times better ours was in each turn: run i of the one beside
    run i of the other, which the machine treated the same as far as one can
    have that. Above 1 is better, whichever direction is. A turn in which one
    of the two has no value, or 0, makes no pair."""
    ratios = []
    for their, our in zip(theirs, ours):
        if their and our and their > 0 and our > 0:
            ratios.append(their / our if better == "lower" else our / their)
    return ratios


def target_values(target: dict, plain: Sequence[float | None],
                  kernel: Sequence[float | None],
                  ours: Sequence[float | None], better: str) -> list[float]:
    """What is held against a target in each turn, or in each pair of turns
    where a run under another kind is the measure."""
    if target["ahead"] is not None:
        return pair_ratios(kernel, ours, better)
    if target["most"] is not None:
        return [our for our in ours if our is not None]
    pairs = [(p, o) for p, o in zip(plain, ours)
             if p is not None and o is not None]
    if target["times"] is not None:
        return [our / native for native, our in pairs if native > 0]
    return [our - native for native, our in pairs]


def troubles(runs: dict) -> list[tuple[str, int, int, list[str]]]:
    """What went wrong under each kind: how many of how many turns the cgroup
    killed, and what the others failed with."""
    return [(kind, sum(1 for t in turns if t["killed"]), len(turns),
             [t["error"] for t in turns if t["error"] and not t["killed"]])
            for kind, turns in runs.items()]
