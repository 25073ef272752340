"""`lamplighter module new`: a small project to start from, typed and tested.

The files of the project are in `template/`, where `$name`, `$package` and `$class_name` stand for
the names that the author chooses.
"""

import keyword
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from lamplighter.errors import ConfigError

__all__ = ["ProjectName", "make_project", "parse_project_name"]

#: The files of the project, and the template of each.
_FILES: Final = {
    ".gitignore": "gitignore.txt",
    "README.md": "readme.txt",
    "lamplighter.yaml": "config.txt",
    "pyproject.toml": "pyproject.txt",
    "src/$package/__init__.py": "module.txt",
    "src/$package/py.typed": "py_typed.txt",
    "tests/test_$package.py": "tests.txt",
}
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_LONGEST: Final = 60
#: A package of one of these names would hide another.
_TAKEN: Final = frozenset({"lamplighter", "pytest", "src", "synapse", "test", "tests"})


@dataclass(frozen=True, slots=True)
class ProjectName:
    """One name in three forms."""

    #: `on-call`: of the project, and its folder.
    name: str

    @property
    def package(self) -> str:
        """`on_call`: what is imported."""
        return self.name.replace("-", "_")

    @property
    def class_name(self) -> str:
        """`OnCall`: the module's class."""
        return "".join(part.capitalize() for part in self.package.split("_"))

    @property
    def forms(self) -> Mapping[str, str]:
        """All forms by their names in a template."""
        return {"name": self.name, "package": self.package, "class_name": self.class_name}


def parse_project_name(text: str) -> ProjectName:
    """Return *text* as the name of a project; raise `ConfigError` if it cannot be one."""
    if _NAME.fullmatch(text) is None or len(text) > _LONGEST:
        raise ConfigError(
            f"{text!r:.80} is not a project's name (such as on-call: a-z, 0-9 and single - or _)"
        )
    name = ProjectName(text)
    if keyword.iskeyword(name.package) or name.package in sys.stdlib_module_names | _TAKEN:
        raise ConfigError(f"{text!r}: Python, or something that it needs, is called so already")
    return name


def make_project(name: ProjectName, parent: Path) -> Path:
    """Make the project in a new folder of *parent*; return the folder.

    Raises `ConfigError` if the folder exists or cannot be made.
    """
    folder = parent / name.name
    try:
        folder.mkdir()
        for path, template in _FILES.items():
            file = folder / Template(path).substitute(name.forms)
            file.parent.mkdir(parents=True, exist_ok=True)
            text = files(__name__).joinpath("template", template).read_text(encoding="utf-8")
            file.write_text(Template(text).substitute(name.forms), encoding="utf-8")
    except FileExistsError:
        raise ConfigError(f"{folder}: exists already; choose another name") from None
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be made: {error.strerror}") from None
    return folder
