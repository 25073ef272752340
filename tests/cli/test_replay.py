"""`lamplighter replay`, as its reader sees it."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lamplighter.cli.main import main
from tests.compat.rules_in_files import ALICE, BOB, CHARLIE, Folder, folder_of_modules, lab
from tests.compat.world import UNSEEN
from tests.logs_as_before import logs_as_before as logs_as_before  # used by every test here

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """A folder of modules."""
    with folder_of_modules(tmp_path) as folder:
        yield folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command with these arguments: exit code, standard output and error."""
    monkeypatch.setenv("COLUMNS", "140")

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lamplighter", "replay", *map(str, arguments)])
        with pytest.raises(SystemExit) as exited:
            main()
        written = capsys.readouterr()
        return int(exited.value.code or 0), written.out, written.err

    return run


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


def test_nothing_differs(folder: Folder, log: Path, run: Run) -> None:
    """The same rule, over its own record, differs in nothing: exit code 0."""
    code, out, err = run(log, "-c", folder.configure("rule.Rule"))
    assert (code, err) == (0, "")
    assert (
        out.splitlines()[1]
        == "Nothing differs: everybody would see whom they saw, as they saw them."
    )


def test_what_differs(folder: Folder, log: Path, run: Run) -> None:
    """The report shows who gains and who loses whom, with reasons and by module: exit code 1."""
    folder.rule({CHARLIE: [BOB]})
    code, out, _ = run(log, "-c", folder.configure("rule.Rule"))
    assert code == 1
    lines = [" ".join(line.split()) for line in out.splitlines()]
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


def test_for_programs(folder: Folder, log: Path, run: Run) -> None:
    """With --json every difference is there, with all that is known of it."""
    folder.rule({ALICE: [BOB]}, say="nothing")
    code, out, _ = run(log, "-c", folder.configure("rule.Rule"), "--json")
    values = json.loads(out)
    assert code == 1
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


def test_a_module_that_fails(folder: Folder, log: Path, run: Run) -> None:
    """A module that fails is named, with what it said."""
    folder.rule({ALICE: [BOB]}, before="raise RuntimeError('no [data]')")
    code, out, err = run(log, "-c", folder.configure("rule.Rule"))
    assert (code, err) == (0, "")  # by its other callback, alice sees bob all the same
    assert "Module Rule failed, last so: get_users_for_states: RuntimeError('no [data]')" in out


@pytest.mark.parametrize(
    ("name", "problem"),
    [("nowhere.log", "nowhere.log: there is no such file"), ("rule.py", "not a record")],
)
def test_no_record(folder: Folder, run: Run, name: str, problem: str) -> None:
    """A file that is no record is refused in one line: exit code 2."""
    folder.rule({})
    code, out, err = run(folder.path / name, "-c", folder.configure())
    assert (code, out) == (2, "")
    assert problem in err
