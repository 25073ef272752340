"""docs/first-module.md, from an empty folder to a passing test and a server."""

from pathlib import Path

from tests.docs.commands import commands, named_files, runs, typed
from tests.interop.processes import reserved_port

PAGE = "docs/first-module.md"


def test_a_reader_gets_from_nothing_to_a_server(tmp_path: Path) -> None:
    """The module, its test and its configuration work as the page says, in the page's order."""
    files = named_files(PAGE, "python", "yaml")
    test, check, serve = commands(PAGE)
    for name, content in files.items():
        (tmp_path / name).write_text(content)

    assert "3 passed" in typed(test, tmp_path).stdout

    with reserved_port() as port:
        config = tmp_path / "lamplighter.yaml"
        config.write_text(f"listen: 127.0.0.1:{port}\n{config.read_text()}")
        assert "on_call.OnCall can be loaded" in typed(check, tmp_path).stdout
        with runs(serve, tmp_path, port):
            pass
