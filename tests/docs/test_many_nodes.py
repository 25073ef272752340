"""docs/many-nodes.md: from one node to three, as far as a test's machine can go."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.docs.commands import ROOT, commands, named_files, runs, typed
from tests.interop.processes import reserved_port
from tests.valkey import ValkeyServer

PAGE = "docs/many-nodes.md"


def test_all_speak_of_the_same_places() -> None:
    """The page and the proxies have the same addresses; what the page installs is there."""
    for proxy in ("nginx.conf", "Caddyfile"):
        text = (ROOT / "deploy/nodes" / proxy).read_text(encoding="utf-8")
        assert all(f"127.0.0.1:{port}" in text for port in (8008, 8009, 8010))
    sources = [word for it in commands(PAGE) for word in it.split() if word.startswith("deploy/")]
    assert sources == ["deploy/nodes/lamplighter@.service", "deploy/nodes/nginx.conf"]
    assert all((ROOT / it).is_file() for it in sources)


@pytest.mark.processes
def test_the_walk(tmp_path: Path, postgres_url: str, valkey: ValkeyServer) -> None:
    """The configurations of the page make three nodes, and `cluster status` finds all well."""
    text = named_files(PAGE, "yaml")["a.yaml"]
    for meant, here in (
        ("/var/lib/lamplighter/", f"{tmp_path}/lamplighter/"),
        ("postgresql://lamplighter:secret@127.0.0.1/lamplighter", postgres_url),
        ("redis://127.0.0.1:6379/0", valkey.url),
    ):
        assert meant in text
        text = text.replace(meant, here)
    (tmp_path / "a.yaml").write_text(text)
    for command in commands(PAGE):
        if command.startswith("sed "):
            typed(command, tmp_path)
    with ExitStack() as stack:
        for name, shown in (("a", 8008), ("b", 8009), ("c", 8010)):
            port = stack.enter_context(reserved_port())
            file = tmp_path / f"{name}.yaml"
            assert f"127.0.0.1:{shown}\n" in file.read_text()
            file.write_text(file.read_text().replace(f"127.0.0.1:{shown}", f"127.0.0.1:{port}"))
            stack.enter_context(runs(f"lamplighter serve -c {name}.yaml", tmp_path, port))
        [status] = [it for it in commands(PAGE) if "cluster status" in it]
        lines = all_is_well(status, tmp_path)
    assert [it.split()[0] for it in lines[1:4]] == ["a", "b", "c"]
    assert {it.name for it in (tmp_path / "lamplighter").iterdir()} == {"a", "b", "c"}
    valkey.lose_data()


def all_is_well(command: str, folder: Path) -> list[str]:
    """Return what `cluster status` prints, once the nodes have divided the users among them."""
    for _ in range(300):
        lines = typed(f"{command} || true", folder).stdout.splitlines()
        if lines[-1] == "All is well.":
            return lines
    raise AssertionError("\n".join(lines))
