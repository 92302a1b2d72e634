"""mysql: MariaDB with a buffer pool of three times its budget, read by
sysbench.

The tables are made once and kept in the cache. A run's data directory is a
copy of all but the tables, which are linked in; InnoDB may not write in a run,
so that every run reads the same files. They are read once, as a whole, into
the buffer pool: from then on the disk has no part in it.
"""
from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import socket
from collections.abc import Iterator

from .folders import making
from .kinds import Kind, Plain, Setup
from .server import client, serving
from .workload import MIB, Metric, Workload, WorkloadError, install

TABLES = 8
THREADS = 8
DATABASE = "sbtest"  # as sysbench calls it
SYSTEM_TABLES = pathlib.Path("/usr/share/mysql/mysql_system_tables.sql")
# Rows of TABLES that take nine tenths of the pool: 225 bytes each on disk.
ROW = 225

CONFIG = """\
[mariadbd]
{user}
datadir = {folder}/data
socket = {folder}/socket
pid_file = {folder}/pid
tmpdir = {folder}
skip_networking
skip_grant_tables
performance_schema = OFF
max_connections = 40
open_files_limit = 1024
table_open_cache = 400
innodb_buffer_pool_size = {pool}
innodb_buffer_pool_dump_at_shutdown = OFF
innodb_buffer_pool_load_at_startup = OFF
innodb_flush_method = O_DIRECT
innodb_log_file_size = 16M
innodb_undo_tablespaces = 0
innodb_stats_persistent = OFF
"""
FILLING = """\
innodb_doublewrite = OFF
innodb_flush_log_at_trx_commit = 0
innodb_fast_shutdown = 0
"""
READING = """\
innodb_read_only = ON
"""

# A line of sysbench's histogram: milliseconds |**** count
BAR = re.compile(r"^\s*([0-9.]+) \|\**\s+(\d+)$", re.MULTILINE)


def _program(name: str) -> str:
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return path or ""


