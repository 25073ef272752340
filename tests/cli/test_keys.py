"""`lamplighter keys`."""

from pathlib import Path

import pytest

from lamplighter.cli.keys import rotate, show
from lamplighter.errors import ConfigError
from lamplighter.federation.keys import SigningKeys
from lamplighter.federation.signing import key_id_of
from lamplighter.ids import ServerName


def test_keys(tmp_path: Path) -> None:
    """A rotated key is shown as expired, and a new one signs; without a file there is no key."""
    config = tmp_path / "lamplighter.yaml"
    config.write_text(f"server_name: demo\ndata_dir: {tmp_path}\n")
    with pytest.raises(ConfigError, match="is not there"):
        show(config)
    path = tmp_path / "signing.key"
    [key] = SigningKeys.load_or_create(path, ServerName("demo")).current
    assert list(show(config)) == [str(path), f"{key_id_of(key)} signs"]

    file, signs, expired = rotate(config)
    assert file == str(path)
    assert signs.endswith(" signs")
    assert not signs.startswith(key_id_of(key))
    assert expired.startswith(f"{key_id_of(key)} expired at 20")
    assert list(show(config)) == [file, signs, expired]


def test_keys_of_a_homeserver(tmp_path: Path) -> None:
    """The key of the homeserver behind this server is shown, and never changed here."""
    config = tmp_path / "lamplighter.yaml"
    config.write_text("{server_name: demo, homeserver: {url: 'http://a:1', signing_key: its.key}}")
    with pytest.raises(ConfigError, match=r"its\.key: cannot be read"):
        show(config)
    path = tmp_path / "its.key"
    path.write_text(f"ed25519 a_1 {'A' * 43}\n")
    assert list(show(config)) == [str(path), "ed25519:a_1 signs"]
    with pytest.raises(ConfigError, match="the key is the homeserver's"):
        rotate(config)
    assert [it.name for it in tmp_path.iterdir() if it != config] == ["its.key"]
