"""What modules want done later, or again and again."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from lamplighter.clock import Timer, Timestamp, after
from lamplighter.modules.background import BackgroundWork, Label, resolved

__all__ = ["DelayedCall", "LoopingCall", "Work", "bound", "duration_of", "name_of"]

#: An async function with its arguments bound.
Work = Callable[[], Awaitable[object]]


def bound(f: Callable[..., object], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Work:
    """Return *f*, which may be async, as an async function with its arguments bound."""
    return lambda: resolved(f(*args, **kwargs))


def name_of(f: object) -> str:
    """Return what a function is called, for the log."""
    return getattr(f, "__qualname__", None) or repr(f)


def duration_of(value: float | timedelta, unit: timedelta) -> timedelta:
    """Return a duration that a module has written as a number of *unit*s, or as a timedelta.

    Raises `ValueError` for what is negative, endless or no number.
    """
    try:
        duration = value if isinstance(value, timedelta) else unit * value
    except (TypeError, OverflowError) as error:
        raise ValueError(f"not a duration: {value!r}") from error
    if duration < timedelta(0):
        raise ValueError(f"a duration cannot be negative: {value!r}")
    return duration


class DelayedCall:
    """Something that will be done once; `cancel` takes it back."""

    def __init__(
        self, background: BackgroundWork, label: Label, work: Work, delay: timedelta
    ) -> None:
        self._background = background
        self._label = label
        self._work = work
        self._delay = delay
        self._timer: Timer | None = None
        self._is_active = True
        background.soon(self._arm)

    def active(self) -> bool:
        """Tell whether it is still to come."""
        return self._is_active

    def cancel(self) -> None:
        """Do not do it; harmless when it is done."""
        self._is_active = False
        self._background.soon(self._disarm)

    def _arm(self) -> None:
        if not self._is_active or self._background.refuses(self._label):
            self._is_active = False
            return
        clock = self._background.clock
        self._timer = clock.call_at(after(clock.now(), self._delay), self._fire)
        self._background.track(self)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._background.untrack(self)

    def _fire(self) -> None:
        self._background.untrack(self)
        if self._is_active:
            self._is_active = False
            self._background.run(self._label, self._work)


class LoopingCall:
    """Something that is done once in a period, the first time a period from now.

    The next time comes only after the last one has ended; what was missed meanwhile is not made
    up for. An exception is logged, and the loop goes on.
    """

    def __init__(
        self,
        background: BackgroundWork,
        label: Label,
        work: Work,
        period: timedelta,
        *,
        now: bool = False,
    ) -> None:
        if period < timedelta(milliseconds=1):
            raise ValueError("a looping call needs a period of at least a millisecond")
        self._background = background
        self._label = label
        self._work = work
        self._period = period
        self._timer: Timer | None = None
        self._due: Timestamp | None = None
        self._is_running = True
        background.soon(self._fire if now else self._arm)

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self._is_running

    def stop(self) -> None:
        """Do not do it again; what is under way goes on to its end."""
        self._is_running = False
        self._background.soon(self._disarm)

    def cancel(self) -> None:
        """Do not do it again."""
        self.stop()

    def _arm(self) -> None:
        if not self._is_running or self._background.refuses(self._label):
            self._is_running = False
            return
        clock = self._background.clock
        now = clock.now()
        self._due = after(now if self._due is None else self._due, self._period)
        if self._due <= now:
            self._due = after(now, self._period)
        self._timer = clock.call_at(self._due, self._fire)
        self._background.track(self)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._background.untrack(self)

    def _fire(self) -> None:
        if not self._is_running or self._background.refuses(self._label):
            return
        self._due = self._due or self._background.clock.now()
        job = self._background.run(self._label, self._work)
        job.add_done_callback(lambda _: self._background.soon(self._arm))
