"""The house rules that no linter knows: sizes, names, where tests stand, and what they say.

Who may import whom is checked by import-linter (`make architecture`), style by ruff.
"""

import ast
import re
import statistics
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = ROOT / "src" / "lamplighter"
#: They stand beside the package, not in it.
BESIDE: Final = (ROOT / "bench", ROOT / "doctools")
TESTS: Final = ROOT / "tests"

#: Lines of a file: median, nine in ten, all. And of a function, its docstring aside.
FILE_BUDGET: Final = (150, 350, 450)
FUNCTION_BUDGET: Final = (8, 30, 60)

#: Tests that prove more than one module does, and why they stand where they do.
STORIES: Final = {
    "chaos": "real nodes while everything fails, against an oracle",
    "compat": "modules as others write them, unchanged",
    "contract": "one suite for each port, over every adapter of it",
    "deploy": "the files in deploy/, by the programs that read them",
    "docs": "what the documents show is run",
    "examples": "the modules in examples/, each as its author would test it",
    "federation_interop": "a real Synapse at the other end",
    "interop": "clients and servers that others wrote",
    "models": "the cluster as a small state machine, and nodes that follow it",
    "properties": "random worlds against an oracle",
    "scenarios": "whole stories on the fake clock",
    "homeserver/test_random_nodes.py": "clients that go from node to node",
    "homeserver/sql/test_durability.py": "what is acknowledged survives the death of the process",
    "homeserver/upstream/test_random_worlds.py": "whatever is interleaved, nobody loses an event",
    "federation/test_inward.py": "hosts that would lead us inward, with all parts put together",
    "homeserver/upstream/test_federation.py": "other servers, in front of a homeserver",
    "homeserver/upstream/test_leaving.py": "presence switched off in front of a homeserver",
    "homeserver/upstream/test_attacks.py": "hostile clients and nonsense, over the whole front",
    "presence/test_reference_model.py": "the state machine against a slow and obvious one",
    "test_architecture.py": "this file",
}

#: Public names of classes and functions that are defined more than once, and why.
DEFINED_AGAIN: Final = {
    "ConfigError": "Synapse's, which modules import, is one of ours",
    "Membership": "Synapse's constants, which modules import, beside our port",
    "Requester": "Synapse's, which modules import, beside our own",
    "upgrade": "Alembic calls a function of this name in each migration",
}

#: Files whose public names are for the tool that runs them.
SCRIPTS: Final = re.compile(r"__main__\.py|migrations/versions/\w+\.py")

#: A waiver is followed by its reason: ` - because` or `  # because`.
WAIVER: Final = re.compile(r"#\s*(noqa|type:\s*ignore)\b(.*)")
WAIVER_WITH_REASON: Final = re.compile(
    r"(:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*|\[[a-z\-, ]+\])\s*(-|#)\s*\w.*"
)

#: Directories of the machine that this was written on have no place here.
MACHINE_PATHS: Final = re.compile(r"(?<![\w.$}])/(?:work|tmp|root|opt)(?=/|\b(?!\w))")

SOURCES: Final = sorted(path for top in (PACKAGE, *BESIDE) for path in top.rglob("*.py"))
TEST_FILES: Final = sorted(TESTS.rglob("*.py"))
EXAMPLES: Final = sorted((ROOT / "examples").rglob("*.py"))

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def _length(function: Function) -> int:
    whole = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is None:
        return whole
    return whole - ((first.end_lineno or 0) - first.lineno + 1)


def _file_lengths() -> dict[str, int]:
    return {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}


def _function_lengths() -> dict[str, int]:
    return {
        f"{_name(path)}:{function.lineno} {function.name}": _length(function)
        for path in SOURCES
        for function in _functions(_tree(path))
    }


