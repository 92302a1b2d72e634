"""The command line of spillway-bench, and the order of what it does."""
from __future__ import annotations

import argparse
import importlib
import os
import pathlib
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator

from . import interrupt, page, swapdev, table, tree
from .kinds import KINDS, Kind, Setup, make
from .results import Results, Turn, turn_of
from .run import RunFailed
from .workload import HERE, Missing, Workload, WorkloadError

MODULES = ["touch", "usemem", "classic", "redis", "mysql", "build", "disk",
           "costs", "lib"]


def _classes() -> Iterator[type[Workload]]:
    for name in MODULES:
        yield from importlib.import_module(f"{__package__}.wl_{name}").WORKLOADS


def _default_spillway() -> pathlib.Path:
    if os.environ.get("SPILLWAY"):
        return pathlib.Path(os.environ["SPILLWAY"]).resolve()
    builds = [HERE.parent / build / "src/cli/spillway"
              for build in ("build-release", "build")]
    return next((b for b in builds if b.exists()), builds[0])


def _cache() -> pathlib.Path:
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    folder = pathlib.Path(base) / "spillway-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# ---- options ----

def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def _kinds(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in KINDS:
            raise argparse.ArgumentTypeError(
                f"no kind of run is called {name!r}; there are "
                + ", ".join(KINDS))
    return [name for name in KINDS if name in names]


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="spillway-bench",
        description="Runs each WORKLOAD (all of them, if none is named) plain,"
        " under the kernel's swap and under spillway, in turns, and sets them"
        " side by side; those of lib also with their data in regions of the"
        " library, by signal and by thread.",
        epilog="SPILLWAY names the program that is tested.")
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD")
    parser.add_argument("-n", dest="runs", type=_count, metavar="RUNS",
                        help="runs of each kind (5; with --quick 2)")
    parser.add_argument("-k", dest="kinds", type=_kinds, metavar="KINDS",
                        help=f"which of {','.join(KINDS)} (all that the "
                        "workloads are for)")
    parser.add_argument("-o", dest="out", type=pathlib.Path, metavar="DIR",
                        default=HERE / "results",
                        help="where results go (bench/results)")
    parser.add_argument("-v", dest="verbose", action="store_true",
                        help="all rows in the table")
    parser.add_argument("--quick", action="store_true",
                        help="a small part, in less than three minutes")
    parser.add_argument("--swap", choices=sorted(swapdev.DEVICES), default="zram",
                        help="what to swap to (zram)")
    parser.add_argument("--list", action="store_true",
                        help="say what workloads there are")
    options = parser.parse_args(argv)
    options.runs = options.runs or (2 if options.quick else 5)
    options.chosen = _choose(parser, options)
    options.kinds = options.kinds or [
        name for name in KINDS if any(name in w.kinds for w in options.chosen)]
    return options


def _choose(parser: argparse.ArgumentParser,
            options: argparse.Namespace) -> list[Workload]:
    """By name, by group, or all; a quick run has those that are quick."""
    everything = [c(options.quick) for c in _classes()]
    for name in options.workloads:
        if not any(name in (w.name, w.group) for w in everything):
            parser.error(f"no workload is called {name!r}; --list tells")
    if options.workloads:
        return [w for w in everything if w.name in options.workloads
                or w.group in options.workloads]
    return [w for w in everything if w.in_quick or not options.quick]


# ---- running ----

