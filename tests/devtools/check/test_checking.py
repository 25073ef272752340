"""The check finds planted faults, and finds nothing in good modules."""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from lamplighter.devtools.check import Callback, Kind, Limits, Report, Subject, check_subject
from lamplighter.devtools.check.checking import check_module
from lamplighter.devtools.check.findings import Counterexample, Finding, Place
from lamplighter.errors import ConfigError
from tests.devtools.check.modules import faulty, good
from tests.effort import EXAMPLES

#: No fault depends on the speed of the machine: callbacks that wait would wait for ever.
LIMITS: Final = Limits(endless=timedelta(seconds=0.5), thread=timedelta(0))

STATES, INTEREST = Callback.STATES, Callback.INTEREST

FAULTY: Final = [
    (faulty.RefusesOddly, Kind.PARSE_CONFIG_FAILS, None),
    (faulty.CannotBeBuilt, Kind.CONSTRUCTOR_FAILS, None),
    (faulty.EndsTheServerAtOnce, Kind.CONSTRUCTOR_FAILS, None),
    (faulty.EndsTheServerReading, Kind.PARSE_CONFIG_FAILS, None),
    (faulty.AsksOthers, Kind.RAISES, INTEREST),
    (faulty.RegistersNothing, Kind.NOTHING_REGISTERED, None),
    (faulty.RegistersOne, Kind.ONE_CALLBACK, None),
    (faulty.NotAsync, Kind.NOT_ASYNC, INTEREST),
    (faulty.Raises, Kind.RAISES, STATES),
    (faulty.EndsTheServer, Kind.RAISES, INTEREST),
    (faulty.AnswersLists, Kind.WRONG_ANSWER, STATES),
    (faulty.SaysNothing, Kind.LEFT_OUT, STATES),
    (faulty.NamesWhoCannotBe, Kind.LEFT_OUT, INTEREST),
    (faulty.ChangesItsInput, Kind.CHANGES_INPUT, STATES),
    (faulty.Connects, Kind.BLOCKS, STATES),
    (faulty.ComputesForEver, Kind.BLOCKS, INTEREST),
    (faulty.WaitsForEver, Kind.NO_ANSWER, INTEREST),
    (faulty.IsSlow, Kind.SLOW, INTEREST),
    (faulty.ChangesItsMind, Kind.NOT_DETERMINISTIC, INTEREST),
    (faulty.ForgetsToShow, Kind.TOLD_NOT_SHOWN, INTEREST),
    (faulty.ForgetsToTell, Kind.SHOWN_NOT_TOLD, STATES),
    (faulty.LooksAtTheFirst, Kind.SHOWN_NOT_TOLD, STATES),
    (faulty.ByInvitation, Kind.SHOWN_NOT_TOLD, STATES),
]

GOOD: Final = [
    ("tests.devtools.check.modules.good.NamesInTheSource", {}),
    ("tests.devtools.check.modules.good.AllowList", {"allowed": ["zoe", "yan"]}),
    (
        "tests.devtools.check.modules.good.OrgChart",
        {"manager_of": {"@a:corp.org": "@b:corp.org", "@b:corp.org": "@c:branch.corp.org"}},
    ),
    ("tests.devtools.check.modules.good.AdminsSeeAll", {"admins": ["@root:corp.org"]}),
    (
        "tests.devtools.check.modules.good.HidesStatus",
        {"on_call": ["@b:corp.org"], "help_desk": ["@a:corp.org", "@a:branch.corp.org"]},
    ),
    ("tests.devtools.check.modules.good.HidesStatusInRooms", {"room": "!staff:corp.org"}),
    ("tests.devtools.check.modules.good.InvitedToo", {"alias": "#staff:corp.org"}),
    ("tests.devtools.check.modules.good.WorkingHours", {"boss": "@b:c.org", "staff": ["@s:c.org"]}),
    ("tests.devtools.check.modules.good.Friends", {"friends": [["@a:c.org", "@b:d.org"]]}),
    ("tests.devtools.check.modules.good.OlderRouter", {"boss": "boss"}),
    ("tests.devtools.check.modules.good.Partners", {}),
    (
        "lamplighter_examples.custom_presence_router.CustomPresenceRouter",
        {"shows": {"@alice:demo": ["@bob:demo", "@eve:elsewhere.org"]}},
    ),
    ("tests.compat.modules.routers.Routes", {"routes": {"@a:c.org": ["@b:c.org", "@c:d.org"]}}),
    ("tests.compat.modules.routers.AllUsers", {"viewers": ["@a:c.org"]}),
    ("tests.compat.modules.legacy_routers.SyncRouter", {"routes": {"@a:c.org": ["@b:c.org"]}}),
    ("tests.compat.modules.legacy_routers.AsyncRouter", {"routes": {"@a:c.org": ["@b:c.org"]}}),
    ("tests.compat.modules.raiden_like.ServicesRouter", {"services": ["pay", "relay"]}),
]


