"""The check itself: load the module, find the people, ask in many worlds, compare, make small."""

import asyncio
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

from lamplighter.clock import Clock, SystemClock, cpu_time
from lamplighter.devtools.check.blocking import LoopWatch, Stopwatch
from lamplighter.devtools.check.book import Book
from lamplighter.devtools.check.complement import Case, finding_of, strangeness
from lamplighter.devtools.check.findings import Callback, Finding, Kind, Place, Report
from lamplighter.devtools.check.loading import Candidate, CannotBeAsked, candidate, in_its_style
from lamplighter.devtools.check.population import Population, names_in, names_in_source, populate
from lamplighter.devtools.check.shrinking import smallest
from lamplighter.devtools.check.subject import Subject
from lamplighter.devtools.check.trial import Trial
from lamplighter.devtools.check.waiting import Patience
from lamplighter.devtools.check.worlds import first_world, worlds
from lamplighter.devtools.turns import turns

__all__ = ["Limits", "check_module", "check_subject"]

T = TypeVar("T")

_MACHINE: Final = SystemClock()
#: What a module has left behind has so many turns of the loop to end.
_LAST_TURNS: Final = 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What a module is allowed, and how much is tried."""

    #: How long a callback may compute without letting go of the loop.
    step: timedelta = timedelta(milliseconds=100)
    #: A step that does not end is interrupted after this, by the machine's clock.
    endless: timedelta = timedelta(seconds=2)
    #: How long the answers may take, but for the slowest hundredth.
    p99: timedelta = timedelta(milliseconds=20)
    #: A later answer is no answer; what a server allows by default.
    timeout: timedelta = timedelta(seconds=5)
    #: How long threads of a module are waited for, by the machine's clock.
    thread: timedelta = timedelta(seconds=2)
    worlds: int = 24
    #: How often a smaller counterexample is looked for.
    tries: int = 400


def check_module(
    module: type | str, config: Mapping[Any, Any] | None = None, *, limits: Limits = Limits()
) -> Report:
    """Check a module, given as its class or the dotted path of it, with this configuration.

    Raises `ConfigError` if it cannot be imported, or refuses the configuration. Not to be called
    where an event loop runs.
    """
    path = module if isinstance(module, str) else f"{module.__module__}.{module.__qualname__}"
    return check_subject(Subject.of(path, config), limits=limits)


def check_subject(
    subject: Subject,
    *,
    limits: Limits = Limits(),
    stopwatch: Stopwatch = cpu_time,
    machine: Clock = _MACHINE,
) -> Report:
    """Check *subject*; raises `ConfigError` as `check_module` does."""
    if _is_loop_running():
        raise RuntimeError("a check runs an event loop of its own: call it where none runs")
    return _run(_Check(subject, limits, stopwatch, machine).report())


class _Check:
    """One check of one module."""

    def __init__(self, subject: Subject, limits: Limits, stopwatch: Stopwatch, machine: Clock):
        self._subject = subject
        self._limits = limits
        self._stopwatch = stopwatch
        others = frozenset(threading.enumerate())
        self._patience = Patience(limits.timeout, machine, limits.thread, others)
        self._book = Book()
        #: The disagreement of each kind that is the easiest to understand.
        self._cases: dict[Kind, Case] = {}
        self._worlds = 0
        self._elsewhere: Sequence[str] = ()

    async def report(self) -> Report:
        """Do all of it; raises `ConfigError`."""
        names, server_name = names_in(self._subject.entry.config), self._subject.server_name
        people = populate(names, server_name)
        try:
            found = candidate(self._subject)
            people = populate(names + names_in_source(found.factory), server_name)
            found = await in_its_style(found, self._subject, first_world(people))
        except CannotBeAsked as impossible:
            self._book.note(impossible.finding)
        else:
            self._elsewhere = found.elsewhere
            people = await self._examine(found, people)
        return self._reported(people)

    async def _examine(self, found: Candidate, people: Population) -> Population:
        """Ask the module; return the people there were in the end."""
        watch = LoopWatch(found.files, self._stopwatch, self._limits.step, self._limits.endless)
        trial = Trial(found, watch, self._patience, self._subject.rooms)
        with watch.watching():
            people = await trial.discover(people, self._book)
            for world, states in worlds(people, self._limits.worlds):
                if self._book.is_stuck:
                    break
                self._worlds += 1
                for case in await trial.ask(world, states, self._book):
                    kind = case.disagreement.kind
                    self._cases[kind] = min(self._cases.get(kind, case), case, key=strangeness)
            if not self._book.has_faults:
                for case in self._cases.values():
                    small = await smallest(case, trial.stands, self._limits.tries)
                    self._book.note(finding_of(small, trial.places))
        for callback in Callback:
            self._note_if_slow(callback, trial.places.get(callback))
        return people

    def _note_if_slow(self, callback: Callback, place: Place | None) -> None:
        p99 = self._book.p99(callback)
        if p99 > self._limits.p99 and not self._book.is_stuck:
            message = (
                f"{callback} is slow: one answer in a hundred takes {_milliseconds(p99)} or longer"
            )
            details = (f"more than {_milliseconds(self._limits.p99)} is too much for every change",)
            self._book.note(Finding(Kind.SLOW, message, callback, place, details))

    def _reported(self, people: Population) -> Report:
        return Report(
            module=self._subject.entry.path,
            server_name=people.server_name,
            users=len(people.users),
            named_users=len(people.named),
            worlds=self._worlds,
            questions=self._book.questions,
            timings=tuple(self._book.timings()),
            findings=tuple(self._book.findings),
            compared=self._worlds > 0 and not self._book.has_faults,
            elsewhere=self._elsewhere,
        )


def _milliseconds(duration: timedelta) -> str:
    return f"{duration / timedelta(milliseconds=1):.3g} ms"


def _is_loop_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* in a loop of its own, and wait for nothing that a module has left behind."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(turns(_LAST_TURNS))
        loop.set_exception_handler(lambda _loop, _context: None)  # what is left is not ours
        loop.close()
