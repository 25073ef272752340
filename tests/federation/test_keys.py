"""Our own keys: the file, the published form, rotation."""

import stat
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from signedjson.key import get_verify_key
from signedjson.sign import verify_signed_json

from lamplighter.clock import Timestamp, after
from lamplighter.errors import ConfigError
from lamplighter.federation.keys import OldKey, SigningKeys
from lamplighter.federation.signing import key_id_of
from lamplighter.ids import ServerName

HERE: Final = ServerName("here.example")
NOW: Final = Timestamp(1_704_067_200_000)
#: The seed of the specification's test vectors, and its public key.
SEED: Final = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1"
PUBLIC: Final = "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of the keys."""
    return tmp_path / "signing.key"


@pytest.fixture
def one(path: Path) -> Path:
    """The file with one key, as Synapse writes it."""
    path.write_text(f"ed25519 one {SEED}\n", encoding="ascii")
    return path


def test_a_key_is_made_once(path: Path) -> None:
    """The first start makes a key that only its owner may read; the next start uses it."""
    made = SigningKeys.load_or_create(path, HERE)
    found = SigningKeys.load_or_create(path, HERE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [it.name for it in path.parent.iterdir()] == ["signing.key"]
    assert bytes(found.signing.encode()) == bytes(made.signing.encode())
    assert key_id_of(found.signing) == key_id_of(made.signing)
    assert path.read_text(encoding="ascii").startswith(f"ed25519 {made.signing.version} ")


def test_a_file_of_synapse(one: Path) -> None:
    """A file of Synapse can be used, and its key is published."""
    published = SigningKeys.load(one, HERE).server_keys(NOW, timedelta(hours=1))
    signature = published["signatures"].pop("here.example")
    assert published == {
        "server_name": "here.example",
        "valid_until_ts": NOW + 3_600_000,
        "verify_keys": {"ed25519:one": {"key": PUBLIC}},
        "old_verify_keys": {},
        "signatures": {},
    }
    assert signature.keys() == {"ed25519:one"}


def test_several_keys(path: Path) -> None:
    """Of several keys the first signs requests; all are published, and sign the published keys."""
    path.write_text(f"ed25519 one {SEED}\n\ned25519 two {'A' * 43}\n", encoding="ascii")
    keys = SigningKeys.load(path, HERE)
    published = keys.server_keys(NOW, timedelta(hours=1))
    assert key_id_of(keys.signing) == "ed25519:one"
    assert list(published["verify_keys"]) == ["ed25519:one", "ed25519:two"]
    for key in keys.current:
        verify_signed_json(published, "here.example", get_verify_key(key))


def test_rotation(one: Path) -> None:
    """A rotation replaces the key by a new one, and the old key is published as expired.

    The old seed is in no file then, and only the owner may read both files.
    """
    rotated = SigningKeys.load(one, HERE).rotate(NOW)
    loaded = SigningKeys.load(one, HERE)
    assert rotated.old == loaded.old == (OldKey("ed25519:one", PUBLIC, NOW),)
    assert key_id_of(loaded.signing) == key_id_of(rotated.signing) != "ed25519:one"
    published = loaded.server_keys(NOW, timedelta(hours=1))
    assert published["old_verify_keys"] == {"ed25519:one": {"key": PUBLIC, "expired_ts": NOW}}
    assert list(published["verify_keys"]) == [key_id_of(rotated.signing)]
    files = sorted(one.parent.iterdir())
    assert [it.name for it in files] == ["signing.key", "signing.key.old"]
    assert [stat.S_IMODE(it.stat().st_mode) for it in files] == [0o600, 0o600]
    assert not any(SEED in it.read_text(encoding="ascii") for it in files)
    twice = SigningKeys.load(one, HERE).rotate(Timestamp(NOW + 1))
    assert [(it.key_id, it.expired_ts) for it in twice.old] == [
        ("ed25519:one", NOW),
        (key_id_of(rotated.signing), NOW + 1),
    ]


def test_an_interrupted_rotation(one: Path) -> None:
    """A key in both files still signs, and is not old."""
    one.with_name("signing.key.old").write_text(f"ed25519 one {NOW} {PUBLIC}\n", encoding="ascii")
    keys = SigningKeys.load(one, HERE)
    assert (key_id_of(keys.signing), keys.old) == ("ed25519:one", ())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no signing key; a line is ed25519 <version> <base64>"),
        (b"\xff", "not a file of keys; a line is ed25519 <version> <base64>"),
        (b"ed25519 one\n", "line 1 is not a signing key: ed25519 <version> <base64>"),
        (b"rsa one QUJD\n", "line 1 is not a signing key: ed25519 <version> <base64>"),
        (b"\ned25519 one QUJD\n", "line 2 is not a signing key: ed25519 <version> <base64>"),
        (b"ed25519 one !\n", "line 1 is not a signing key: ed25519 <version> <base64>"),
    ],
)
def test_a_file_that_holds_no_key(path: Path, content: bytes, message: str) -> None:
    """The error for a file without keys names the line, and shows no secret."""
    path.write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        SigningKeys.load_or_create(path, HERE)
    assert str(raised.value) == f"{path}: {message}"


