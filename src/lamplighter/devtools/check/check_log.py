"""The log of a check: each fault once, and the durations of the answers."""

from collections.abc import Sequence
from datetime import timedelta

from lamplighter.devtools.check.findings import Callback, Finding, Kind, Timing

__all__ = ["CheckLog"]

#: With a finding of these kinds, the check cannot tell whether the callbacks agree.
_AT_FAULT = frozenset(Kind) - {
    Kind.LEFT_OUT,
    Kind.CHANGES_INPUT,
    Kind.SLOW,
    Kind.HARDLY_RUN,
    Kind.TOLD_NOT_SHOWN,
    Kind.SHOWN_NOT_TOLD,
}
#: The order of a report.
_ORDER = {kind: place for place, kind in enumerate(Kind)}


class CheckLog:
    """Keeps the first finding of each kind for each callback, and all durations."""

    def __init__(self) -> None:
        self._findings: dict[tuple[Kind, Callback | None], Finding] = {}
        self._durations: dict[Callback, list[timedelta]] = {}
        #: The callbacks that have waited for the time to pass.
        self.wait_for_time: set[Callback] = set()
        #: Whether more questions would take long and give no new findings.
        self.is_stuck = False
        #: The callbacks that have named somebody in an answer.
        self.have_named: set[Callback] = set()

    @property
    def findings(self) -> Sequence[Finding]:
        """All findings, in the order of their kinds."""
        return sorted(self._findings.values(), key=lambda it: _ORDER[it.kind])

    @property
    def questions(self) -> int:
        """How many times the module was asked."""
        return sum(map(len, self._durations.values()))

    @property
    def has_faults(self) -> bool:
        """Whether faulty answers keep the check from comparing the callbacks."""
        return any(kind in _AT_FAULT for kind, _ in self._findings)

    def note(self, finding: Finding) -> None:
        """Keep a finding, unless there is one of its kind for its callback."""
        self._findings.setdefault((finding.kind, finding.callback), finding)

    def took(self, callback: Callback, duration: timedelta) -> None:
        """Keep how long an answer took."""
        self._durations.setdefault(callback, []).append(duration)

    def p99(self, callback: Callback) -> timedelta:
        """Return how long the slowest hundredth of the answers took, at least."""
        return _quantile(self._durations.get(callback, []), 0.99)

    def timings(self) -> Sequence[Timing]:
        """Return how long the callbacks took that have answered."""
        millisecond = timedelta(milliseconds=1)
        return [
            Timing(it, len(taken), _quantile(taken, 0.5) / millisecond, self.p99(it) / millisecond)
            for it, taken in sorted(self._durations.items())
        ]


def _quantile(durations: Sequence[timedelta], part: float) -> timedelta:
    if not durations:
        return timedelta(0)
    return sorted(durations)[min(int(len(durations) * part), len(durations) - 1)]
