"""Whether the homeserver knows this server, as far as that is known while the server runs.

A wrong token is silent: the homeserver refuses every question, so no room has members, and nobody
sees anybody. So this server asks as `lamplighter homeserver check` does: after the start, from time
to time, and soon after a refusal. The question whether the homeserver reaches this server has one
more effect: what the homeserver has held back while this server was away comes then.

Example: an operator makes a new registration, and gives it to the homeserver only. Once restarted,
the homeserver refuses the old token to Lamplighter, which asks who is in a room. Five seconds later
the log says that the homeserver does not know the registration, `/ready` answers 503, and the
metrics and the dashboard say it, too.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta
from itertools import chain, repeat
from typing import Final

import structlog

from lamplighter.clock import Clock, sleep, within
from lamplighter.errors import HomeserverTooSlow, HomeserverUnreachable
from lamplighter.homeserver.upstream.doctor import Diagnosis, Doctor
from lamplighter.log_limits import LogLimit
from lamplighter.service.background import Background

__all__ = ["UpstreamStanding"]

_log = structlog.get_logger(__name__)

#: How long after the start, and then after the last time, the homeserver is asked.
_PAUSES: Final = tuple(timedelta(seconds=it) for it in (1, 5, 30, 120))
_USUAL: Final = timedelta(minutes=10)
#: The pause while something is wrong, and the one after a refusal.
_WHILE_WRONG: Final = timedelta(seconds=10)
_LEAST: Final = timedelta(seconds=5)


class UpstreamStanding:
    """Asks, and remembers what is wrong."""

    def __init__(self, doctor: Doctor, clock: Clock, background: Background) -> None:
        self._doctor = doctor
        self._clock = clock
        self._background = background
        self._suspected = asyncio.Event()
        self._found = Diagnosis(True, "nothing was asked yet")
        self._log_limit = LogLimit(_USUAL)

    @property
    def problem(self) -> str | None:
        """What is wrong, with what to change; None if nothing is known to be wrong."""
        found = self._found
        return None if found.is_good else f"{found.what}. {found.advice}"

    def begin(self) -> None:
        """Begin to ask: this server listens."""
        self._background.run(self._watch())

    def suspect(self) -> None:
        """Ask soon: one of the two servers has refused the other's token."""
        self._suspected.set()

    async def _watch(self) -> None:
        for pause in chain(_PAUSES, repeat(_USUAL)):
            await self._rest(pause if self._found.is_good else min(pause, _WHILE_WRONG))
            self._suspected.clear()
            try:
                found = await self._doctor.knows_us()
                if found.is_good:
                    found = await self._doctor.reaches_us()
            except (HomeserverUnreachable, HomeserverTooSlow):
                continue  # the homeserver is away, as the log says
            self._tell(found)

    async def _rest(self, pause: timedelta) -> None:
        """Wait before the homeserver is asked again: not as long after a refusal."""
        least = min(pause, _LEAST)
        await sleep(self._clock, least)
        with suppress(TimeoutError):
            await within(self._clock, pause - least, self._suspected.wait())

    def _tell(self, found: Diagnosis) -> None:
        before, self._found = self._found, found
        if not found.is_good:
            if self._log_limit.admits(found.what, self._clock.now()) is not None:
                _log.error("the homeserver is not set up", problem=found.what, change=found.advice)
        elif not before.is_good:
            _log.info("the homeserver is set up", problem_before=before.what)
