"""redis: a server with more data than its budget, read at random, alone and
while it saves.

What is measured, one after the other on one server: GET with 32 requests in
flight a connection and with one, then both again while BGSAVE follows BGSAVE.
Each BGSAVE forks, the child reads all there is, and neither may take more
memory than the budget for the two of them.
"""
from __future__ import annotations

import csv
import io
import pathlib
import random
import shutil
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any

from .kinds import Kind
from .run import Run
from .server import client, serving
from .workload import MIB, Metric, Workload, WorkloadError, install

VALUE = 1024
PER_KEY = VALUE + 110  # with key, entry and headers, as redis counts it
CLIENTS = 12
BATCH = 512  # keys in flight while filling

LOADS = [("p32", 32, False), ("p1", 1, False),
         ("save.p32", 32, True), ("save.p1", 1, True)]


class Redis:
    """A connection: call("GET", "x") returns what the server answers."""

    def __init__(self, path: pathlib.Path, timeout: float = 120):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Redis:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._file.close()
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> Any:
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("redis closed the connection")
        kind, text = line[:1], line[1:-2].decode(errors="replace")
        if kind == b"-":
            raise WorkloadError(f"redis: {text}")
        if kind == b"$":
            return self._file.read(int(text) + 2)[:-2].decode()
        return int(text) if kind == b":" else text

    def call(self, *words: str) -> Any:
        self.send(command(*(w.encode() for w in words)))
        return self.receive()

    def info(self, section: str) -> dict[str, str]:
        pairs = (line.partition(":")
                 for line in self.call("INFO", section).splitlines())
        return {name: value for name, _colon, value in pairs}


