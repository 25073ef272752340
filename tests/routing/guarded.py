"""Guarded modules with the callbacks of a test, their clock and their metrics."""

from typing import Final

from lamplighter.devtools.clock import FakeClock
from lamplighter.metrics import Metrics
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.answers import CheckedRoutes
from lamplighter.routing.breaker import BreakerSettings
from lamplighter.routing.guard import GuardedModule, GuardSettings
from lamplighter.routing.loop_time import LoopTime
from tests.routing.callbacks import Act, turns
from tests.routing.people import ALICE, BOB, state

__all__ = ["BOBS", "MISSING", "Bench", "Machine"]

BOBS: Final = state(BOB)
#: The result without an answer about bob.
MISSING = CheckedRoutes(unanswered=frozenset({BOB}))


class Machine:
    """Guarded modules in one event loop, with its clock and metrics."""

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.loop_time = LoopTime(self.clock)
        self.metrics = Metrics()

    def guarded(self, act: Act, *, failures: int = 5) -> GuardedModule:
        """Return a module whose callbacks are both *act*, paused after *failures* in a row."""
        return GuardedModule(
            "MyRouter",
            act,
            act,
            clock=self.clock,
            loop_time=self.loop_time,
            metrics=self.metrics,
            settings=GuardSettings(breaker=BreakerSettings(failures)),
        )


class Bench(Machine):
    """A machine with one module, whose callbacks are both *act*."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self.module = self.guarded(act, failures=3)

    async def users_for_states(self, *states: UserPresenceState) -> CheckedRoutes:
        return await self.module.users_for_states(states or [BOBS])

    async def ask(self, times: int) -> None:
        """Ask *times* times."""
        for _ in range(times):
            await self.module.interested_users(ALICE)

    async def wait_in_vain(self, times: int) -> None:
        """Ask *times* times, one after the other, and wait for the time-out."""
        for _ in range(times):
            answer = self.module.interested_users(ALICE)
            await turns()
            self.clock.advance(seconds=5)
            await answer

    def metric(self, name: str, **labels: str) -> float:
        """Return one sample of the exposition; 0 if there is none."""
        wanted = ",".join(f'{key}="{value}"' for key, value in labels.items())
        for line in self.metrics.exposition().decode().splitlines():
            sample, _, value = line.rpartition(" ")
            if sample == f"lamplighter_{name}{{{wanted}}}":
                return float(value)
        return 0

    def failures(self, callback: str, kind: str) -> float:
        return self.metric("module_failures_total", callback=callback, kind=kind, module="MyRouter")
