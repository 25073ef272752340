"""Signed JSON, and the `X-Matrix` header, by which a request proves its origin.

Implements <https://spec.matrix.org/latest/appendices/#signing-json> and
<https://spec.matrix.org/latest/server-server-api/#request-authentication>.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from canonicaljson import encode_canonical_json
from signedjson.sign import SignatureVerifyException, verify_signed_json
from signedjson.sign import sign_json as add_signature
from signedjson.types import SigningKey, VerifyKey

from lamplighter.errors import FederationError, InvalidId
from lamplighter.ids import ServerName, parse_server_name
from lamplighter.ports import Json

__all__ = [
    "BadSignature",
    "XMatrix",
    "authorization_header",
    "canonical_json",
    "key_id_of",
    "parse_authorization",
    "request_object",
    "sign_json",
    "verify",
    "verify_request",
]

#: The greatest length of the header in characters: several times that of two long server names.
MAX_HEADER: Final = 4096
#: The greatest integer that every JSON library can hold.
MAX_INTEGER: Final = 2**53 - 1

_SCHEME: Final = re.compile(r"X-Matrix +", re.IGNORECASE)
#: One `name=value` and the commas before it. Older servers do not quote colons and IPv6 addresses.
#: So an unquoted value is any text that does not contain a separator.
_PARAMETER: Final = re.compile(
    r"""
    [ \t,]*+
    (?P<name> [!\#$%&'*+\-.^_`|~0-9A-Za-z]++ ) [ \t]*+ = [ \t]*+
    (?: " (?P<quoted> (?: [^"\\\x00-\x08\x0a-\x1f\x7f] | \\[^\x00-\x08\x0a-\x1f\x7f] )*+ ) "
      | (?P<plain> [^\x00-\x20",\\\x7f-\U0010ffff]++ ) )
    [ \t]*+ (?= , | \Z )
    """,
    re.VERBOSE,
)
_END: Final = re.compile(r"[ \t,]*\Z")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_KEY_ID: Final = re.compile(r"[0-9A-Za-z_]{1,32}:[0-9A-Za-z_+/=.\-]{1,128}")
_BASE64: Final = re.compile(r"[0-9A-Za-z+/_\-]{1,1024}={0,2}")


class BadSignature(FederationError):
    """The origin is not proved. The message says what is missing, malformed or wrong."""


@dataclass(frozen=True, slots=True)
class XMatrix:
    """The content of an `Authorization: X-Matrix` header."""

    origin: ServerName
    #: None if an older server does not name the destination.
    destination: ServerName | None
    #: The algorithm and the version of the origin's key, such as `ed25519:a_1`.
    key_id: str
    #: In base64.
    signature: str


def canonical_json(value: Any) -> bytes:
    """Return *value* as canonical JSON. A whole number such as `1.0` becomes an integer.

    Raises `ValueError` if *value* has no canonical form: a fraction, an integer of more than 53
    bits, half a surrogate pair, or a nesting too deep.
    """
    return encode_canonical_json(_canonical(value))


def sign_json(value: Mapping[str, Any], server: ServerName, key: SigningKey) -> Json:
    """Return *value* in its canonical form, with a signature of *server* added.

    Raises `ValueError` as `canonical_json` does.
    """
    signed = _canonical({name: it for name, it in value.items() if name != "unsigned"})
    signed = add_signature(signed, server, key)
    return signed | ({"unsigned": value["unsigned"]} if "unsigned" in value else {})


def verify(value: Mapping[str, Any], server: ServerName, key: VerifyKey) -> None:
    """Raise `BadSignature` unless *server* has signed *value* with *key*."""
    # First as *value* is: some servers sign fractions, which canonical JSON does not have.
    for form in (dict, _canonical):
        # The other errors: no canonical JSON, or malformed signatures.
        with suppress(
            SignatureVerifyException, AttributeError, RecursionError, TypeError, ValueError
        ):
            verify_signed_json(form(value), server, key)
            return
    raise BadSignature(f"{server} has not signed this with {key_id_of(key)}")


def request_object(
    *,
    origin: ServerName,
    destination: ServerName,
    method: str,
    uri: str,
    content: Mapping[str, Any] | None = None,
) -> Json:
    """Return the object whose signature signs a request; *uri* is its encoded path and query."""
    request = {"method": method, "uri": uri, "origin": origin, "destination": destination}
    return request if content is None else {**request, "content": content}


def authorization_header(request: Mapping[str, Any], key: SigningKey) -> str:
    """Return the `Authorization` header of *request*, a `request_object`, signed with *key*.

    Raises `ValueError` if the content of *request* has no canonical form.
    """
    origin, destination, key_id = request["origin"], request["destination"], key_id_of(key)
    signature = sign_json(request, origin, key)["signatures"][origin][key_id]
    return (
        f'X-Matrix origin="{origin}",destination="{destination}",key="{key_id}",sig="{signature}"'
    )


def key_id_of(key: SigningKey | VerifyKey) -> str:
    """Return the ID of *key*: algorithm and version."""
    return f"{key.alg}:{key.version}"


def verify_request(request: Mapping[str, Any], authorization: XMatrix, key: VerifyKey) -> None:
    """Raise `BadSignature` unless *authorization* holds a signature of *request* by *key*.

    *request* is a `request_object` made from the received request and this server's name.
    """
    if authorization.key_id != key_id_of(key):
        raise BadSignature(f"This is signed with {authorization.key_id}, not with {key.version}")
    signatures = {authorization.origin: {authorization.key_id: authorization.signature}}
    verify({**request, "signatures": signatures}, authorization.origin, key)


def parse_authorization(text: str) -> XMatrix:
    """Return the content of the header *text*.

    Unknown parameters are ignored. Raises `BadSignature` if *text* is not a valid `X-Matrix`
    header, or gives a parameter twice.
    """
    if len(text) > MAX_HEADER:
        raise BadSignature(f"Authorization: longer than {MAX_HEADER} characters")
    parameters = _parameters(text)
    missing = [name for name in ("origin", "key", "sig") if name not in parameters]
    if missing:
        raise BadSignature(f"Authorization: {missing[0]} is missing")
    if not _KEY_ID.fullmatch(parameters["key"]):
        raise BadSignature("Authorization: key is not algorithm:version")
    if not _BASE64.fullmatch(parameters["sig"]):
        raise BadSignature("Authorization: sig is not base64")
    destination = parameters.get("destination")
    return XMatrix(
        origin=_server_name("origin", parameters["origin"]),
        destination=None if destination is None else _server_name("destination", destination),
        key_id=parameters["key"],
        signature=parameters["sig"],
    )


def _parameters(text: str) -> dict[str, str]:
    """Return the parameters by name, in lower case."""
    scheme = _SCHEME.match(text)
    if scheme is None:
        raise BadSignature("Authorization: the scheme is not X-Matrix")
    parameters: dict[str, str] = {}
    place = scheme.end()
    while not _END.match(text, place):
        found = _PARAMETER.match(text, place)
        if found is None:
            raise BadSignature("Authorization: not a list of name=value, separated by commas")
        name = found["name"].lower()
        if name in parameters:
            raise BadSignature(f"Authorization: {name[:60]} is given twice")
        quoted = found["quoted"]
        parameters[name] = found["plain"] if quoted is None else _ESCAPED.sub(r"\1", quoted)
        place = found.end()
    return parameters


def _server_name(name: str, text: str) -> ServerName:
    try:
        return parse_server_name(text)
    except InvalidId:
        raise BadSignature(f"Authorization: {name} is not a server name") from None


def _canonical(value: Any) -> Any:
    """Return *value* with integers for whole numbers. Raises `ValueError` as `canonical_json`."""
    try:
        return _integral(value)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _integral(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _integral(it) for name, it in value.items()}
    if isinstance(value, list | tuple):
        return [_integral(it) for it in value]
    if isinstance(value, float):
        if not value.is_integer():
            raise ValueError(f"{value} is not an integer")
        value = int(value)
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise ValueError("an integer is longer than 53 bits")
    return value
