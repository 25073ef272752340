"""`lamplighter module check` from the command line: files, exit codes, JSON."""

import json
from pathlib import Path

import pytest

from lamplighter.cli.module_check import as_json, check
from lamplighter.devtools.check import Kind
from lamplighter.errors import ConfigError
from tests.cli.test_main import Ran, Run, run

__all__ = ["run"]  # the fixture

ROUTES = "tests.compat.modules.routers.Routes"
ALTERING = "tests.compat.modules.routers.Altering"
OLDER_ROUTER = "tests.devtools.check.modules.good.OlderRouter"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a place for a configuration."""
    return tmp_path / "config.yaml"


def test_a_good_module_exits_0(run: Run, file: Path) -> None:
    """The file may hold the module's own mapping and nothing else."""
    file.write_text("routes: {'@alice:demo': ['@bob:demo']}\n")
    ran = run("module", "check", ROUTES, "--config", file)
    assert (ran.exit_code, ran.err) == (0, "")
    assert ran.out.endswith("Nothing is wrong.\n")


def test_findings_exit_1(run: Run, file: Path) -> None:
    """Findings are printed as sentences; nothing goes to the standard error."""
    file.write_text("viewers: ['@alice:demo']\n")
    ran = run("module", "check", ALTERING, "-c", file)
    assert (ran.exit_code, ran.err) == (1, "")
    words = " ".join(ran.out.split())
    assert (
        "@alice:demo is told when @bob:demo comes online, "
        "but a first sync in Synapse would not show @bob:demo." in words
    )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("routes: [", "line 2, column 1: not YAML"),
        ("- 1", "not a mapping"),
        ("server_name: demo", f"does not load {ROUTES}"),
        (f"modules: [{{module: {ROUTES}}}, {{module: {ROUTES}}}]", f"loads 2 times {ROUTES}"),
        (f"server_name: 'a b'\nmodules: [{{module: {ROUTES}}}]", "server_name: 'a b' is not"),
        ("routes: 3", "modules[0].config.routes: give a mapping from receiver to senders"),
    ],
)
def test_a_wrong_configuration_exits_2(run: Run, file: Path, text: str, error: str) -> None:
    """A wrong configuration is one line on the standard error."""
    file.write_text(f"{text}\n")
    ran = run("module", "check", ROUTES, "-c", file)
    assert (ran.exit_code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")
    assert error in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_module_that_is_not_there_exits_2(run: Run) -> None:
    """A module that cannot be imported is one line on the standard error."""
    assert run("module", "check", "nowhere.Router") == Ran(
        2,
        "",
        "error: modules[0].module: 'nowhere.Router' cannot be imported: "
        "No module named 'nowhere'\n",
    )


def test_json(run: Run, file: Path) -> None:
    """`--json` prints the report and nothing else, typed as the report is."""
    file.write_text("viewers: ['@alice:demo']\n")
    ran = run("module", "check", ALTERING, "-c", file, "--json")
    report = json.loads(ran.out)
    [finding] = report["findings"]
    assert (ran.exit_code, report["module"], report["compared"]) == (1, ALTERING, True)
    assert finding["kind"] == "told-but-not-shown"
    assert finding["callback"] == "get_interested_users"
    assert finding["place"]["file"] == "tests/compat/modules/routers.py"
    assert finding["counterexample"] == {
        "viewer": "@alice:demo",
        "user": "@bob:demo",
        "changes": ["@bob:demo online"],
        "users": ["@alice:demo", "@bob:demo"],
        "admins": [],
        "rooms": [],
    }


def test_a_whole_configuration(file: Path) -> None:
    """Of a server's configuration, Synapse's too, its name and the module's entry are used."""
    file.write_text(
        "server_name: example.org\n"
        "listeners: [{port: 8008}]\n"
        f"modules: [{{module: other.Module}}, {{module: {ROUTES}, config: "
        "{routes: {'@a:elsewhere.org': ['@b:elsewhere.org']}}}]\n"
    )
    report = check(ROUTES, file)
    assert (report.server_name, report.findings) == ("example.org", ())


def test_the_older_style(file: Path) -> None:
    """`presence.presence_router` is the older style; in `modules:`, such a router does nothing."""
    module = f"{{module: {OLDER_ROUTER}, config: {{boss: alice}}}}"
    file.write_text(f"presence: {{presence_router: {module}}}\n")
    assert check(OLDER_ROUTER, file).findings == ()
    file.write_text(f"modules: [{module}]\n")
    [finding] = check(OLDER_ROUTER, file).findings
    assert finding.kind is Kind.NOTHING_REGISTERED
    assert finding.details == (
        "it has get_users_for_states and get_interested_users, as older routers have: "
        "those are configured as presence.presence_router",
    )


def test_rooms_that_do_not_count(file: Path) -> None:
    """Where rooms do not count, a module must show whom it tells of, room or no room."""
    module = "tests.devtools.check.modules.good.HidesStatusInRooms"
    entry = f"server_name: demo\nmodules: [{{module: {module}, config: {{room: '!r:demo'}}}}]\n"
    found = []
    keys = "shared_rooms: false", "exclude_rooms: ['!r:demo']", "largest_room: 2", "rooms: direct"
    for routing in ("", *(f"routing: {{{key}}}" for key in keys)):
        file.write_text(f"{entry}{routing}\n")
        found.append([it.kind for it in check(module, file).findings])
    assert found == [[], *[[Kind.TOLD_NOT_SHOWN]] * 4]


def test_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module is found in the current folder, or in its src, without being installed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # so that what the check adds is taken away again
    (tmp_path / "src").mkdir()
    for number, folder in enumerate((tmp_path, tmp_path / "src")):
        (folder / f"module_here_{number}.py").write_text("class Router: ...\n")
        report = check(f"module_here_{number}.Router", None)
        assert [it.kind for it in report.findings] == [Kind.CONSTRUCTOR_FAILS]


def test_an_error_is_raised() -> None:
    """The function raises the error."""
    with pytest.raises(ConfigError, match="nowhere"):
        check("nowhere.Router", None)


def test_json_of_a_good_module() -> None:
    """The report has what was done, also where nothing is wrong."""
    report = check("tests.devtools.check.modules.good.NamesInTheSource", None)
    read = json.loads(as_json(report))
    assert (read["findings"], read["worlds"], read["questions"]) == (
        [],
        report.worlds,
        report.questions,
    )
    assert [it["callback"] for it in read["timings"]] == [
        "get_interested_users",
        "get_users_for_states",
    ]
