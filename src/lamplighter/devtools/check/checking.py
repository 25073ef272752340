"""The check itself: load the module, find the people, ask in many worlds, compare, make small."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import reduce
from typing import Any, Final, TypeVar

from lamplighter.clock import Clock, SystemClock, cpu_time
from lamplighter.devtools.check.blocking import LoopWatch, Stopwatch
from lamplighter.devtools.check.check_log import CheckLog
from lamplighter.devtools.check.complement import Case, finding_of, strangeness
from lamplighter.devtools.check.coverage import CheckLoop, Coverage
from lamplighter.devtools.check.evidence import FilesRead, hours_in, text_of
from lamplighter.devtools.check.findings import Callback, Finding, JointReport, Kind, Place, Report
from lamplighter.devtools.check.loading import (
    Candidate,
    CannotBeAsked,
    Subject,
    candidate,
    in_its_style,
)
from lamplighter.devtools.check.population import (
    Names,
    Population,
    most_named,
    names_in,
    names_in_source,
    names_in_text,
    populate,
)
from lamplighter.devtools.check.shrinking import smallest
from lamplighter.devtools.check.together import conflicts
from lamplighter.devtools.check.trial import Trial
from lamplighter.devtools.check.waiting import WaitLimits
from lamplighter.devtools.check.words import place_of, short_name
from lamplighter.devtools.check.worlds import first_world, worlds
from lamplighter.devtools.server import module_entry
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.modules.loader import module_names
from lamplighter.modules.of_presence import look_at

__all__ = ["Limits", "check_module", "check_subject", "check_together"]

T = TypeVar("T")

_MACHINE: Final = SystemClock()
#: Tasks that a module has left behind get at most so many turns of the loop to end.
_LAST_TURNS: Final = 20
#: At most so many times of day get worlds: a minute before, at, and a minute after each.
_MOST_HOURS: Final = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits for a module, and for the work of the check."""

    #: How long a callback may compute between two awaits.
    step: timedelta = timedelta(milliseconds=100)
    #: How long a step may last, by the machine's clock, before the check interrupts it.
    endless: timedelta = timedelta(seconds=2)
    #: How long the 99th percentile of the answers may take.
    p99: timedelta = timedelta(milliseconds=20)
    #: An answer that is later than this does not count, as in a server by default.
    timeout: timedelta = timedelta(seconds=5)
    #: How long threads of a module are waited for, by the machine's clock.
    thread: timedelta = timedelta(seconds=2)
    worlds: int = 24
    #: The part of the lines of the module's functions that must be run to call it right.
    run: float = 0.5
    #: How often a smaller counterexample is looked for.
    tries: int = 400


def check_module(
    module: type | str, config: Mapping[Any, Any] | None = None, *, limits: Limits = Limits()
) -> Report:
    """Check a module, given as a class or its dotted path, with this configuration.

    Raises `ConfigError` if the module cannot be imported or refuses the configuration. Do not call
    it where an event loop runs.
    """
    return check_subject(Subject(module_entry((module, config or {}), 0)), limits=limits)


def check_subject(
    subject: Subject,
    *,
    limits: Limits = Limits(),
    stopwatch: Stopwatch = cpu_time,
    machine: Clock = _MACHINE,
) -> Report:
    """Check *subject*; raises `ConfigError` as `check_module` does."""
    return _run(_Check(subject, limits, stopwatch, machine).report)


def check_together(
    subjects: Sequence[Subject],
    *,
    limits: Limits = Limits(),
    stopwatch: Stopwatch = cpu_time,
    machine: Clock = _MACHINE,
) -> JointReport:
    """Check each of *subjects*, and whether two of them alter the same in different ways.

    Raises `ConfigError` as `check_module` does.
    """
    asked = [
        it for it in subjects if it.entry.factory or not look_at(it.entry.path).is_of_another_kind
    ]
    checks = [_Check(it, limits, stopwatch, machine) for it in asked]
    reports = [_run(check.report) for check in checks]
    counts = {
        name: check
        for name, check in zip(module_names([it.entry for it in asked]), checks, strict=True)
        if not check.subject.entry.shadow
    }
    sound = {name: check for name, check in counts.items() if check.is_sound}

    async def in_conflict() -> Sequence[Finding]:
        people = reduce(Population.joined, [check.people for check in sound.values()])
        with ExitStack() as watching:
            trials = {name: watching.enter_context(it.trial()) for name, it in sound.items()}
            return await conflicts(trials, people, limits.worlds)

    found = _run(in_conflict) if len(sound) > 1 else ()
    left_out = [it.entry.path for it in subjects if it not in asked]
    return JointReport(reports, found, left_out, [it for it in counts if it not in sound])


