"""docs/guides/coming-from-synapse.md: its tables are the code's, and its commands work."""

import re
from pathlib import Path

import pytest
import yaml

from lamplighter.config import parse_config_text
from lamplighter.config.synapse_keys import MOVED_KEYS
from lamplighter.modules.hints import NOT_IN_API, NOT_IN_MODULE_API, import_hint
from tests.docs.commands import ROOT, blocks, commands, named_files, typed
from tests.interop.processes import reserved_port

PAGE = "docs/guides/coming-from-synapse.md"


def _table(heading: str) -> dict[str, str]:
    """Return the rows of the first table below the header row *heading*."""
    _, _, below = (ROOT / PAGE).read_text().partition(heading)
    rows = below.partition("\n\n")[0].splitlines()[2:]
    pairs = [re.fullmatch(r"\| `(\w+)` \| (.+) \|", row) for row in rows]
    return {row[1]: row[2] for row in pairs if row}


def test_the_keys_that_move() -> None:
    """The table of keys is the one by which Synapse's keys are answered."""
    moved = {key: f"`{ours}`" for key, ours in MOVED_KEYS.items()}
    assert _table("| In `homeserver.yaml` | Here |") == moved


def test_what_is_not_in_the_module_api() -> None:
    """The tables of names are those from which the errors are made, with the same text."""
    parts = "These names of Synapse's `ModuleApi`", "These names cannot be imported"
    text = (ROOT / PAGE).read_text()
    assert [text.count(part) for part in parts] == [1, 1]

    assert _table(parts[0] + text.partition(parts[0])[2].partition("| Name")[0]) == NOT_IN_API
    imports = {name: import_hint(f"synapse.module_api.{name}") for name in NOT_IN_MODULE_API}
    assert _table(parts[1] + text.partition(parts[1])[2].partition("| Name")[0]) == imports


@pytest.mark.processes
def test_its_commands_work(tmp_path: Path) -> None:
    """A homeserver.yaml with a presence router and a spam checker moves by the page's commands."""
    generate, check_config, check = commands(PAGE)
    module = named_files("docs/first-module.md", "python")["src/on_call/__init__.py"]
    (tmp_path / "on_call.py").write_text(module)
    (tmp_path / "spam.py").write_text(
        "class Spam:\n"
        "    def __init__(self, config, api):\n"
        "        api.register_spam_checker_callbacks(check_event_for_spam=None)\n"
    )
    with reserved_port() as port:
        theirs = {
            "server_name": "demo",
            "listeners": [
                {
                    "port": port,
                    "bind_addresses": ["127.0.0.1"],
                    "resources": [{"names": ["client"]}],
                }
            ],
            "macaroon_secret_key": "not to be copied",
            "modules": [
                {
                    "module": "on_call.OnCall",
                    "config": {"on_call": ["@bob:demo"], "help_desk": ["@alice:demo"]},
                },
                {"module": "spam.Spam", "config": {}},
            ],
        }
        (tmp_path / "homeserver.yaml").write_text(yaml.safe_dump(theirs))
        typed(generate, tmp_path)
        assert "on_call.OnCall can be loaded" in typed(check_config, tmp_path).stdout
    assert "Nothing is wrong." in typed(check, tmp_path).stdout

    written = (tmp_path / "lamplighter.yaml").read_text()
    [(_, skip)] = blocks(PAGE, "yaml")
    assert skip.strip() in written.splitlines()
    assert "not to be copied" not in written
    config = parse_config_text(f"server_name: demo\n{skip}", tmp_path / "lamplighter.yaml")
    assert config.modules_not_of_presence == "skip"
