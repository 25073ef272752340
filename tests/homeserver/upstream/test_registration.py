"""The registration as an application service of the homeserver."""

import re
import stat
from pathlib import Path

import pytest
import yaml

from lamplighter.errors import ConfigError
from lamplighter.homeserver.upstream.registration import (
    ServiceRegistration,
    read_registration,
    write_registration,
)
from lamplighter.ids import ServerName


def test_what_is_written(tmp_path: Path) -> None:
    """Only its owner may read it; it asks for all events of all local users, and owns nobody."""
    path = tmp_path / "registration.yaml"
    write_registration(path, "http://127.0.0.1:8008", ServerName("a.example:8448"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = yaml.safe_load(path.read_text())
    tokens = written.pop("as_token"), written.pop("hs_token")
    assert len(set(tokens)) == 2
    assert min(map(len, tokens)) >= 40
    assert written == {
        "id": "lamplighter",
        "url": "http://127.0.0.1:8008",
        "sender_localpart": "lamplighter",
        "rate_limited": False,
        "namespaces": {
            "users": [{"exclusive": False, "regex": r"^@.*:a\.example:8448$"}],
            "aliases": [],
            "rooms": [],
        },
        "receive_ephemeral": False,
    }
    [users] = written["namespaces"]["users"]
    assert re.match(users["regex"], "@a:a.example:8448")
    assert not re.match(users["regex"], "@a:a.example:84487")
    assert not re.match(users["regex"], "@a:axexample:8448")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Each registration has tokens of its own, and a second one is not written over the first."""
    first, second = tmp_path / "1.yaml", tmp_path / "2.yaml"
    for path in (first, second):
        write_registration(path, "http://127.0.0.1:8008", ServerName("a.example"))
    read = read_registration(first)
    assert (read.id, read.url) == ("lamplighter", "http://127.0.0.1:8008")
    assert read.as_token != read_registration(second).as_token
    with pytest.raises(ConfigError, match="exists, and the homeserver may know its tokens"):
        write_registration(first, "http://127.0.0.1:8008", ServerName("a.example"))
    assert read_registration(first) == read


def test_tokens_are_not_shown() -> None:
    """Its text, as it may stand in a log, has no secret."""
    assert "secret" not in repr(ServiceRegistration("lamplighter", "secret", "secret"))


@pytest.mark.parametrize(
    "content",
    ["", "- a", "id: x", "{id: x, as_token: '', hs_token: b}", "{id: x, as_token: ü, hs_token: b}",
     "{id: [", "x" * 100_000],
    ids=["empty", "list", "no tokens", "empty token", "not ascii", "no yaml", "huge"],
)  # fmt: skip
def test_no_registration(tmp_path: Path, content: str) -> None:
    """Anything else is refused with the name of the file, and nothing of what is in it."""
    path = tmp_path / "registration.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError) as refused:
        read_registration(path)
    assert str(refused.value) == f"homeserver.registration: {path} is no registration"


def test_no_file(tmp_path: Path) -> None:
    """A registration that was not written yet is refused with the command that writes it."""
    with pytest.raises(ConfigError, match="`lamplighter homeserver registration` writes it"):
        read_registration(tmp_path / "registration.yaml")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_registration(tmp_path / "no" / "folder", "", ServerName("a.example"))
