"""The report of `lamplighter module check` on a terminal."""

import io
from dataclasses import replace
from typing import Final

from rich.console import Console

from lamplighter.cli.module_check import joint_screen, screen
from lamplighter.devtools.check import Callback, Finding, JointReport, Kind, Place, Report
from lamplighter.devtools.check.findings import Counterexample, Timing

GOOD: Final = Report(
    module="on_call.OnCall",
    server_name="demo",
    users=7,
    named_users=2,
    worlds=24,
    questions=736,
    timings=(
        Timing(Callback.INTEREST, 350, 0.004, 0.01),
        Timing(Callback.STATES, 386, 0.004, 0.0253),
    ),
    findings=(),
    compared=True,
)
RAISES: Final = Finding(
    Kind.RAISES,
    "get_interested_users raises KeyError('room')",
    Callback.INTEREST,
    Place("on_call.py", 23),
    ("asked: get_interested_users(@alice:demo)",),
)
TOLD: Final = Finding(
    Kind.TOLD_NOT_SHOWN,
    "@a:demo is told when @b:demo comes online, but a first sync in Synapse would not show @b:demo",
    Callback.INTEREST,
    Place("on_call.py", 30),
    ("get_users_for_states sends @b:demo to @a:demo",),
    Counterexample(
        "@a:demo",
        "@b:demo",
        ("@b:demo online",),
        ("@a:demo", "@b:demo", "@c:demo"),
        ("@a:demo",),
        ("!r:demo: @a:demo (join)",),
    ),
)


def _shown(report: Report | JointReport) -> list[str]:
    console = Console(file=io.StringIO(), width=100)
    console.print(screen(report) if isinstance(report, Report) else joint_screen(report))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_good_module() -> None:
    """Each thing that was looked at has a line."""
    assert _shown(GOOD) == [
        "on_call.OnCall",
        "asked 736 times in 24 simulated worlds of demo with 7 users, "
        "2 of them named by the module",
        "",
        "✓ loads and registers both callbacks",
        "✓ is async, raises nothing, always answers",
        "✓ answers with what the server can use",
        "✓ leaves what it is given as it is",
        "✓ does not block the event loop",
        "✓ is fast (p99: get_interested_users 0.01 ms, get_users_for_states 0.0253 ms)",
        "✓ answers the same question with the same",
        "✓ the two callbacks agree on who sees whom",
        "",
        "Nothing is wrong.",
    ]


def test_answers_at_fault() -> None:
    """For faulty answers, the screen says that the callbacks were not compared."""
    assert _shown(replace(GOOD, findings=(RAISES,), compared=False))[3:] == [
        "✓ loads and registers both callbacks",
        "✗ is async, raises nothing, always answers",
        "✓ answers with what the server can use (as far as it answers)",
        "✓ leaves what it is given as it is",
        "✓ does not block the event loop",
        "✓ is fast (p99: get_interested_users 0.01 ms, get_users_for_states 0.0253 ms)",
        "✓ answers the same question with the same (as far as it answers)",
        "· the two callbacks agree on who sees whom: to be seen when the rest is right",
        "",
        "✗ raises  on_call.py:23",
        "  get_interested_users raises KeyError('room').",
        "    asked: get_interested_users(@alice:demo)",
        "",
        "1 thing is wrong.",
    ]


def test_a_counterexample() -> None:
    """A finding has all that is needed to reproduce the disagreement, and its place."""
    assert _shown(replace(GOOD, findings=(RAISES, TOLD)))[16:] == [
        "✗ told but not shown  on_call.py:30",
        "  @a:demo is told when @b:demo comes online, "
        "but a first sync in Synapse would not show @b:demo.",
        "    get_users_for_states sends @b:demo to @a:demo",
        "    asked about: @b:demo online",
        "    also there: @c:demo",
        "    administrators: @a:demo",
        "    rooms: !r:demo: @a:demo (join)",
        "",
        "2 things are wrong.",
    ]


def test_a_module_that_cannot_be_asked() -> None:
    """For a module that does not load, the screen says nothing else."""
    finding = Finding(Kind.CONSTRUCTOR_FAILS, "the constructor raises KeyError('users')")
    report = replace(
        GOOD, questions=0, worlds=0, timings=(), findings=(finding,), compared=False, named_users=0
    )
    assert _shown(report) == [
        "on_call.OnCall",
        "could not be asked",
        "",
        "✗ loads and registers both callbacks",
        "",
        "✗ constructor fails",
        "  the constructor raises KeyError('users').",
        "",
        "1 thing is wrong.",
    ]


def test_several_modules() -> None:
    """After the reports of single modules, the screen says what the check found of all together."""
    alone = [*_shown(GOOD), ""]
    good = JointReport([GOOD], (), left_out=["spam.Checker"], unsound=["Broken"])
    assert _shown(good) == [
        *alone,
        "All together",
        "· spam.Checker is not of presence: not asked",
        "· Broken: to be asked with others when the rest is right",
        "✓ no two modules alter the same presence in different ways",
    ]
    conflict = Finding(Kind.CONFLICT, "A and B differ", Callback.STATES, None, ("A shows x",))
    assert _shown(JointReport([GOOD], [conflict])) == [
        *alone,
        "All together",
        "✗ two modules alter the same presence in different ways",
        "",
        "✗ conflict",
        "  A and B differ.",
        "    A shows x",
        "",
    ]
