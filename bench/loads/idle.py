"""Polls with nothing to say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.ledger import Ledger
from bench.measuring import Measurement
from bench.party import Watcher, connect_all, make_watchers
from bench.shapes import Shape
from bench.stage import Stage, people, settle_in
from bench.waiting import pause

__all__ = ["Idle"]

#: How long the server may take for what is left after all have connected, in seconds.
_REST: Final = 2
_GLANCE: Final = 0.1


@dataclass(frozen=True)
class Idle:
    """Everybody of *shape* polls, and nobody may see another.

    The measurement ends when each poll has timed out and was sent again so many *times*.
    """

    shape: Shape
    timeout_ms: int
    times: int = 1

    async def run(self, stage: Stage) -> list[Measurement]:
        accounts = await people(stage, self.shape)
        await settle_in(stage, accounts, self.shape.client)
        ledger = Ledger(self.shape.audiences())
        before = stage.meter.resident
        watchers = await make_watchers(stage, accounts, self.shape, ledger, self.timeout_ms)
        await connect_all(stage, watchers)
        try:
            await pause(_REST)
            poll_bytes = (stage.meter.resident - before) / len(watchers)
            began = _answered(watchers)
            with stage.meter.running():
                advance = stage.progress.step("waiting for time-outs", self._seconds)
                waited = 0.0
                while _answered(watchers) < began + self.times * len(watchers):
                    await pause(_GLANCE)
                    await ledger.settled(0)  # a lost poll would never be answered
                    waited += _GLANCE
                    if waited >= 1:
                        waited = 0
                        advance()
        finally:
            for watcher in watchers:
                watcher.leave()
        turns = _answered(watchers) - began
        usage = stage.meter.usage
        polls = len(watchers)
        return [Measurement("", "turn", turns, usage, polls=polls, poll_bytes=poll_bytes)]

    @property
    def _seconds(self) -> int:
        return self.times * self.timeout_ms // 1000


def _answered(watchers: Sequence[Watcher]) -> int:
    return sum(watcher.answered for watcher in watchers)
