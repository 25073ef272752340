"""docs/operating.md says what a running server shows."""

import re
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from lamplighter.config import parse_config_text
from tests.app.nodes import running_node
from tests.docs.commands import ROOT, blocks, commands, runs, typed
from tests.interop.processes import reserved_port
from tests.web.admin.test_modules import Broken, Sound

PAGE = "docs/operating.md"
METRIC = re.compile(r"^\| `((?:lamplighter|process)_\w+)` \| ([^|]*)\|", re.MULTILINE)
SAMPLE = re.compile(r"^(\w+)(?:\{(.*?)\})? ", re.MULTILINE)


async def test_every_metric_is_documented_with_its_labels() -> None:
    """The table has a row for each metric of a node at work, and no other, with its labels."""
    async with running_node([Sound, Broken]) as server:
        alice = await server.register("alice")
        with capture_logs():
            await alice.set_status("online")
            await alice.sync()
        page = (await server.http.request("GET", "/metrics")).body.decode()
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", page, re.MULTILINE))
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    rows = METRIC.findall(text)
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    shown = {name: set[str]() for name in kinds if not name.endswith("_created")}
    # Of what has not happened yet there is only the name.
    shown |= {name: documented.get(name, set()) for name in shown if f"\n{name}" not in page}
    for sample, labels in SAMPLE.findall(page):
        base = re.sub(r"_(bucket|sum|count|created)$", "", sample)
        name = sample if sample in shown else base
        if name in shown:
            shown[name] |= set(re.findall(r"(\w+)=", labels)) - {"le"}
    assert documented == shown


def test_the_configurations_are_good() -> None:
    """The lines that open the admin API, or name a database, are ones that the server takes."""
    admin, postgresql = (parse_config_text(it, Path("docs.yaml")) for _, it in blocks(PAGE, "yaml"))
    assert admin.admin.token_hash is not None
    assert postgresql.database is not None


@pytest.mark.processes
def test_the_commands_do_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is made, the server gets its hash, and the commands and curl are answered."""
    make, export, *asking, curl = commands(PAGE)[:6]
    lines = typed(make, tmp_path).stderr.splitlines()
    with reserved_port() as port:
        there = f"http://127.0.0.1:{port}"
        config = tmp_path / "lamplighter.yaml"
        basis = f"server_name: example.org\nlisten: 127.0.0.1:{port}\n"
        config.write_text(basis + "\n".join(lines[-2:]))
        for name in ("alice", "bob"):
            typed(f"echo secret | lamplighter register-user {name} --password-stdin", tmp_path)
        with runs("lamplighter serve", tmp_path, port):
            said = "does not see", "sees 1", "seen by 1"
            for number, (command, text) in enumerate(zip(asking, said, strict=True)):
                done = typed(f"{export}; {command} --url {there}", tmp_path, code=number == 0)
                assert (text in done.stdout, done.stderr) == (True, "")
            curl = curl.replace("http://127.0.0.1:8008", there).replace("curl ", "curl -sS ")
            assert "server_name" in typed(f"{export}; {curl}", tmp_path).stdout