@pytest.mark.parametrize(
    "line", ["ed25519 one", f"ed25519 one soon {PUBLIC}", f"ed25519 one {NOW} QUJD"]
)
def test_a_malformed_old_key(one: Path, line: str) -> None:
    """A line that is not an old key is refused."""
    beside = one.with_name("signing.key.old")
    beside.write_text(line, encoding="ascii")
    with pytest.raises(ConfigError) as raised:
        SigningKeys.load(one, HERE)
    wanted = "line 1 is not an old key: ed25519 <version> <expired_ts> <base64>"
    assert str(raised.value) == f"{beside}: {wanted}"


def test_no_file(tmp_path: Path) -> None:
    """`load` does not create a missing file; a key that cannot be written is a `ConfigError`."""
    path = tmp_path / "missing" / "signing.key"
    for load, problem in ((SigningKeys.load, "read"), (SigningKeys.load_or_create, "written")):
        with pytest.raises(ConfigError) as raised:
            load(path, HERE)
        assert str(raised.value) == f"{path}: cannot be {problem}: No such file or directory"


def test_a_rotation_that_fails(path: Path) -> None:
    """A rotation that cannot be written changes nothing, and leaves no file behind."""
    keys = SigningKeys.load_or_create(path, HERE)
    before = path.read_bytes()
    path.with_name("signing.key.old").mkdir()
    with pytest.raises(ConfigError, match=r"signing\.key\.old: cannot be written"):
        keys.rotate(NOW)
    assert path.read_bytes() == before
    assert sorted(it.name for it in path.parent.iterdir()) == ["signing.key", "signing.key.old"]


def test_keys_that_are_lost(path: Path) -> None:
    """A key that is lost becomes an old one, published without its secret; another one signs."""
    lost = SigningKeys.load_or_create(path, HERE)
    path.unlink()
    keys = SigningKeys.retire(path, HERE, lost.public, NOW)
    assert keys == SigningKeys.load(path, HERE)
    assert SigningKeys.retire(path, HERE, lost.public, after(NOW, timedelta(1))) == keys
    assert keys.lacks(lost.public) == {}
    assert SigningKeys(HERE, path, keys.current).lacks(lost.public) == lost.public
    [(key_id, public)] = lost.public.items()
    old = keys.server_keys(NOW, timedelta(hours=1))["old_verify_keys"]
    assert old == {key_id: {"key": public, "expired_ts": NOW}}


def test_a_key_in_the_file_stays(one: Path) -> None:
    """If the file has a key, it signs after another one was lost, even one of the same ID."""
    other = SigningKeys.load_or_create(one.with_name("other.key"), HERE)
    lost = {**other.public, "ed25519:one": other.public[key_id_of(other.signing)]}
    keys = SigningKeys.retire(one, HERE, lost, NOW)
    assert keys.public == {"ed25519:one": PUBLIC}
    assert keys.lacks(lost) == {}
