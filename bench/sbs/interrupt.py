"""Being interrupted without leaving anything behind.

SIGINT, SIGTERM and SIGHUP become the exception Interrupted, once: what
follows is cleaning up, and a second Ctrl-C would only make that incomplete.
An exception can come between any two steps, so whoever makes something on the
machine and notes that it exists does both within held().

The signals are not blocked or ignored while held, only put off: a mask would
be inherited by the programs we start.
"""
from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Not an Exception: nobody may take it for a failed run and go on."""

    def __init__(self, signum: int):
        super().__init__(signum)
        self.status = 128 + signum


_depth = 0
_pending = 0
_raised = False


def _handle(signum: int, _frame: object) -> None:
    global _pending, _raised
    if _raised:
        return
    if _depth:
        _pending = _pending or signum
        return
    _raised = True
    raise Interrupted(signum)


def install() -> None:
    for signum in SIGNALS:
        signal.signal(signum, _handle)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Puts an interruption off until the outermost of these ends."""
    global _depth, _raised
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if not _depth and _pending and not _raised:
            _raised = True
            raise Interrupted(_pending)
