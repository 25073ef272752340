"""docs/in-front-of-synapse.md, as far as no Synapse is needed; its commands run beside one."""

import re
from pathlib import Path

from lamplighter.config import parse_config_text
from tests.docs.commands import ROOT, commands, named_files

PAGE = "docs/in-front-of-synapse.md"
SITES = ROOT / "deploy" / "front"


def test_all_speak_of_the_same_places() -> None:
    """The sites of the proxies, and all commands, have the addresses of the configuration."""
    config = parse_config_text(named_files(PAGE, "yaml")["lamplighter.yaml"], Path("page.yaml"))
    assert config.homeserver is not None
    ours, theirs = str(config.listen[0]), str(config.homeserver.url).removeprefix("http://")
    used = {
        it.name: set(re.findall(r"127\.0\.0\.1:\d+", it.read_text(encoding="utf-8")))
        for it in SITES.iterdir()
        if it.name.startswith(("nginx", "Caddyfile"))
    }
    assert used == {
        f"{proxy}{way}{suffix}": addresses
        for proxy, suffix in (("nginx-", ".conf"), ("Caddyfile-", ""))
        for way, addresses in (
            ("all", {ours, theirs}),
            ("lean", {ours, theirs}),
            ("leaving", {theirs}),
        )
    }
    asked = re.findall(r"127\.0\.0\.1:\d+", " ".join(commands(PAGE)))
    assert set(asked) == {ours}


def test_every_file_is_named() -> None:
    """The page names each file in deploy/front/, or shows all of its lines."""
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    unnamed = [it.name for it in SITES.iterdir() if it.name not in text]
    assert sorted(unnamed) == ["skip-the-past.sql", "synapse.yaml"]


def test_complaints_are_those_of_the_code() -> None:
    """What the page says about a line of the check or of the log is about a line that exists."""
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    failing = re.findall(r"^\| `FAIL … ([^`]+)` \|", text, re.MULTILINE)
    logged = re.findall(r"^\| `([^`]+)` in the log \|", text, re.MULTILINE)
    assert (len(failing), len(logged)) == (6, 2)
    sources = [*(ROOT / "src/lamplighter/homeserver/upstream").glob("*.py")]
    code = "".join(it.read_text(encoding="utf-8") for it in sources)
    assert [it for it in failing + logged if it not in code] == []