def _project_files() -> list[Path]:
    """Return the files that are under version control, or will be once they are added."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize(
    ("measured", "budget"),
    [(_file_lengths, FILE_BUDGET), (_function_lengths, FUNCTION_BUDGET)],
    ids=["files", "functions"],
)
def test_sizes(measured: Callable[[], dict[str, int]], budget: tuple[int, int, int]) -> None:
    """Files and functions are short: the median one, nine in ten of them, and every one."""
    lengths = measured()
    median, most, every = budget
    assert {name: length for name, length in lengths.items() if length > every} == {}
    assert statistics.median(lengths.values()) <= median
    assert statistics.quantiles(lengths.values(), n=10)[-1] <= most


def test_every_file_says_what_it_is() -> None:
    """A file begins with a docstring; an empty one has nothing to say."""
    trees = {path: _tree(path) for path in (*SOURCES, *TEST_FILES, *EXAMPLES)}
    silent = [path for path, tree in trees.items() if tree.body and not ast.get_docstring(tree)]
    assert [_name(path) for path in silent] == []


def test_public_names() -> None:
    """`__all__` lists the public functions and classes of a module, and names that are there."""
    modules = [path for path in SOURCES if not SCRIPTS.search(_name(path))]
    unlisted, unbound = set(), set()
    for path in modules:
        tree = _tree(path)
        listed = _listed_names(tree)
        public = {
            node.name
            for node in tree.body
            if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
        }
        unlisted |= {f"{_name(path)}: {name}" for name in public - listed}
        unbound |= {f"{_name(path)}: {name}" for name in listed - _bound_names(tree)}
    assert (unlisted, unbound) == (set(), set())


def _listed_names(tree: ast.Module) -> set[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and _targets(node) == ["__all__"]:
            return set(ast.literal_eval(node.value))
    return set()


def _bound_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, Function | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            names.update(_targets(node))
    return names


def _targets(node: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def test_tests_are_sentences() -> None:
    """The docstring of each test is the sentence that it proves."""
    silent = [
        f"{_name(path)}: {function.name}"
        for path in TEST_FILES
        for function in _functions(_tree(path))
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    assert silent == []


def test_tests_mirror_the_sources() -> None:
    """A test file stands where the module stands that it tests, or tells a story.

    `test_views.py` and `test_views_again.py` would both test `views.py`.
    """
    tests = [path for path in TEST_FILES if path.name.startswith("test_")]
    assert [_name(path) for path in tests if not _mirrors_a_source(path)] == []


def _mirrors_a_source(path: Path) -> bool:
    place = path.relative_to(TESTS)
    if place.parts[0] in STORIES or str(place) in STORIES:
        return True
    words = place.stem.split("_")[1:]
    names = ["_".join(words[:count]) for count in range(1, len(words) + 1)]
    top = ROOT if ROOT / place.parts[0] in BESIDE else PACKAGE
    tested = [top / place.parent / name for name in names]
    return any(it.with_suffix(".py").is_file() or it.is_dir() for it in tested)


def test_tests_neither_sleep_nor_mock() -> None:
    """No test waits for time to pass, or talks to a mock; one tests what waits in modules."""
    used = {f"{_name(path)}: {name}" for path in TEST_FILES for name in _imported_or_slept(path)}
    forbidden = re.compile(r": (unittest\.mock|mock|(asyncio|time|anyio)\.sleep$)")
    simulated = "tests/devtools/test_module_timers.py: asyncio.sleep"
    assert {it for it in used if forbidden.search(it)} == {simulated}


def _imported_or_slept(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and node.attr == "sleep":
            names.add(ast.unparse(node))
    return names


def test_waivers_have_reasons() -> None:
    """Where a checker is told to look away, the same line says why."""
    unexplained = [
        f"{_name(path)}: {match[0]}"
        for path in (*SOURCES, *EXAMPLES)
        for match in WAIVER.finditer(path.read_text(encoding="utf-8"))
        if not WAIVER_WITH_REASON.fullmatch(match[2].strip())
    ]
    assert unexplained == []


@pytest.mark.processes
def test_no_path_of_a_machine() -> None:
    """No file names a directory of the machine that it was written on."""
    guilty = [
        f"{_name(path)}: {line.strip()}"
        for path in _project_files()
        if path != Path(__file__)
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
        if MACHINE_PATHS.search(line)
    ]
    assert guilty == []


def test_each_public_name_is_defined_once() -> None:
    """A public class or function has a name of its own, so a reader knows which one is meant."""
    places: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in _tree(path).body:
            if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(_name(path))
    again = {name: found for name, found in places.items() if len(found) > 1}
    assert {name: found for name, found in again.items() if name not in DEFINED_AGAIN} == {}
    assert again.keys() == DEFINED_AGAIN.keys()
