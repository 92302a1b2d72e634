"""build: zstd, made from its Debian source package by make -j4.

Its compilers are short-lived processes of some 60 MiB each, and make starts
one whenever another ends. Each run builds a fresh copy; what it made has to be
the same program, byte for byte, and to compress as that does.
"""
from __future__ import annotations

import hashlib
import os
import pathlib
import platform
import shutil
import subprocess
import tarfile

from .folders import making
from .kinds import Kind
from .server import client
from .workload import MIB, Missing, Workload, WorkloadError, install

PACKAGE = "libzstd"
KEYS = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")
JOBS = 4


def _fetch(package: str, folder: pathlib.Path) -> pathlib.Path:
    """The authors' tar file of a Debian source package, checked by apt. It
    uses lists of its own: the machine's apt is neither asked nor changed."""
    if not shutil.which("apt-get") or not KEYS.exists():
        raise Missing(f"the source of {package}: no apt of Debian here")
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME")
    sources = folder / "sources.list"
    sources.write_text(f"deb-src [signed-by={KEYS}] "
                       f"http://deb.debian.org/debian {codename} main\n")
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "archives" / "partial").mkdir(parents=True)
    apt = ["apt-get", "-q", "-o", f"Dir::Etc::SourceList={sources}",
           "-o", "Dir::Etc::SourceParts=-",
           "-o", f"Dir::State::Lists={folder}/lists",
           "-o", f"Dir::Cache={folder}"]
    if os.geteuid() == 0:
        # Its own user may not look into our cache.
        apt += ["-o", "APT::Sandbox::User=root"]
    for command in (["update"], ["source", "--download-only", package]):
        done = subprocess.run(apt + command, cwd=folder, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True,
                              check=False)
    found = sorted(folder.glob("*.orig.tar.?z"))
    if done.returncode or not found:
        said = done.stderr.strip().splitlines() or ["apt-get brought nothing"]
        raise Missing(f"the source of {package}: {said[-1]}")
    return found[0]


class Build(Workload):
    group = name = "build"
    stands_for = "make -j4: compilers that come and go"
    budget = 144 * MIB
    in_quick = False
    flags: list[str] = []  # for make, beside those that say what to build

    def __init__(self, quick: bool = False):
        super().__init__(quick)
        self._source = pathlib.Path()

    def prepare(self, cache: pathlib.Path) -> None:
        if not (shutil.which("make") and shutil.which("cc")):
            install("make", "gcc", "libc6-dev")
        self._source = cache / f"{PACKAGE}-source"
        if self._source.exists():
            return
        with making(self._source) as folder:
            with tarfile.open(_fetch(PACKAGE, folder)) as tar:
                tar.extractall(folder / "source")
            (top,) = (folder / "source").iterdir()
            top.rename(folder / "made")

    def run(self, kind: Kind) -> dict[str, float]:
        tree = kind.scratch / "tree"
        shutil.copytree(self._source, tree)
        os.sync()  # what is copied is not to be written out meanwhile
        kind.run(["make", f"-j{JOBS}", "-C", str(tree / "programs"),
                  "ZSTD_LEGACY_SUPPORT=0", "HAVE_ZLIB=0", "HAVE_LZMA=0",
                  "HAVE_LZ4=0", *self.flags, "zstd"],
                 env={"TMPDIR": str(kind.scratch),
                      "MAKEFLAGS": ""})  # we may be in a make ourselves
        self._check(tree / "programs" / "zstd")
        return {}

    def _check(self, program: pathlib.Path) -> None:
        if not program.exists():
            raise WorkloadError("build: make made no zstd")
        self.same("program",
                  hashlib.sha256(program.read_bytes()).hexdigest())
        text = program.parent / "zstd_cli_text"
        text.write_text("\n".join(str(n * n) for n in range(50000)))
        client([str(program), "-q", "-19", str(text), "-o", f"{text}.zst"])
        self.same("compressed text", hashlib.sha256(
            pathlib.Path(f"{text}.zst").read_bytes()).hexdigest())
        client([str(program), "-q", "-d", f"{text}.zst", "-o", f"{text}.back"])
        if pathlib.Path(f"{text}.back").read_bytes() != text.read_bytes():
            raise WorkloadError("build: zstd does not unpack what it packed")


WORKLOADS: list[type[Workload]] = [Build]
