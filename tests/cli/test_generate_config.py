"""The configuration that generate-config writes."""

import re
from pathlib import Path

import msgspec
import pytest

from lamplighter.cli.generate_config import config_text, write_config
from lamplighter.config import Config, ModuleEntry, parse_config_text
from lamplighter.errors import ConfigError
from lamplighter.ids import ServerName

WHERE = Path("generated.yaml")


def test_it_is_the_default_configuration() -> None:
    """Unchanged, the configuration sets nothing but the server name."""
    assert parse_config_text(config_text("example.org"), WHERE) == Config(
        server_name=ServerName("example.org")
    )


def test_what_is_commented_out_is_the_default() -> None:
    """With every key uncommented the configuration means the same: the values are the defaults."""
    text = re.sub(r"^#(?! \S)", "", config_text("example.org"), flags=re.MULTILINE)
    config = parse_config_text(text, WHERE)
    assert config == Config(
        server_name=ServerName("example.org"),
        public_baseurl="https://example.org/",
        modules=(ModuleEntry(module="my_package.MyPresenceRouter"),),
    )


def test_every_key_is_in_it() -> None:
    """All keys are there, except the older way to name a presence router."""
    text = config_text("example.org")
    shown = set(re.findall(r"^#? *(\w+):", text, flags=re.MULTILINE))
    keys = {field.encode_name for field in msgspec.structs.fields(Config)}
    for section in ("presence", "routing", "rate_limits", "log"):
        default = next(f.default for f in msgspec.structs.fields(Config) if f.name == section)
        keys |= {field.encode_name for field in msgspec.structs.fields(default)}
    assert keys - shown == {"presence_router"}


@pytest.mark.parametrize("name", ["true", "1234", "[::1]:8448", "1.2", "Example.ORG:1"])
def test_odd_server_names(name: str) -> None:
    """A server name that YAML would read as something else arrives unharmed."""
    assert parse_config_text(config_text(name), WHERE).server_name == name


@pytest.mark.parametrize("name", ["", "a b", 'a"', "a\nb: c", "{}"])
def test_bad_server_names(name: str) -> None:
    """A text that is not a server name is refused before anything is written."""
    with pytest.raises(ConfigError, match=r"^--server-name: .* is not a server name"):
        config_text(name)


def test_what_is_not_written(tmp_path: Path) -> None:
    """A file that exists is left alone; a directory that is not there is an error."""
    path, absent = tmp_path / "lamplighter.yaml", tmp_path / "absent" / "lamplighter.yaml"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="exists already"):
        write_config("yours", path)
    assert path.read_text() == "mine"
    with pytest.raises(ConfigError) as raised:
        write_config("text", absent)
    assert str(raised.value) == f"{absent}: cannot be written: No such file or directory"