def _check(
    module: type | str, config: Mapping[str, Any] | None = None, limits: Limits = LIMITS
) -> Report:
    path = module if isinstance(module, str) else f"{module.__module__}.{module.__qualname__}"
    # A stopwatch that stands still: no step takes any time.
    return check_subject(Subject.of(path, config), limits=limits, stopwatch=lambda: 0)


def _fault_of(module: type) -> Place:
    """Return where the comment `fault` is in a class."""
    lines, first = inspect.getsourcelines(module)
    [offset] = [number for number, line in enumerate(lines) if "# fault" in line]
    return Place(str(Path(inspect.getfile(module)).relative_to(Path.cwd())), first + offset)


@pytest.mark.parametrize(
    ("module", "kind", "callback"),
    [
        *(pytest.param(*fault, id=fault[0].__name__) for fault in FAULTY),
        pytest.param(
            faulty.RunsPrograms,
            Kind.BLOCKS,
            INTEREST,
            id="RunsPrograms",
            marks=pytest.mark.processes,
        ),
    ],
)
def test_a_planted_fault_is_found(module: type, kind: Kind, callback: Callback | None) -> None:
    """The check finds the fault at its line, and nothing else."""
    report = _check(module)
    found = [(it.kind, it.callback, it.place) for it in report.findings]
    assert found == [(kind, callback, _fault_of(module))]
    assert not report.is_good


@pytest.mark.parametrize(("path", "config"), GOOD, ids=[path for path, _ in GOOD])
def test_a_good_module_passes(path: str, config: Mapping[str, Any]) -> None:
    """The check asks a good module many questions, compares the callbacks, and finds nothing."""
    worlds = LIMITS.worlds if LIMITS.worlds <= EXAMPLES else 4
    report = _check(path, config, replace(LIMITS, thread=timedelta(minutes=1), worlds=worlds))
    assert report.findings == ()
    assert (report.is_good, report.compared, report.worlds) == (True, True, worlds)
    assert report.questions > 20 * worlds


def test_two_checks_find_the_same() -> None:
    """Two checks of one module give the same report."""
    assert _check(faulty.ByInvitation).findings == _check(faulty.ByInvitation).findings


def test_a_counterexample_is_as_small_as_can_be() -> None:
    """The counterexample has two people, one of them invited to a room, and nothing else."""
    [found] = _check(faulty.ByInvitation).findings
    assert found.message == (
        "a first sync shows @alice:example.com to @charlie:example.com, "
        "but Synapse would not tell @charlie:example.com when @alice:example.com comes online"
    )
    assert found.counterexample == Counterexample(
        viewer="@charlie:example.com",
        user="@alice:example.com",
        changes=("@alice:example.com online",),
        users=("@alice:example.com", "@charlie:example.com"),
        admins=(),
        rooms=("!staff:example.com: @alice:example.com (join), @charlie:example.com (invite)",),
    )


def test_what_is_told_but_not_shown_of_other_servers() -> None:
    """For users of other servers, who do not sync here, the finding speaks of their servers."""
    [found] = _check(faulty.ForgetsToShow).findings
    assert found.message == (
        "the server of @eve:elsewhere.com is told when @bob:example.com comes online, but in "
        "Synapse send_local_online_presence_to([@eve:elsewhere.com]) would not send it "
        "@bob:example.com"
    )


