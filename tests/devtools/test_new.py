"""A new project is whole: its tests pass, its types are right, and a check finds nothing."""

import tomllib
from pathlib import Path

import pytest

from lamplighter.devtools.new import ProjectName, make_project, parse_project_name
from lamplighter.errors import ConfigError
from tests.docs.commands import runs, typed
from tests.interop.processes import reserved_port


@pytest.mark.processes
def test_a_new_project_works(tmp_path: Path) -> None:
    """Each command of the README works: tests (warnings are errors), types, check, and server."""
    folder = make_project(ProjectName("on-call"), tmp_path)
    _, test, types, check, serve = _commands(folder)

    assert "5 passed" in typed(f"{test} -q -W error", folder).stdout
    typed(types, folder)
    assert "Nothing is wrong." in typed(check, folder).stdout
    with reserved_port() as port:
        config = folder / "lamplighter.yaml"
        config.write_text(f"listen: 127.0.0.1:{port}\n{config.read_text()}")
        with runs(serve, folder, port):
            pass


@pytest.mark.processes
def test_a_new_project_is_installed_where_lamplighter_is(tmp_path: Path) -> None:
    """All that the project requires is found without any index; Lamplighter is not in it."""
    folder = make_project(ProjectName("on-call"), tmp_path)
    install, *_ = _commands(folder)
    offline = "install --dry-run --no-index --no-build-isolation --disable-pip-version-check"

    printed = typed(install.replace("install", offline, 1), folder).stdout

    assert "Would install on-call-0.1.0" in printed
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    required = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert required == ["mypy", "pytest"]


def _commands(folder: Path) -> list[str]:
    lines = (folder / "README.md").read_text().splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def test_what_it_consists_of(tmp_path: Path) -> None:
    """Project, module, test, configuration, README, and nothing else; no placeholder is left."""
    folder = make_project(ProjectName("who_is_in"), tmp_path)
    made = {str(it.relative_to(folder)): it for it in folder.rglob("*") if it.is_file()}
    assert sorted(made) == [
        ".gitignore",
        "README.md",
        "lamplighter.yaml",
        "pyproject.toml",
        "src/who_is_in/__init__.py",
        "src/who_is_in/py.typed",
        "tests/test_who_is_in.py",
    ]
    assert "class WhoIsIn:" in made["src/who_is_in/__init__.py"].read_text()
    assert [name for name, file in made.items() if "$package" in file.read_text()] == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """Where there is something of that name, it stays as it is."""
    (tmp_path / "on-call").write_text("mine")
    with pytest.raises(ConfigError, match="exists already; choose another name"):
        make_project(ProjectName("on-call"), tmp_path)
    assert (tmp_path / "on-call").read_text() == "mine"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """The error has the words of the file system."""
    with pytest.raises(ConfigError, match="cannot be made: No such file or directory"):
        make_project(ProjectName("on-call"), tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "package", "class_name"),
    [("router", "router", "Router"), ("on-call_2", "on_call_2", "OnCall2")],
)
def test_names(text: str, package: str, class_name: str) -> None:
    """A name has a form for each of its uses."""
    name = parse_project_name(text)
    assert (name.package, name.class_name) == (package, class_name)


@pytest.mark.parametrize(
    "text",
    [
        *("", "On-Call", "on call", "../up", "a--b", "-a", "a-", "1st", "é", "a" * 61, "a\n"),
        *("class", "json", "synapse", "tests", "lamplighter"),
    ],
)
def test_names_that_cannot_be(text: str) -> None:
    """A name that is none for a package, or that would hide a package, is refused."""
    with pytest.raises(ConfigError):
        parse_project_name(text)