def command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(
        b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def _sets(count: int) -> Iterator[bytes]:
    """SET of each key that redis-benchmark -r asks for. Half of a value is
    random bytes, in no two values from the same place."""
    noise = random.Random(1).randbytes(MIB)
    half = VALUE // 2
    rest = b"spillway" * (half // 8)
    for number in range(count):
        at = number * 61 % (MIB - half)
        yield command(b"SET", b"key:%012d" % number,
                      noise[at:at + half] + rest)


class Saver(threading.Thread):
    """BGSAVE after BGSAVE until `enough` is set. end() then waits for the
    last one, and raises what went wrong. A saver without a server ends by
    itself."""

    def __init__(self, path: pathlib.Path):
        super().__init__(daemon=True)
        self._path = path
        self.enough = threading.Event()
        self._error: Exception | None = None
        self.forked = threading.Event()  # the first time, or never any more
        self.forks: list[float] = []  # seconds
        self.saves: list[float] = []

    def run(self) -> None:
        try:
            with Redis(self._path) as redis:
                while not self.enough.is_set() or not self.saves:
                    self._save(redis)
        except Exception as error:
            self._error = error
        finally:
            self.forked.set()

    def _save(self, redis: Redis) -> None:
        started = time.monotonic()
        redis.call("BGSAVE")
        self.forked.set()
        self.forks.append(int(redis.info("stats")["latest_fork_usec"]) / 1e6)
        while (told := redis.info("persistence"))[
                "rdb_bgsave_in_progress"] != "0":
            time.sleep(0.05)
        if told["rdb_last_bgsave_status"] != "ok":
            raise WorkloadError("redis: BGSAVE failed")
        self.saves.append(time.monotonic() - started)

    def end(self) -> None:
        self.join()
        if self._error:
            raise self._error


def _load_metrics() -> Iterator[Metric]:
    for name, depth, saves in LOADS:
        title = f"GET, {depth} in flight" + (", during BGSAVE" if saves else "")
        yield Metric(f"{name}.rate", "req/s", "higher", title)
        for tail in ("p50", "p99", "max"):
            yield Metric(f"{name}.{tail}", "ms", label=f"  {tail}",
                         detail=tail != "p99")


class RedisServer(Workload):
    group = name = "redis"
    stands_for = ("a server that answers from more data than fits, and forks "
                  "to save it")
    metrics = [
        Metric("fill.rate", "req/s", "higher", "SET of all keys"),
        *_load_metrics(),
        Metric("fork", "ms", label="fork of BGSAVE, median"),
        Metric("fork.max", "ms", label="  longest", detail=True),
        Metric("save", "s", label="BGSAVE, median"),
        Metric("saves", "times", "higher", "  how many", detail=True),
        Metric("save.peak", "MiB", label="peak of the tree during BGSAVE"),
        Metric("save.over", "MiB", label="  above the budget"),
    ]

    def __init__(self, quick: bool = False):
        super().__init__(quick)
        self.budget = (32 if quick else 96) * MIB
        self.keys = self.budget * 17 // 10 // PER_KEY
        self._server = ""

    def prepare(self, cache: pathlib.Path) -> None:
        if not (shutil.which("redis-server") and
                shutil.which("redis-benchmark")):
            install("redis-server", "redis-tools",
                    services=("redis-server",))

    def run(self, kind: Kind) -> dict[str, float]:
        path = kind.scratch / "socket"

        def ready() -> bool:
            try:
                with Redis(path, 10) as redis:
                    return redis.call("PING") == "PONG"
            except (FileNotFoundError, ConnectionError):
                return False

        argv = ["redis-server", "--port", "0", "--unixsocket", str(path),
                "--dir", str(kind.scratch), "--save", "", "--appendonly", "no",
                "--daemonize", "no", "--loglevel", "warning",
                "--enable-debug-command", "local"]
        values: dict[str, float] = {}
        with serving(kind, argv, ready) as server:
            values["fill.rate"] = self._fill(path)
            for name, depth, saves in LOADS:
                if not saves:
                    values |= self._get(path, name, depth)
            saving_from = time.monotonic()
            values |= self._get_while_saving(path)
            saving_to = time.monotonic()
            with Redis(path) as redis:
                self.same("digest", redis.call("DEBUG", "DIGEST"))
        peak = _peak(server.run, saving_from, saving_to)
        values["save.peak"] = peak / MIB
        values["save.over"] = (peak - self.budget) / MIB
        return values

    def _fill(self, path: pathlib.Path) -> float:
        started = time.monotonic()
        with Redis(path) as redis:
            batch: list[bytes] = []
            for number, one in enumerate(_sets(self.keys), 1):
                batch.append(one)
                if len(batch) == BATCH or number == self.keys:
                    redis.send(b"".join(batch))
                    for _ in batch:
                        redis.receive()
                    batch.clear()
            if redis.call("DBSIZE") != self.keys:
                raise WorkloadError("redis has lost keys")
        return self.keys / (time.monotonic() - started)

    def _get(self, path: pathlib.Path, name: str,
             depth: int) -> dict[str, float]:
        told = client([
            "redis-benchmark", "-s", str(path), "-r", str(self.keys),
            "-n", str(self.keys), "-d", str(VALUE), "-c", str(CLIENTS),
            "-P", str(depth), "-t", "get", "--csv"])
        rows = list(csv.DictReader(io.StringIO(told)))
        if len(rows) != 1 or not rows[0].get("rps"):
            raise WorkloadError(f"redis-benchmark said {told!r}")
        values = {f"{name}.rate": float(rows[0]["rps"])}
        for tail in ("p50", "p99", "max"):
            latency = rows[0].get(f"{tail}_latency_ms")
            if latency:  # since redis 6.2
                values[f"{name}.{tail}"] = float(latency)
        return values

    def _get_while_saving(self, path: pathlib.Path) -> dict[str, float]:
        values: dict[str, float] = {}
        saver = Saver(path)
        saver.start()
        try:
            saver.forked.wait()
            for name, depth, saves in LOADS:
                if saves:
                    values |= self._get(path, name, depth)
        finally:
            saver.enough.set()
        saver.end()
        values["fork"] = statistics.median(saver.forks) * 1e3
        values["fork.max"] = max(saver.forks) * 1e3
        values["save"] = statistics.median(saver.saves)
        values["saves"] = len(saver.saves)
        return values


def _peak(run: Run, start: float, end: float) -> int:
    return max((size for at, size in run.samples
                if start <= run.started + at <= end), default=0)


WORKLOADS: list[type[Workload]] = [RedisServer]
