"""docs/first-module.md, from an empty folder to passing tests, a check, and a server."""

from pathlib import Path

import pytest

from tests.docs.commands import blocks, commands, named_files, runs, typed
from tests.interop.processes import reserved_port

PAGE = "docs/first-module.md"


@pytest.mark.processes
def test_a_reader_gets_from_nothing_to_a_server(tmp_path: Path) -> None:
    """Each command works where the page has it, and each file is as the page says."""
    path, new, install, *others = commands(PAGE)
    first_test, test, check, check_config, serve, bob, alice = others
    assert path in commands("README.md")
    assert first_test == test
    assert "Made on-call" in typed(new, tmp_path).stdout
    project = tmp_path / "on-call"
    assert "already satisfied: pytest" in typed(install, project).stdout  # so nothing is fetched
    assert "5 passed" in typed(first_test, project).stdout

    for name, content in named_files(PAGE, "python", "yaml").items():
        assert (project / name).exists()
        (project / name).write_text(content)

    assert "4 passed" in typed(test, project).stdout
    assert "Nothing is wrong." in typed(check, project).stdout
    with reserved_port() as port:
        config = project / "lamplighter.yaml"
        config.write_text(f"listen: 127.0.0.1:{port}\n{config.read_text()}")
        assert "on_call.OnCall can be loaded" in typed(check_config, project).stdout
        with runs(serve, project, port):
            assert "Registered @bob:demo" in typed(bob, project).stdout
            assert "Registered @alice:demo" in typed(alice, project).stdout


@pytest.mark.processes
def test_what_the_check_says(tmp_path: Path) -> None:
    """With the last answer replaced, the check says what the page shows."""
    files = named_files(PAGE, "python", "yaml")
    module = files["src/on_call/__init__.py"]
    right = "return self.on_call if user_id in self.help_desk else set()"
    assert module.count(right) == 1
    (tmp_path / "src" / "on_call").mkdir(parents=True)
    (tmp_path / "src" / "on_call" / "__init__.py").write_text(module.replace(right, "return set()"))
    (tmp_path / "lamplighter.yaml").write_text(files["lamplighter.yaml"])

    check = commands(PAGE)[5]
    said = typed(f"COLUMNS=200 {check}", tmp_path, code=1).stdout
    [(_, shown)] = blocks(PAGE, "text")
    printed = "\n".join(line.rstrip() for line in said.splitlines())
    assert shown.strip() in printed
