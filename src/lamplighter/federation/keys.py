"""This server's own signing keys: stored in a file, published, and rotated.

The file has Synapse's format. Each line holds one key as `ed25519 <version> <unpadded base64 of
the seed>`, and the first key signs. The file `<file>.old` holds keys that no longer sign, as
`ed25519 <version> <expired_ts> <unpadded base64 of the public key>`, without any secret.

Implements <https://spec.matrix.org/latest/server-server-api/#publishing-keys>.
"""

import os
import secrets
import string
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from signedjson.key import (
    NACL_ED25519,
    decode_signing_key_base64,
    decode_verify_key_base64,
    encode_signing_key_base64,
    encode_verify_key_base64,
    generate_signing_key,
    get_verify_key,
)
from signedjson.types import SigningKey

from lamplighter.clock import Timestamp, after
from lamplighter.errors import ConfigError
from lamplighter.federation.signing import key_id_of, sign_json
from lamplighter.ids import ServerName
from lamplighter.ports import Json

__all__ = ["OldKey", "SigningKeys"]

_LETTERS: Final = string.ascii_letters + string.digits
_KEY_LINE: Final = "ed25519 <version> <base64>"
_OLD_LINE: Final = "ed25519 <version> <expired_ts> <base64>"


@dataclass(frozen=True, slots=True)
class OldKey:
    """A key that signed until `expired_ts`. Signatures from before then stay valid."""

    key_id: str
    #: Unpadded base64 of the public key.
    public: str
    expired_ts: Timestamp


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The keys of this server. There is at least one current key; `current[0]` signs."""

    server_name: ServerName
    path: Path
    current: tuple[SigningKey, ...]
    old: tuple[OldKey, ...] = ()

    @classmethod
    def load(cls, path: Path, server_name: ServerName) -> "SigningKeys":
        """Return the keys in the file *path*, and the old keys in the file beside it.

        Raises `ConfigError` if a file cannot be read, or does not hold keys.
        """
        current: list[SigningKey] = []
        for number, words in _lines(path):
            try:
                algorithm, version, seed = words
                current.append(decode_signing_key_base64(algorithm, version, seed))
            except Exception:  # noqa: BLE001 - base64 and PyNaCl each raise errors of their own
                # The message must not show the line, which may hold a secret.
                problem = f"line {number} is not a signing key: {_KEY_LINE}"
                raise ConfigError(f"{path}: {problem}") from None
        if not current:
            raise ConfigError(f"{path}: holds no signing key; a line is {_KEY_LINE}")
        ours = {(key_id_of(key), _public(key)) for key in current}
        # An interrupted rotation leaves a key in both files. The key still signs.
        old = [it for it in _old_keys(path) if (it.key_id, it.public) not in ours]
        return cls(server_name, path, tuple(current), tuple(old))

    @classmethod
    def load_or_create(cls, path: Path, server_name: ServerName) -> "SigningKeys":
        """Return the keys in the file *path*. Creates the file, with a new key, if there is none.

        Only the owner may read a new file. Raises `ConfigError` as `load` does, and if the file
        cannot be written.
        """
        if not path.exists():
            # Of two processes at once one makes the key, and the other one reads it.
            _write_secret(path, _key_lines([_new_key()]), is_first=True)
        return cls.load(path, server_name)

    @classmethod
    def retire(
        cls, path: Path, server_name: ServerName, public: Mapping[str, str], now: Timestamp
    ) -> "SigningKeys":
        """Let *public* keys, which are lost, be old ones, in the file as well; return the result.

        The keys in the file *path* sign, or a new one if there is no file. Raises `ConfigError` as
        `load_or_create` does.
        """
        old = _old_keys(path)
        known = {(it.key_id, it.public) for it in old}
        old += [OldKey(*it, now) for it in public.items() if it not in known]
        _write_secret(_old_path(path), _old_lines(old))
        return cls.load_or_create(path, server_name)

    @property
    def signing(self) -> SigningKey:
        """The key that signs."""
        return self.current[0]

    @property
    def public(self) -> Mapping[str, str]:
        """The public halves of the current keys, in base64, by key ID."""
        return {key_id_of(key): _public(key) for key in self.current}

    def lacks(self, public: Mapping[str, str]) -> Mapping[str, str]:
        """Return those of the *public* keys that neither sign nor are old, by key ID."""
        ours = {*self.public.items(), *((it.key_id, it.public) for it in self.old)}
        return {key_id: key for key_id, key in public.items() if (key_id, key) not in ours}

    def rotate(self, now: Timestamp) -> "SigningKeys":
        """Replace the current keys by a new key, in the file as well, and return the result.

        Raises `ConfigError` if a file cannot be written. Then the current keys stay in force.
        """
        retired = [OldKey(key_id_of(key), _public(key), now) for key in self.current]
        fresh = _new_key()
        old = (*self.old, *retired)
        # The old keys first: no key may be lost if the process dies between the two writes.
        _write_secret(_old_path(self.path), _old_lines(old))
        _write_secret(self.path, _key_lines([fresh]))
        return replace(self, current=(fresh,), old=old)

    def server_keys(self, now: Timestamp, validity: timedelta) -> Json:
        """Return the signed answer to `GET /_matrix/key/v2/server`, valid for *validity*."""
        content: Json = {
            "server_name": self.server_name,
            "valid_until_ts": after(now, validity),
            "verify_keys": {key_id: {"key": key} for key_id, key in self.public.items()},
            "old_verify_keys": {
                key.key_id: {"key": key.public, "expired_ts": key.expired_ts} for key in self.old
            },
        }
        for key in self.current:
            content = sign_json(content, self.server_name, key)
        return content


def _public(key: SigningKey) -> str:
    return encode_verify_key_base64(get_verify_key(key))


def _new_key() -> SigningKey:
    return generate_signing_key("a_" + "".join(secrets.choice(_LETTERS) for _ in range(6)))


def _old_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.old")


def _old_keys(path: Path) -> list[OldKey]:
    """Return the old keys in the file beside *path*; none if there is no file."""
    beside, old = _old_path(path), list[OldKey]()
    for number, words in _lines(beside) if beside.exists() else ():
        try:
            algorithm, version, expired_ts, public = words
            decode_verify_key_base64(algorithm, version, public)
            old.append(OldKey(f"{algorithm}:{version}", public, Timestamp(int(expired_ts))))
        except Exception:  # noqa: BLE001 - base64 and PyNaCl each raise errors of their own
            problem = f"line {number} is not an old key: {_OLD_LINE}"
            raise ConfigError(f"{beside}: {problem}") from None
    return old


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Return the number and the words of each line that is not empty."""
    try:
        text = path.read_text(encoding="ascii")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a file of keys; a line is {_KEY_LINE}") from None
    numbered = enumerate(text.splitlines(), start=1)
    return [(number, words) for number, line in numbered if (words := line.split())]


def _key_lines(keys: Sequence[SigningKey]) -> str:
    return "".join(
        f"{NACL_ED25519} {key.version} {encode_signing_key_base64(key)}\n" for key in keys
    )


def _old_lines(keys: Sequence[OldKey]) -> str:
    return "".join(f"{it.key_id.replace(':', ' ')} {it.expired_ts} {it.public}\n" for it in keys)


def _write_secret(path: Path, text: str, *, is_first: bool = False) -> None:
    """Write *text* to the file *path* atomically. Only the owner may read the file.

    With *is_first*, a file that is there already stays.
    """
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        # `Path.open` sets no mode, and the file must not be readable by others at any time.
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if is_first:
            with suppress(FileExistsError):
                path.hardlink_to(beside)
            beside.unlink()
        else:
            beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