class Bench:
    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.failed = False
        self.kinds: list[Kind] = []
        self.results = Results(options.setup.spillway, {
            "runs": options.runs, "quick": options.quick,
            "swap": options.swap})
        self.progress = table.Progress(0)

    def say(self, text: str) -> None:
        self.progress.clear()
        print(text, flush=True)

    def find_kinds(self) -> None:
        others = swapdev.in_use()
        if others:
            self.say(f"spillway-bench: this machine swaps to "
                     f"{', '.join(others)} too, which makes the kernel's "
                     "figures uncertain")
        self.results.data["machine"]["other_swap"] = others
        for name in self.options.kinds:
            kind = make(name, self.options.setup)
            self.kinds.append(kind)
            reason = kind.available()
            if reason:
                self.say(f"spillway-bench: no {name} runs: {reason}")
                self.results.data["absent"][name] = reason
                self.kinds.remove(kind)

    def run_all(self) -> None:
        self.progress = table.Progress(len(self.options.chosen)
                                       * len(self.kinds) * self.options.runs)
        for workload in self.options.chosen:
            self._run_workload(workload)
        self.progress.clear()

    def _run_workload(self, workload: Workload) -> None:
        turns: dict[str, list[Turn]] = {kind.name: [] for kind in self.kinds
                                        if kind.name in workload.kinds}
        absent = workload.missing()
        if not turns:
            absent = f"it is for {' and '.join(workload.kinds)} runs only"
        steps = len(self.kinds) * self.options.runs
        try:
            if not absent:
                self.progress.show(f"{workload.name}: preparing")
                workload.setup = self.options.setup
                workload.prepare(_cache())
                self._take_turns(workload, turns)
                steps = 0
        except Missing as error:
            absent = str(error)
        except WorkloadError as error:
            self.failed = True
            absent = str(error)
        self.progress.step(steps)
        row = self.results.add(workload, turns, absent)
        self.say("\n".join(table.lines(row, self.options.verbose)) + "\n")

    def _take_turns(self, workload: Workload,
                    turns: dict[str, list[Turn]]) -> None:
        for number in range(1, self.options.runs + 1):
            for kind in self.kinds:
                if kind.name not in turns:
                    self.progress.step()
                    continue
                self.progress.show(f"{workload.name}, run {number} of "
                                   f"{self.options.runs}: {kind.name}")
                turns[kind.name].append(self._turn(workload, kind))
                self.progress.step()

    def _turn(self, workload: Workload, kind: Kind) -> Turn:
        """A run that the cgroup killed is counted and done once more."""
        turn = self._try(workload, kind)
        if turn.error and turn.killed:
            again = self._try(workload, kind)
            again.killed += turn.killed
            turn = again
        if turn.error and not turn.killed:
            self.failed = True
        return turn

    @staticmethod
    def _try(workload: Workload, kind: Kind) -> Turn:
        values: dict[str, float] = {}
        error = None
        try:
            with kind.limited_to(workload.budget, workload.swap):
                values = workload.run(kind)
        except (RunFailed, WorkloadError) as failure:
            error = str(failure)
        except Exception as failure:  # a client that lost its server, say
            where = traceback.extract_tb(failure.__traceback__)[-1]
            error = (f"{type(failure).__name__}: {failure} "
                     f"({os.path.basename(where.filename)}:{where.lineno})")
        unknown = set(values) - {m.name for m in workload.metrics}
        if unknown:
            raise KeyError(f"{workload.name} has no metric {sorted(unknown)}")
        return turn_of(kind.runs, values, error, kind.killed)

    def finish(self) -> None:
        name = time.strftime("%Y%m%d-%H%M%S")
        path = self.options.out / f"{name}.json"
        self.results.write(path)
        index = page.write(self.results.data, self.options.out, name)
        machine = self.results.data["machine"]
        print(table.FOOTNOTE)
        print(f"\n{machine['cpu']}, {machine['cpus']} CPUs, Linux "
              f"{machine['kernel']}")
        print(f"All figures: {path}\nPictures: {index}")

    def close(self) -> None:
        for kind in self.kinds:
            kind.close()


def _run(options: argparse.Namespace) -> int:
    # Not /tmp, which may be memory itself.
    base = os.environ.get("TMPDIR", "/var/tmp")
    with tempfile.TemporaryDirectory(prefix="spillway-bench.",
                                     dir=base) as folder:
        options.setup = Setup(_default_spillway(), options.swap,
                              pathlib.Path(folder))
        bench = Bench(options)
        try:
            bench.find_kinds()
            if not bench.kinds:
                return 1
            bench.run_all()
            bench.finish()
        finally:
            bench.close()
    return 1 if bench.failed else 0


def main(argv: list[str]) -> int:
    options = _parse(argv)
    if options.list:
        for workload in options.chosen:
            print(f"{workload.name:<12} {workload.stands_for}")
        return 0
    tree.become_subreaper()
    interrupt.install()
    try:
        return _run(options)
    except interrupt.Interrupted as stopped:
        return stopped.status
    except BrokenPipeError:
        # Nobody reads on; nor may the interpreter try when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
