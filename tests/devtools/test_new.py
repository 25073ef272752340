"""A new project is whole: its tests pass, its types are right, and a check finds nothing."""

from pathlib import Path

import pytest

from lamplighter.devtools.new import ProjectName, make_project, parse_project_name
from lamplighter.errors import ConfigError
from tests.docs.commands import typed


def test_a_new_project_works(tmp_path: Path) -> None:
    """Its own tests pass, with every warning an error, and so do its types and the check."""
    folder = make_project(ProjectName("on-call"), tmp_path)

    assert "5 passed" in typed("python -m pytest -q -W error -p no:asyncio", folder).stdout
    typed("mypy src", folder)
    checked = typed("lamplighter module check on_call.OnCall -c lamplighter.yaml", folder)
    assert "Nothing is wrong." in checked.stdout


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
    """What the file system says is passed on."""
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
    """What is no name for a package, or would hide one, is refused."""
    with pytest.raises(ConfigError):
        parse_project_name(text)
