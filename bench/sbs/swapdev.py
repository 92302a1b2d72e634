"""Swap of our own for the kernel: on a new zram device (lz4), or on a file.

Both are in use only while the kernel's run lasts: any program of the machine
may swap to them, and they to no other device before.
"""
from __future__ import annotations

import os
import pathlib
import subprocess
import time

from .interrupt import held

CONTROL = pathlib.Path("/sys/class/zram-control")
PRIORITY = "32767"


class SwapError(Exception):
    """Swap could not be made; the text says why."""


def _call(*argv: str) -> None:
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, check=False)
    except FileNotFoundError:
        raise SwapError(f"{argv[0]} is not installed") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"{argv[0]} failed"]
        raise SwapError(said[-1])


def in_use() -> list[str]:
    """What the machine swaps to."""
    swaps = pathlib.Path("/proc/swaps").read_text().splitlines()[1:]
    return [line.split()[0] for line in swaps]


def _swap_on(path: pathlib.Path) -> None:
    _call("mkswap", str(path))
    _call("swapon", "-p", PRIORITY, str(path))


def _swap_off(path: pathlib.Path) -> None:
    if str(path) in in_use():
        _call("swapoff", str(path))


class Zram:
    """A device that is made on entry and gone on exit."""

    def __init__(self, size: int, _folder: pathlib.Path):
        self.size = size
        self.name = ""

    @staticmethod
    def missing() -> str | None:
        if os.geteuid() != 0:
            return "swap takes root"
        if not (CONTROL / "hot_add").exists():
            subprocess.run(["modprobe", "zram", "num_devices=0"], check=False,
                           capture_output=True)
        if not (CONTROL / "hot_add").exists():
            return "no zram in this kernel"
        return None

    @property
    def _sys(self) -> pathlib.Path:
        return pathlib.Path("/sys/block") / self.name

    @property
    def _dev(self) -> pathlib.Path:
        return pathlib.Path("/dev") / self.name

    def open(self) -> None:
        with held():
            self.name = "zram" + (CONTROL / "hot_add").read_text().strip()
            try:
                (self._sys / "comp_algorithm").write_text("lz4")
                (self._sys / "disksize").write_text(str(self.size))
                for _ in range(50):
                    if self._dev.is_block_device():
                        break
                    time.sleep(0.02)  # udev makes the node
                _swap_on(self._dev)
            except OSError as error:
                raise SwapError(f"{self.name}: {error.strerror}") from None

    def close(self) -> None:
        if not self.name:
            return
        with held():
            _swap_off(self._dev)
            # What has just read the device (udev does) makes it busy.
            for left in reversed(range(50)):
                try:
                    (self._sys / "reset").write_text("1")
                    (CONTROL / "hot_remove").write_text(self.name[4:])
                    self.name = ""
                    return
                except OSError as error:
                    if not left:
                        raise SwapError(f"cannot remove {self.name}: "
                                        f"{error.strerror}") from None
                    time.sleep(0.1)

    def reset_peak(self) -> None:
        (self._sys / "mem_used_max").write_text("0")

    def peak(self) -> int | None:
        """The most memory it took since reset_peak()."""
        return int((self._sys / "mm_stat").read_text().split()[4])

    def pages_read(self) -> int | None:
        """Pages read from it: the swap-ins, where there is no other swap."""
        return int((self._sys / "stat").read_text().split()[2]) // 8


class SwapFile:
    """A file that is made on entry and gone on exit."""

    def __init__(self, size: int, folder: pathlib.Path):
        self.size = size
        self.path = folder / "swap"

    @staticmethod
    def missing() -> str | None:
        return "swap takes root" if os.geteuid() != 0 else None

    def open(self) -> None:
        with held():
            try:
                fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL,
                             0o600)
                with open(fd, "wb") as file:
                    os.posix_fallocate(file.fileno(), 0, self.size)
            except OSError as error:
                raise SwapError(f"{self.path}: {error.strerror}") from None
            _swap_on(self.path)

    def close(self) -> None:
        with held():
            _swap_off(self.path)
            self.path.unlink(missing_ok=True)

    def reset_peak(self) -> None:
        """Nothing: a file's room is no memory."""

    def peak(self) -> int | None:
        return None

    def pages_read(self) -> int | None:
        return None


DEVICES = {"zram": Zram, "file": SwapFile}