class Mysql(Workload):
    group = name = "mysql"
    stands_for = "a database whose buffer pool is larger than its memory"
    in_quick = False
    metrics = [
        Metric("queries", "q/s", "higher", "queries"),
        Metric("transactions", "tx/s", "higher", "transactions", detail=True),
        *(Metric(f"transaction.{tail}", "ms", label=f"  transaction {tail}",
                 detail=tail in ("p90", "p999", "max"))
          for tail in ("p50", "p90", "p95", "p99", "p999", "max")),
    ]

    def __init__(self, quick: bool = False):
        super().__init__(quick)
        self.budget = (64 if quick else 128) * MIB
        self.pool = 3 * self.budget
        self.rows = self.pool * 9 // 10 // ROW // TABLES
        self.warm_up, self.seconds = (1, 4) if quick else (3, 10)
        self._made = pathlib.Path()

    def prepare(self, cache: pathlib.Path) -> None:
        if not (_program("mariadbd") and _program("mariadb")
                and _program("sysbench") and SYSTEM_TABLES.exists()):
            # Not mariadb-server: these have the programs and no service.
            install("mariadb-server-core", "mariadb-client-core", "sysbench")
        version = re.search(r"Ver ([0-9.]+)", client([_program("mariadbd"),
                                                     "--version"]))
        self._made = cache / (f"mysql-{version[1] if version else ''}-"
                              f"{TABLES}-{self.rows}")
        if not self._made.exists():
            with making(self._made) as folder:
                self._make(folder)
                (folder / "data").rename(folder / "made")

    def _make(self, folder: pathlib.Path) -> None:
        """The data directory, in a server that nobody limits."""
        (folder / "data").mkdir()
        config = self._configure(folder, FILLING)
        client([_program("mariadbd"), config, "--bootstrap"], stdin=(
            b"CREATE DATABASE mysql;\nUSE mysql;\n"
            + SYSTEM_TABLES.read_bytes()
            + f"CREATE DATABASE {DATABASE};\n".encode()))
        kind = Plain(Setup(pathlib.Path(), folder=folder))
        try:
            with kind.limited_to(0), self._server(kind, folder, config):
                self._sysbench(folder, "prepare", threads=2)
        finally:
            kind.close()

    def run(self, kind: Kind) -> dict[str, float]:
        folder = kind.scratch
        shutil.copytree(self._made, folder / "data",
                        ignore=shutil.ignore_patterns(DATABASE))
        (folder / "data" / DATABASE).symlink_to(self._made / DATABASE)
        config = self._configure(folder, READING)
        with self._server(kind, folder, config):
            self._read_all(folder)
            self._sysbench(folder, "run", f"--time={self.warm_up}")
            told = self._sysbench(folder, "run", f"--time={self.seconds}",
                                  "--histogram=on")
            self._read_all(folder)
        return _figures(told)

    def _configure(self, folder: pathlib.Path, more: str) -> str:
        """An option that names a file with all options, and no others."""
        path = folder / "my.cnf"
        path.write_text(CONFIG.format(
            user="user = root" if os.geteuid() == 0 else "",
            folder=folder, pool=self.pool) + more)
        return f"--defaults-file={path}"

    @contextlib.contextmanager
    def _server(self, kind: Kind, folder: pathlib.Path,
                config: str) -> Iterator[None]:
        def ready() -> bool:
            with socket.socket(socket.AF_UNIX) as connection:
                return connection.connect_ex(str(folder / "socket")) == 0

        with serving(kind, [_program("mariadbd"), config], ready):
            yield

    def _sysbench(self, folder: pathlib.Path, command: str, *options: str,
                  threads: int = THREADS) -> str:
        """Pareto: four fifths of what is asked for is in a fifth of the rows.
        What sysbench does by itself asks for a hundredth of them, which fits
        into any memory."""
        return client([
            _program("sysbench"), "oltp_read_only", "--db-driver=mysql",
            f"--mysql-socket={folder}/socket", "--mysql-user=root",
            f"--mysql-db={DATABASE}", f"--tables={TABLES}",
            f"--table-size={self.rows}", "--create_secondary=off",
            "--rand-seed=1", "--rand-type=pareto", f"--threads={threads}",
            *options, command])

    def _read_all(self, folder: pathlib.Path) -> None:
        """Every row, into the pool if it is not there, and its checksum."""
        one = "SELECT COUNT(*), SUM(id + k + CRC32(c) + CRC32(pad)) FROM sbtest"
        said = client([
            _program("mariadb"), "--no-defaults", "--batch",
            "--skip-column-names", f"--socket={folder}/socket",
            "--user=root", "--database", DATABASE, "--execute",
            " UNION ALL ".join(f"{one}{n + 1}" for n in range(TABLES))])
        counts = [int(line.split()[0]) for line in said.splitlines()]
        if counts != [self.rows] * TABLES:
            raise WorkloadError(f"mysql: tables of {counts} rows")
        self.same("rows", said)


def _figures(told: str) -> dict[str, float]:
    """Of what sysbench said. It names one percentile only, but draws all."""
    def found(pattern: str) -> float:
        match = re.search(pattern, told)
        if not match:
            raise WorkloadError(f"sysbench said {told[-400:]!r}")
        return float(match[1])

    if found(r"ignored errors:\s+(\d+)"):
        raise WorkloadError("mysql: some queries failed")
    values = {
        "queries": found(r"queries:.*\(([0-9.]+) per sec"),
        "transactions": found(r"transactions:.*\(([0-9.]+) per sec"),
        "transaction.max": found(r"max:\s+([0-9.]+)"),
    }
    bars = [(float(ms), int(count)) for ms, count in BAR.findall(told)]
    total = sum(count for _ms, count in bars)
    for tail, share in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95),
                        ("p99", 0.99), ("p999", 0.999)):
        seen = 0
        for ms, count in bars:
            seen += count
            if seen >= share * total:
                values[f"transaction.{tail}"] = ms
                break
    return values


WORKLOADS: list[type[Workload]] = [Mysql]
