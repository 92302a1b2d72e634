"""classic: programs that everybody knows, and small ones of known kind.

Each computes something that is compared: a run that comes to another result
than the first one (which is plain, if plain runs are asked for) has failed.
What a program writes goes into sha256sum outside of the limit, so that no
file's pages count.
"""
from __future__ import annotations

import pathlib
import subprocess

from . import inputs
from .kinds import Kind
from .run import Run, Stream
from .workload import (HERE, MIB, Metric, Workload, WorkloadError, compile_c,
                       install, parse_lines)


def run_hashed(kind: Kind, argv: list[str], stdin: Stream = None,
               env: dict[str, str] | None = None) -> tuple[Run, str]:
    """A run, and the digest of what it wrote to stdout."""
    with subprocess.Popen(["sha256sum"], stdin=subprocess.PIPE, text=True,
                          stdout=subprocess.PIPE) as digest:
        try:
            run = kind.run(argv, stdin=stdin, stdout=digest.stdin, env=env)
            said, _ = digest.communicate(timeout=60)
        except BaseException:
            digest.kill()
            raise
    if not said:
        raise WorkloadError("sha256sum said nothing")
    return run, said.split()[0]


class Classic(Workload):
    """One that prints lines "NAME VALUE", with a "check" among them."""

    group = "classic"
    _input: pathlib.Path | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def run(self, kind: Kind) -> dict[str, float]:
        if self._input:
            inputs.warm(self._input)
        done = kind.run(self.command(), env={"PYTHONHASHSEED": "0"})
        lines = done.stdout.splitlines()
        self.same("check", [li for li in lines if li.startswith("check ")])
        return parse_lines("\n".join(
            line for line in lines if not line.startswith("check ")))


class Sort(Workload):
    group, name = "classic", "sort"
    stands_for = "sort -S: one large array of lines, merged in place"

    def __init__(self, quick: bool = False):
        super().__init__(quick)
        self.size = (24 if quick else 110) * MIB
        self.budget = (28 if quick else 128) * MIB
        self._input = pathlib.Path()

    def prepare(self, cache: pathlib.Path) -> None:
        self._input = inputs.cached(cache, f"records-{self.size}",
                                    inputs.records(1, self.size))

    def run(self, kind: Kind) -> dict[str, float]:
        inputs.warm(self._input)
        # All of it in memory: 3 times the text is what sort asks for.
        _run, digest = run_hashed(
            kind, ["sort", "--parallel=2", "-S", f"{self.size * 3}b",
                   str(self._input)], env={"LC_ALL": "C"})
        self.same("the sorted text", digest)
        return {}


class Dictionary(Classic):
    name = "dict"
    stands_for = "a python dict: small objects, reference counts, pointers"
    in_quick = False
    metrics = [Metric("fill", "s"), Metric("lookup", "us"),
               Metric("walk", "s", label="walk through all")]
    budget = 128 * MIB

    def prepare(self, cache: pathlib.Path) -> None:
        install("python3-minimal")

    def command(self) -> list[str]:
        entries = 200_000 if self.quick else 900_000
        return ["/usr/bin/python3", "-B", str(HERE / "dictionary.py"),
                str(entries), str(entries // 10)]


class Hash(Classic):
    name = "hash"
    stands_for = "a hash table under zipf: an index or a cache in memory"
    metrics = [Metric("insert", "us"), Metric("op", "us", label="operation"),
               *(Metric(f"op.{tail}", "us",
                        label="  " + tail.replace("p999", "p99.9"),
                        detail=tail in ("p90", "max"))
                 for tail in ("p50", "p90", "p99", "p999", "max"))]

    def __init__(self, quick: bool = False):
        super().__init__(quick)
        self.entries = 500_000 if quick else 2_000_000
        self.budget = (32 if quick else 128) * MIB
        self._program = ""

    def prepare(self, cache: pathlib.Path) -> None:
        self._program = compile_c(cache, "hash.c", "-lm")

    def command(self) -> list[str]:
        return [self._program, str(self.entries), str(self.entries // 2)]


class _Graph(Classic):
    def __init__(self, quick: bool = False):
        super().__init__(quick)
        self.scale = 18 if quick else 20
        self.edges = 30
        self.budget = (32 if quick else 128) * MIB
        self._program = ""

    def prepare(self, cache: pathlib.Path) -> None:
        self._program = compile_c(cache, "graph.c")
        self._input = inputs.generated(
            cache, f"graph-{self.scale}-{self.edges}", self._program, "make", "FILE",
            str(self.scale), str(self.edges))


class Bfs(_Graph):
    name = "bfs"
    stands_for = "breadth-first search: jumps to lists of very unequal length"
    metrics = [Metric("rate", "Medges/s", "higher", "edges looked at")]
    in_quick = False

    def command(self) -> list[str]:
        return [self._program, "bfs", str(self._input)]


class PageRank(_Graph):
    name = "pagerank"
    stands_for = "PageRank: all of a graph in order, again and again"
    metrics = [Metric("iteration", "s")]

    def command(self) -> list[str]:
        return [self._program, "pagerank", str(self._input),
                "2" if self.quick else "4"]


class Xz(Workload):
    group, name = "classic", "xz"
    stands_for = "xz -9 -T2: two threads, each with a large search tree"
    in_quick = False

    def __init__(self, quick: bool = False):
        super().__init__(quick)
        self.size = (3 if quick else 12) * MIB
        self.budget = (64 if quick else 128) * MIB
        self._input = pathlib.Path()

    def prepare(self, cache: pathlib.Path) -> None:
        install("xz-utils")
        self._input = inputs.cached(cache, f"text-{self.size}",
                                    inputs.text(1, self.size))

    def run(self, kind: Kind) -> dict[str, float]:
        inputs.warm(self._input)
        # Without a block size, one thread would get all of it.
        _run, digest = run_hashed(
            kind, ["xz", "-9", "-T2", f"--block-size={self.size // 2}", "-c",
                   str(self._input)])
        self.same("the compressed text", digest)
        return {}


WORKLOADS: list[type[Workload]] = [Sort, Dictionary, Hash, Bfs, PageRank, Xz]