def test_changes_that_are_asked_about_together() -> None:
    """The counterexample has two changes, because the fault needs two changes at once."""
    [found] = _check(faulty.LooksAtTheFirst).findings
    assert found.message.endswith("when @bob:example.com comes online at the same moment as others")
    assert found.counterexample is not None
    assert len(found.counterexample.changes) == 2


def test_every_wrong_entry_is_listed() -> None:
    """The finding has what was asked, and each entry that the server would drop."""
    [found] = _check(faulty.AnswersLists).findings
    assert found.message == "get_users_for_states answers with what the server cannot use"
    assert found.details == (
        "asked: get_users_for_states([@alice:example.com online])",
        "the value of @alice:example.com is a list instead of a set",
        "'bob' is not a user ID",
    )


def test_an_answer_that_changes() -> None:
    """Both answers are shown."""
    [found] = _check(faulty.ChangesItsMind).findings
    assert found.details[1:] == ("first: {@bob:example.com}", "then:  set()")


def test_agreement_is_not_judged_by_faulty_answers() -> None:
    """If answers raise, the check does not compare the callbacks."""
    assert [_check(it).compared for it in (faulty.Raises, faulty.IsSlow)] == [False, True]


def test_blocking_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check finds a callback that sleeps for a day without waiting for a day."""
    (tmp_path / "sleeper.py").write_text(
        "import time\n"
        "class Sleeper:\n"
        "    def __init__(self, config, api):\n"
        "        api.register_presence_router_callbacks(\n"
        "            get_users_for_states=self.told, get_interested_users=self.shown)\n"
        "    async def told(self, states):\n"
        "        time.sleep(86400)\n"
        "        return {}\n"
        "    async def shown(self, user_id):\n"
        "        return set()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    [found] = check_module("sleeper.Sleeper").findings
    assert found == Finding(
        Kind.BLOCKS,
        "get_users_for_states blocks the event loop: it called time.sleep",
        STATES,
        Place("sleeper.py", 7),
        found.details,
    )


def test_what_cannot_be_checked() -> None:
    """A class that is not there, and a configuration that is refused, are errors, not findings."""
    with pytest.raises(ConfigError, match="no_such_module"):
        check_module("no_such_module.Router")
    with pytest.raises(ConfigError, match="give a list of localparts"):
        check_module(good.AllowList)


async def test_where_a_loop_runs() -> None:
    """A check refuses to run within an event loop, with an error that says so."""
    with pytest.raises(RuntimeError, match="call it where none runs"):
        check_module(good.Partners)


def test_a_router_that_is_more_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Callbacks of other kinds beside a router's are named in the report, and are no fault."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "router_and_more.py").write_text(
        "class Router:\n"
        "    def __init__(self, config, api):\n"
        "        api.register_account_data_callbacks(on_account_data_updated=print)\n"
        "        api.register_presence_router_callbacks(\n"
        "            get_users_for_states=self.states, get_interested_users=self.interest\n"
        "        )\n"
        "    async def states(self, updates):\n        return {'@a:b.org': set(updates)}\n"
        "    async def interest(self, user_id):\n"
        "        return 'ALL' if user_id == '@a:b.org' else set()\n"
    )
    report = check_module("router_and_more.Router", limits=Limits(worlds=1))
    assert report.elsewhere == ("register_account_data_callbacks",)
    assert report.is_good


def test_a_module_of_another_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report of a module that is not of presence says that the module stays in Synapse."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "only_spam.py").write_text(
        "class Checker:\n"
        "    def __init__(self, config, api):\n"
        "        api.register_spam_checker_callbacks(check_event_for_spam=print)\n"
    )
    [finding] = check_module("only_spam.Checker", limits=Limits(worlds=1)).findings
    assert finding.kind is Kind.NOTHING_REGISTERED
    assert "is not of presence" in finding.message
