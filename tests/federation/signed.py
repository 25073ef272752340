"""Keys and requests of other servers, signed with `signedjson` and without the server's code."""

from typing import Any

from signedjson.key import encode_verify_key_base64, get_verify_key
from signedjson.sign import sign_json
from signedjson.types import SigningKey


def public(key: SigningKey) -> str:
    """Return the public half of *key*, as it is published."""
    return encode_verify_key_base64(get_verify_key(key))


def key_id(key: SigningKey) -> str:
    """Return the ID of *key*."""
    return f"{key.alg}:{key.version}"


def published(
    server: str,
    *keys: SigningKey,
    until: object,
    signed_by: tuple[SigningKey, ...] | None = None,
    **others: object,
) -> dict[str, Any]:
    """Return *keys* as *server* publishes them, signed by each of them, or by *signed_by*."""
    content: dict[str, Any] = {
        "server_name": server,
        "valid_until_ts": until,
        "verify_keys": {key_id(key): {"key": public(key)} for key in keys},
        "old_verify_keys": {},
        **others,
    }
    for key in keys if signed_by is None else signed_by:
        content = sign_json(content, server, key)
    return content


def signature(
    origin: str, destination: str, method: str, uri: str, content: object, key: SigningKey
) -> str:
    """Return the signature of a request; *content* is None for a request without a body."""
    request = {"method": method, "uri": uri, "origin": origin, "destination": destination}
    signed = request if content is None else {**request, "content": content}
    value: str = sign_json(signed, origin, key)["signatures"][origin][key_id(key)]
    return value
