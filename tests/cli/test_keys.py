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