class _Check:
    """One check of one module."""

    def __init__(self, subject: Subject, limits: Limits, stopwatch: Stopwatch, machine: Clock):
        self.subject = subject
        self._limits = limits
        self._stopwatch = stopwatch
        others = frozenset(threading.enumerate())
        self._wait_limits = WaitLimits(limits.timeout, machine, limits.thread, others)
        self._log = CheckLog()
        #: For each kind, the disagreement that is easiest to understand.
        self._cases: dict[Kind, Case] = {}
        self._worlds = 0
        self._files = FilesRead()
        self._coverage = Coverage(())
        self._found: Candidate | None = None
        #: Everybody whom the module has been asked about.
        self.people = populate(Names())

    @property
    def is_sound(self) -> bool:
        """Whether the module could be asked, and something can be concluded from its answers."""
        return self._found is not None and not self._log.has_faults

    async def report(self) -> Report:
        """Do all of it; raises `ConfigError`."""
        self.people = self._people(Names())
        try:
            with self._files.watching():
                found = candidate(self.subject)
                in_source = names_in_source(found.factory)
                self._coverage = Coverage(found.files, found.classes)
                with self._coverage.watching():
                    first = first_world(self._people(in_source))
                    found = await in_its_style(found, self.subject, first)
                    self._found = found
                    await self._examine(in_source)
        except CannotBeAsked as impossible:
            self._log.note(impossible.finding)
        return self._reported()

    @contextmanager
    def trial(self) -> Iterator[Trial]:
        """Ask the module within the block, under a watch."""
        assert self._found is not None
        limits = self._limits
        watch = LoopWatch(self._found.files, self._stopwatch, limits.step, limits.endless)
        with watch.watching():
            yield Trial(self._found, watch, self._wait_limits, self.subject.rooms)

    def _people(self, in_source: Names) -> Population:
        """Return the people whom the configuration, the files read so far and the source name."""
        config, given = self.subject.entry.config, self.subject.people
        texts = [text_of(it) for it in ([given] if given else [*self._files])]
        names = names_in(config)
        for text in texts:
            names += names_in_text(text)
        # The source may name people of several modules, so the data decide on the server name.
        server_name = self.subject.server_name or most_named(names)
        people = populate(names + in_source, server_name)
        hours = hours_in(config).union(*map(hours_in, texts))
        return replace(people, hours=sorted(hours)[:_MOST_HOURS])

    async def _discover(self, trial: Trial, in_source: Names) -> Population:
        """Return all people, including those in files that the module reads when it is asked."""
        people = await trial.discover(self._people(in_source), self._log)
        by_now = self._people(in_source)
        if set(by_now.named) <= set(people.users) and by_now.hours == people.hours:
            return people
        return await trial.discover(by_now.with_users(people.named), self._log)

    async def _examine(self, in_source: Names) -> None:
        """Ask the module."""
        with self.trial() as trial:
            self.people = await self._discover(trial, in_source)
            for world, states in worlds(self.people, self._limits.worlds):
                if self._log.is_stuck:
                    break
                self._worlds += 1
                for case in await trial.ask(world, states, self._log):
                    kind = case.disagreement.kind
                    self._cases[kind] = min(self._cases.get(kind, case), case, key=strangeness)
            if not self._log.has_faults:
                for case in self._cases.values():
                    small = await smallest(case, trial.stands, self._limits.tries)
                    self._log.note(finding_of(small, trial.places))
        for callback in Callback:
            self._note_if_slow(callback, trial.places.get(callback))
        self._note_if_hardly_run()

    def _note_if_hardly_run(self) -> None:
        """Note that too little was exercised to call the module right."""
        if self._log.findings or self._found is None:
            return
        silent = [it for it in Callback if it not in self._log.have_named]
        files = self._coverage.files()
        lines, run = sum(it.lines for it in files), sum(it.run for it in files)
        if len(silent) == len(Callback):
            message = "neither callback has ever named anybody: that says nothing about the module"
        elif run < lines * self._limits.run:
            message = f"only {run * 100 // lines} % of the module's lines were run"
        else:
            return
        details = [f"never run: {it.file}:{', '.join(it.never)}" for it in files if it.never]
        details.append("name people, rooms and hours of the module's data by --people FILE")
        place = place_of(self._found.factory)
        self._log.note(Finding(Kind.HARDLY_RUN, message, None, place, tuple(details)))

    def _note_if_slow(self, callback: Callback, place: Place | None) -> None:
        p99 = self._log.p99(callback)
        if p99 > self._limits.p99 and not self._log.is_stuck:
            message = (
                f"{callback} is slow: one answer in a hundred takes {_milliseconds(p99)} or longer"
            )
            details = (f"more than {_milliseconds(self._limits.p99)} is too much for every change",)
            self._log.note(Finding(Kind.SLOW, message, callback, place, details))

    def _reported(self) -> Report:
        people = self.people
        return Report(
            module=self.subject.entry.path,
            server_name=people.server_name,
            users=len(people.users),
            named_users=len(people.named),
            worlds=self._worlds,
            questions=self._log.questions,
            timings=tuple(self._log.timings()),
            coverage=tuple(self._coverage.files()),
            files_read=tuple(short_name(str(it)) for it in self._files),
            findings=tuple(self._log.findings),
            compared=self._worlds > 0 and not self._log.has_faults,
            elsewhere=self._found.elsewhere if self._found is not None else (),
        )


def _milliseconds(duration: timedelta) -> str:
    return f"{duration / timedelta(milliseconds=1):.3g} ms"


def _run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run *work* in an event loop of its own; do not wait for tasks that a module leaves behind."""
    if asyncio._get_running_loop() is not None:  # noqa: SLF001 - the public function raises instead
        raise RuntimeError("a check runs an event loop of its own: call it where none runs")
    loop = CheckLoop()
    try:
        return loop.run(work())
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(turns_until_idle(_LAST_TURNS))
        loop.set_exception_handler(lambda _loop, _context: None)  # tasks of modules
        loop.close()
