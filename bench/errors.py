"""The ways in which a run fails. The command prints one line and exits with code 1."""

from collections.abc import Sequence

__all__ = ["BenchError", "ConnectionLost", "Refused", "Undelivered"]


class BenchError(Exception):
    """The run has failed."""


class ConnectionLost(BenchError):
    """A server has closed a connection on which it owed an answer."""


class Refused(BenchError):
    """A server has answered with an error."""


class Undelivered(BenchError):
    """The last change of some publishers has not reached all of their watchers."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Name the first few of the (watcher, publisher) *pairs*."""
        watcher, publisher = pairs[0]
        more = f", and {len(pairs) - 1} more pairs" if len(pairs) > 1 else ""
        super().__init__(f"{watcher} has not received the final state of {publisher}{more}")
        self.pairs = tuple(pairs)
