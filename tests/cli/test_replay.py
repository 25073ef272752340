"""`lamplighter replay`, as its reader sees it."""

import asyncio
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.cli.test_main import Run, run
from tests.compat.rules_in_files import ALICE, BOB, CHARLIE, Folder, folder_of_modules, lab
from tests.compat.world import UNSEEN
from tests.logs_as_before import logs_as_before as logs_as_before  # used by every test here

__all__ = ["run"]  # the fixture


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """A folder of modules."""
    with folder_of_modules(tmp_path) as folder:
        yield folder


@pytest.fixture
def replay(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command with these arguments, on a wide terminal."""
    monkeypatch.setenv("COLUMNS", "140")
    return partial(run, "replay")


@pytest.fixture
def log(folder: Folder) -> Path:
    """A record of a server on which alice is shown bob."""
    path = folder.path / "decisions.log"

    async def record() -> None:
        folder.rule({ALICE: [BOB]})
        async with lab(folder.configure("rule.Rule", routing={"record": str(path)})) as world:
            for viewer in (world.alice, world.charlie):
                await viewer.sync(**UNSEEN)
            for said in ("one", "two"):
                await world.bob.set_status("online", said)
                await world.server.advance(seconds=1)

    asyncio.run(record())
    folder.forget()
    return path


def test_nothing_differs(folder: Folder, log: Path, replay: Run) -> None:
    """The same rule, over its own record, differs in nothing: exit code 0."""
    ran = replay(log, "-c", folder.configure("rule.Rule"))
    assert (ran.exit_code, ran.err) == (0, "")
    assert (
        ran.out.splitlines()[1]
        == "Nothing differs: everybody would see whom they saw, as they saw them."
    )


def test_what_differs(folder: Folder, log: Path, replay: Run) -> None:
    """The report shows who gains and who loses whom, with reasons and by module: exit code 1."""
    folder.rule({CHARLIE: [BOB]})
    ran = replay(log, "-c", folder.configure("rule.Rule"))
    assert ran.exit_code == 1
    lines = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert lines[0].startswith("4 decisions, 2024-01-01 00:00:00 to ")
    assert lines[0].endswith(", decided again by Rule")
    assert lines[2:] == [
        "1 pair would gain visibility",
        "viewer of times first because",
        f"{CHARLIE} {BOB} 2 2024-01-01 00:00:00 module Rule",
        "",
        "1 pair would lose visibility",
        "viewer of times first because",
        f"{ALICE} {BOB} 2 2024-01-01 00:00:00 was: module Rule",
        "",
        "by module gained lost altered",
        "Rule 1 1 0",
    ]


def test_for_programs(folder: Folder, log: Path, replay: Run) -> None:
    """With --json every difference is there, with all that is known of it."""
    folder.rule({ALICE: [BOB]}, say="nothing")
    ran = replay(log, "-c", folder.configure("rule.Rule"), "--json")
    values = json.loads(ran.out)
    assert ran.exit_code == 1
    assert values["counts"] == {"gained": 0, "lost": 0, "altered": 1}
    assert values["by_module"] == {"Rule": {"gained": 0, "lost": 0, "altered": 1}}
    assert values["modules"] == {"Rule": None}
    [difference] = values["differences"]
    assert difference == {
        "kind": "altered",
        "viewer": ALICE,
        "user": BOB,
        "first_ts": difference["first_ts"],
        "times": 2,
        "modules": ["Rule"],
        "before": {"altered": {}, "reasons": ["module Rule"]},
        "after": {"altered": {"status_msg": "nothing"}, "reasons": ["module Rule"]},
    }


def test_a_module_that_fails(folder: Folder, log: Path, replay: Run) -> None:
    """A module that fails is named, with what it said."""
    folder.rule({ALICE: [BOB]}, before="raise RuntimeError('no [data]')")
    ran = replay(log, "-c", folder.configure("rule.Rule"))
    assert (ran.exit_code, ran.err) == (0, "")  # by its other callback, alice sees bob all the same
    assert "Module Rule failed, last so: get_users_for_states: RuntimeError('no [data]')" in ran.out


@pytest.mark.parametrize(
    ("name", "problem"),
    [("nowhere.log", "nowhere.log: there is no such file"), ("rule.py", "not a record")],
)
def test_no_record(folder: Folder, replay: Run, name: str, problem: str) -> None:
    """A file that is no record is refused in one line: exit code 2."""
    folder.rule({})
    ran = replay(folder.path / name, "-c", folder.configure())
    assert (ran.exit_code, ran.out) == (2, "")
    assert problem in ran.err
