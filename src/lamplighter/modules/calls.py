"""Calls that a module wants at a later time, or in a loop."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from lamplighter.clock import Timer, Timestamp, after
from lamplighter.modules.background import BackgroundWork, Label

__all__ = ["DelayedCall", "LoopingCall", "Work", "duration_of", "name_of"]

#: An async function without arguments.
Work = Callable[[], Awaitable[object]]


def name_of(f: object) -> str:
    """Return the name of a function for the log."""
    return getattr(f, "__qualname__", None) or repr(f)


def duration_of(value: float | timedelta, unit: timedelta) -> timedelta:
    """Return a duration that a module has given as a number of *unit*s, or as a timedelta.

    Raises `ValueError` for a value that is negative, infinite or no number.
    """
    try:
        duration = value if isinstance(value, timedelta) else unit * value
    except (TypeError, OverflowError) as error:
        raise ValueError(f"not a duration: {value!r}") from error
    if duration < timedelta(0):
        raise ValueError(f"a duration cannot be negative: {value!r}")
    return duration


class _Scheduled:
    """Work that the server does later, unless it is cancelled."""

    def __init__(self, background: BackgroundWork, label: Label, work: Work) -> None:
        self._background = background
        self._label = label
        self._work = work
        self._timer: Timer | None = None
        self._is_active = True

    def cancel(self) -> None:
        """Make no further call; a call that has begun goes on to its end."""
        self._is_active = False
        self._background.soon(self._disarm)

    def _goes_on(self) -> bool:
        self._is_active = self._is_active and not self._background.refuses(self._label)
        return self._is_active

    def _call_at(self, when: Timestamp, callback: Callable[[], None]) -> None:
        self._timer = self._background.clock.call_at(when, callback)
        self._background.track(self)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._background.untrack(self)


class DelayedCall(_Scheduled):
    """One call at a later time; `cancel` prevents it."""

    def __init__(
        self, background: BackgroundWork, label: Label, work: Work, delay: timedelta
    ) -> None:
        super().__init__(background, label, work)
        self._delay = delay
        background.soon(self._arm)

    def active(self) -> bool:
        """Tell whether the call is still to come."""
        return self._is_active

    def cancel(self) -> None:
        """Do not make the call; harmless if it was made."""
        super().cancel()

    def _arm(self) -> None:
        if self._goes_on():
            self._call_at(after(self._background.clock.now(), self._delay), self._fire)

    def _fire(self) -> None:
        self._background.untrack(self)
        if self._is_active:
            self._is_active = False
            self._background.run(self._label, self._work)


class LoopingCall(_Scheduled):
    """One call per period, the first one a period from now.

    A call begins only after the one before has ended; calls that were missed are not made up for.
    An exception is logged, and the loop goes on. *begins* is asked before each call whether to make
    it; None: each is made.
    """

    def __init__(
        self,
        background: BackgroundWork,
        label: Label,
        work: Work,
        period: timedelta,
        *,
        now: bool = False,
        begins: Callable[[], bool] | None = None,
    ) -> None:
        if period < timedelta(milliseconds=1):
            raise ValueError("a looping call needs a period of at least a millisecond")
        super().__init__(background, label, work)
        self._period = period
        self._begins = begins
        self._due: Timestamp | None = None
        background.soon(self._fire if now else self._arm)

    @property
    def running(self) -> bool:
        """Whether the loop goes on."""
        return self._is_active

    def stop(self) -> None:
        """Make no further call; a call that has begun goes on to its end."""
        super().cancel()

    def cancel(self) -> None:
        """Do the same as `stop`."""
        super().cancel()

    def _arm(self) -> None:
        if self._goes_on():
            now = self._background.clock.now()
            self._due = after(now if self._due is None else self._due, self._period)
            if self._due <= now:
                self._due = after(now, self._period)
            self._call_at(self._due, self._fire)

    def _fire(self) -> None:
        if not self._goes_on():
            return
        self._due = self._due or self._background.clock.now()
        if self._begins is not None and not self._begins():
            self._arm()
        else:
            job = self._background.run(self._label, self._work)
            job.add_done_callback(lambda _: self._background.soon(self._arm))
