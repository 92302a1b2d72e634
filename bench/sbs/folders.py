"""Folders in the cache that take a while to make."""
from __future__ import annotations

import contextlib
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from .interrupt import held


@contextlib.contextmanager
def making(wanted: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder to work in, beside the wanted one; what is called "made" in it
    in the end becomes that. The rest goes, and all of it after a failure. Of
    two benchmarks that make the same at once, the first one's is kept."""
    with contextlib.ExitStack() as stack:
        with held():
            folder = pathlib.Path(tempfile.mkdtemp(
                prefix=f"{wanted.name}.new.", dir=wanted.parent))
            stack.callback(_remove, folder)
        yield folder
        try:
            (folder / "made").rename(wanted)
        except OSError:
            if not wanted.is_dir():
                raise


def _remove(folder: pathlib.Path) -> None:
    with held():
        shutil.rmtree(folder, ignore_errors=True)
