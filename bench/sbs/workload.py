"""What a workload is.

A workload module (wl_*.py) defines classes of this kind and lists them in
WORKLOADS; cli.py knows the modules. One run of one workload under one kind
takes 5 to 15 seconds on a quiet machine with two CPUs (with --quick, 1 to 4),
and its budget is what about half of its memory does not fit into.
"""
from __future__ import annotations

import abc
import dataclasses
import hashlib
import os
import pathlib
import shutil
import subprocess
from typing import Any

from .interrupt import held
from .kinds import UNCHANGED, Kind, Setup

HERE = pathlib.Path(__file__).resolve().parent.parent  # of our C programs
MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Metric:
    """A row of the table. Names that end in .p50, .p90, .p99, .p999 and .max
    and are otherwise the same make one latency curve in the pictures. A label
    that is indented belongs to the last one above it that is not."""

    name: str
    unit: str = "s"
    better: str = "lower"  # or "higher"
    label: str = ""  # in the table; the name if empty
    detail: bool = False  # in the table only with -v; always in the results

    @property
    def title(self) -> str:
        return self.label or self.name


@dataclasses.dataclass(frozen=True)
class Target:
    """What a row may be under `kind`: at most `times` what it is in a plain
    run, or `more` than that, or `most` by itself; or what it has to be at
    least: `ahead` times better than under the kernel's swap."""

    metric: str
    times: float | None = None
    more: float | None = None
    most: float | None = None
    ahead: float | None = None
    kind: str = "spillway"


class WorkloadError(Exception):
    """It ran and came out wrong, or did not run: a failure."""


class Missing(Exception):
    """It cannot run on this machine; the text says what is missing."""


class Workload(abc.ABC):
    group = ""  # what selects it on the command line, beside its name
    name = ""
    stands_for = ""  # one line
    budget = 128 * MIB
    metrics: list[Metric] = []
    targets: list[Target] = []
    kinds = UNCHANGED  # those under which it says something
    ours = "spillway"  # of those, the one that is held against the kernel
    swap: str | None = None  # the only device it is about, if it is
    in_quick = True  # is it part of `make bench-quick`?
    setup: Setup  # known from prepare() on

    def __init__(self, quick: bool = False):
        self.quick = quick
        self._seen: dict[str, Any] = {}

    def missing(self) -> str | None:
        """Why it cannot run here, whatever is installed; or None."""
        return None

    @abc.abstractmethod
    def prepare(self, cache: pathlib.Path) -> None:
        """Makes or installs what all runs need; what is in `cache` (a folder)
        from an earlier time is used again. May raise Missing."""

    @abc.abstractmethod
    def run(self, kind: Kind) -> dict[str, float]:
        """One run: values of `metrics` by name. Called inside of
        kind.limited_to(); wall and CPU time, memory and swap-ins of whatever
        it ran under `kind` are added for it."""

    def same(self, what: str, value: Any) -> None:
        """All runs must compute the same: the first one says what that is."""
        if self._seen.setdefault(what, value) != value:
            raise WorkloadError(f"{self.name}: {what} is {value!r} and was "
                                f"{self._seen[what]!r} in another run")


def compile_c(cache: pathlib.Path, source: str, *options: str) -> str:
    """The program made of bench/SOURCE. Its name in the cache tells of which
    source and options, since other trees of ours may use the same cache."""
    path = HERE / source
    texts = [path.read_bytes(), *(p.read_bytes() for p in
                                  sorted(HERE.glob("*.h"))),
             "\0".join(options).encode()]
    digest = hashlib.sha256(b"\0".join(texts)).hexdigest()[:12]
    program = cache / f"{path.stem}-{digest}"
    if program.exists():
        return str(program)
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if not compiler:
        raise Missing("no C compiler")
    # Another benchmark may run the old one or compile the same just now.
    new = program.with_suffix(f".{os.getpid()}")
    try:
        done = subprocess.run(
            [compiler, "-O2", "-D_GNU_SOURCE", "-pthread", "-o", str(new),
             str(path), *options], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False)
        if done.returncode:
            raise WorkloadError(f"{source} does not compile: {done.stderr}")
        new.rename(program)
    finally:
        new.unlink(missing_ok=True)
    return str(program)


def install(*packages: str, services: tuple[str, ...] = ()) -> None:
    """Sees that these Debian packages are there; Missing if they cannot be.
    Debian starts and enables a server as it installs it, which nobody asked
    for here: `services` are those to be stopped again."""
    absent = [p for p in packages if not _is_installed(p)]
    if not absent:
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise Missing(f"not installed: {' '.join(absent)}")
    print(f"spillway-bench: installing {' '.join(absent)}", flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive",
           "RUNLEVEL": "1"}  # in which invoke-rc.d starts no server
    for command in (["apt-get", "update"],
                    ["apt-get", "install", "-y", "--no-install-recommends",
                     *absent]):
        # Interrupted half-way, it would leave the machine with a puzzle.
        with held():
            done = subprocess.run(command, stdin=subprocess.DEVNULL, env=env,
                                  capture_output=True, text=True, check=False,
                                  start_new_session=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["apt-get failed"]
        raise Missing(f"{' '.join(absent)}: {said[-1]}")
    if services and pathlib.Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "disable", "--now", *services],
                       stdin=subprocess.DEVNULL, capture_output=True,
                       check=False)


def _is_installed(package: str) -> bool:
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}", package],
        capture_output=True, text=True, check=False)
    return done.stdout == "installed"


def parse_lines(text: str) -> dict[str, float]:
    """Values of lines "NAME VALUE", which is how our C programs report."""
    values = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2:
            values[words[0]] = float(words[1])
    return values
