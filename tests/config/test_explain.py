"""No error about a configuration repeats a secret."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from msgspec import inspect

from lamplighter.config import Config, parse_config_text
from lamplighter.config.explain import is_secret, quoted
from lamplighter.errors import ConfigError

SECRET = "hunter2hunter2"
#: Values that an operator may paste.
PASTED: list[Any] = [
    SECRET,
    [SECRET],
    {SECRET: 1},
    {"x": SECRET},
    {"x": [SECRET]},
    [[SECRET]],
]
#: Names of keys with secrets, in our configuration, in Synapse's, and in modules' own.
SECRET_KEYS = [
    "token_hash",
    "access_token",
    "macaroon_secret_key",
    "registration_shared_secret",
    "form_secret",
    "turn_shared_secret",
    "recaptcha_private_key",
    "worker_replication_secret",
    "password",
    "smtp_pass_or_password",
    "passphrase",
    "pepper",
    "api_key",
    "apikey",
    "client_secret",
    "Authorization",
    "cookie",
    "credentials",
]


def keys(kind: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of each key and section of the configuration."""
    while isinstance(kind, inspect.Metadata | inspect.UnionType):
        kind = kind.type if isinstance(kind, inspect.Metadata) else kind.types[0]
    if path:
        yield path
    if isinstance(kind, inspect.StructType):
        for field in kind.fields:
            yield from keys(field.type, (*path, field.encode_name))


EVERY_KEY = list(keys(inspect.type_info(Config)))


def refusal(content: object) -> str:
    """Return the error of a configuration; an empty text if there is none."""
    try:
        parse_config_text(yaml.safe_dump(content), Path("lamplighter.yaml"))
    except ConfigError as error:
        return str(error)
    return ""


def nested(path: tuple[str, ...], value: object) -> dict[str, Any]:
    """Return a configuration with *value* at *path*."""
    content: Any = value
    for step in reversed(path):
        content = {step: content}
    return {"server_name": "example.org", **content}


@pytest.mark.parametrize("path", EVERY_KEY, ids=".".join)
def test_a_token_of_ours_is_shown_nowhere(path: tuple[str, ...]) -> None:
    """An admin token at any key, in any shape, is not repeated."""
    token = "lamp_" + "h7Qz-3_x" * 5
    for value in (token, [token], {token: 1}, {"x": token}, f"Bearer {token}"):
        assert token not in refusal(nested(path, value))


@pytest.mark.parametrize("path", [it for it in EVERY_KEY if is_secret(it[-1]) or it[0] == "admin"])
@pytest.mark.parametrize("value", PASTED, ids=str)
def test_values_of_secret_keys_are_not_shown(path: tuple[str, ...], value: object) -> None:
    """No value at a key for a secret is repeated."""
    said = refusal(nested(path, value))
    assert SECRET not in said.replace(f'unknown key; "{SECRET}"', "")


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_secret_keys_inside_of_values(key: str) -> None:
    """In a mapping that is repeated, the values of its secret keys are hidden."""
    assert is_secret(key)
    assert SECRET not in quoted({key: SECRET, "x": [{key: [SECRET]}]})
    for content in ({key: SECRET}, {"modules": {key: SECRET}}, {"listen": [{key: SECRET}]}):
        assert SECRET not in refusal({"server_name": "example.org", **content})


@pytest.mark.parametrize(
    "line",
    [
        "password: *hunter2hunter2",
        "password: !hunter2hunter2 x",
        "password: @hunter2hunter2",
        "password: %hunter2hunter2",
        "password: `hunter2hunter2`",
        "password: 'hunter2hunter2",
        'password: "\\hunter2hunter2"',
        "password: [hunter2hunter2",
        "password: {hunter2hunter2",
        "password: |hunter2hunter2",
        "password: !!int hunter2hunter2",
        "password: !!float hunter2hunter2",
        "password: !!bool hunter2hunter2",
        "password: !!timestamp hunter2hunter2",
        "password: !!binary hunter2hunter2é",
        "password: x: hunter2hunter2",
        "password: &hunter2hunter2 1\nx: &hunter2hunter2 2",
        "%TAG hunter2hunter2 x",
    ],
)
def test_what_is_not_yaml_is_not_shown(line: str) -> None:
    """The error for a password that is not valid YAML has its place, and not the password."""
    with pytest.raises(ConfigError, match="not YAML") as raised:
        parse_config_text(f"{line}\n", Path("lamplighter.yaml"))
    assert SECRET not in str(raised.value)


def test_a_password_in_a_url() -> None:
    """The user and password in a URL are hidden; the rest is repeated."""
    said = refusal(nested(("public_baseurl",), f"ftp://alice:{SECRET}@example.org/"))
    assert 'public_baseurl: "ftp://[hidden]@example.org/" is not allowed' in said


def test_everything_else_is_shown() -> None:
    """Other values are repeated."""
    assert '"soon"' in refusal(nested(("presence", "idle_timeout"), "soon"))
    assert msgspec.json.decode(quoted({"a": ["b", 1]})) == {"a": ["b", 1]}
