"""Signed JSON and the `X-Matrix` header: the specification's examples, and random ones."""

import base64
import json
import string
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signedjson.key import decode_signing_key_base64, get_verify_key

from lamplighter.federation.signing import (
    MAX_HEADER,
    BadSignature,
    XMatrix,
    authorization_header,
    canonical_json,
    parse_authorization,
    request_object,
    sign_json,
    verify,
    verify_request,
)
from lamplighter.ids import ServerName

#: The seed, the name and the version of <https://spec.matrix.org/latest/appendices/#signing-key>.
KEY: Final = decode_signing_key_base64(
    "ed25519", "1", "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1"
)
OTHER_KEY: Final = decode_signing_key_base64("ed25519", "1", "A" * 43)
PUBLIC: Final = get_verify_key(KEY)
OTHER_PUBLIC: Final = get_verify_key(OTHER_KEY)
DOMAIN: Final = ServerName("domain")
HERE: Final = ServerName("here.example")
THERE: Final = ServerName("there.example:8448")

#: <https://spec.matrix.org/latest/appendices/#json-signing>
SIGNED: Final[list[dict[str, Any]]] = [
    {
        "signatures": {
            "domain": {
                "ed25519:1": "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76L"
                "Trr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"
            }
        }
    },
    {
        "one": 1,
        "signatures": {
            "domain": {
                "ed25519:1": "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoq"
                "E7BP7vBZhG6kYdD13EIMJpvhJI+6Bw"
            }
        },
        "two": "Two",
    },
]
NOT_SIGNATURES: Final[list[object]] = [None, 1, "", "é", "AAA", "A" * 86, "!", []]

texts = st.text(string.printable, max_size=40)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("{}", "{}"),
        ('{"one": 1, "two": "Two"}', '{"one":1,"two":"Two"}'),
        ('{"b": "2", "a": "1"}', '{"a":"1","b":"2"}'),
        (
            """{"auth": {"success": true, "mxid": "@john.doe:example.com", "profile": {
                "display_name": "John Doe", "three_pids": [
                    {"medium": "email", "address": "john.doe@example.org"},
                    {"medium": "msisdn", "address": "123456789"}]}}}""",
            '{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe",'
            '"three_pids":[{"address":"john.doe@example.org","medium":"email"},'
            '{"address":"123456789","medium":"msisdn"}]},"success":true}}',
        ),
        ('{"a": "日本語"}', '{"a":"日本語"}'),
        ('{"本": 2, "日": 1}', '{"日":1,"本":2}'),
        (r'{"a": "\u65E5"}', '{"a":"日"}'),
        ('{"a": null}', '{"a":null}'),
        ('{"a": -0, "b": 1e10}', '{"a":0,"b":10000000000}'),
        (r'{"a": "\u0000\u000b\t\u007f\/\""}', '{"a":"\\u0000\\u000b\\t\x7f/\\""}'),
        ("[9007199254740991, -9007199254740991]", "[9007199254740991,-9007199254740991]"),
        ("[-0.0, 2.0, true]", "[0,2,true]"),
    ],
)
def test_canonical_json(text: str, canonical: str) -> None:
    """The canonical form of JSON is that of the specification's examples."""
    assert canonical_json(json.loads(text)) == canonical.encode()


@pytest.mark.parametrize(
    "text", ["0.5", "1e400", "NaN", "9007199254740992", "[-9007199254740992]", r'"\ud800"']
)
def test_no_canonical_form(text: str) -> None:
    """A value without a canonical form is a `ValueError`."""
    with pytest.raises(ValueError):
        canonical_json(json.loads(text))


def test_no_canonical_form_of_the_abyss() -> None:
    """A value that is nested too deeply is a `ValueError`."""
    abyss: list[Any] = []
    for _ in range(100_000):
        abyss = [abyss]
    with pytest.raises(ValueError, match="nested too deeply"):
        canonical_json(abyss)
    with pytest.raises(BadSignature):
        verify({"abyss": abyss, **SIGNED[0]}, DOMAIN, PUBLIC)


@pytest.mark.parametrize("signed", SIGNED)
def test_the_specifications_signatures(signed: dict[str, Any]) -> None:
    """Signing gives the signatures of the specification's examples, which are verified."""
    bare = {name: value for name, value in signed.items() if name != "signatures"}
    assert sign_json(bare, DOMAIN, KEY) == signed
    verify(signed, DOMAIN, PUBLIC)


def test_other_signatures_stay() -> None:
    """Signing does not change its argument, other signatures, or `unsigned`."""
    value = {"two": "Two", "one": 1, "unsigned": {"age": 0.5}, "signatures": {"x": {"a:b": "c"}}}
    before = json.dumps(value)
    signed = sign_json(value, DOMAIN, KEY)
    assert json.dumps(value) == before
    assert signed == value | {"signatures": {"x": {"a:b": "c"}} | SIGNED[1]["signatures"]}
    verify(signed, DOMAIN, PUBLIC)


def test_what_is_signed_counts() -> None:
    """A signature verifies only its value, its server and its key."""
    signed = SIGNED[1]
    for value, server, key in (
        (signed | {"one": 2}, DOMAIN, PUBLIC),
        (signed | {"three": 3}, DOMAIN, PUBLIC),
        (signed, HERE, PUBLIC),
        (signed, DOMAIN, OTHER_PUBLIC),
    ):
        with pytest.raises(BadSignature, match=f"^{server} has not signed this with ed25519:1$"):
            verify(value, server, key)


@pytest.mark.parametrize(
    "signatures",
    [
        *(None, 1, "domain", [], {}, {"domain": None}, {"domain": []}, {"domain": "ed25519:1"}),
        *({"domain": {"ed25519:1": it}} for it in NOT_SIGNATURES),
    ],
)
def test_signatures_of_another_shape(signatures: object) -> None:
    """Malformed signatures are a `BadSignature`."""
    with pytest.raises(BadSignature):
        verify({"one": 1, "signatures": signatures}, DOMAIN, PUBLIC)


def test_numbers_of_others() -> None:
    """A signature of a value without a canonical form, or of an integer sent as 1e10, is valid."""
    for value in ({"n": 0.5}, {"n": 1.0}, {"n": 2**60}):
        encoded = json.dumps(value, separators=(",", ":")).encode()
        signature = base64.b64encode(KEY.sign(encoded).signature).decode().rstrip("=")
        verify({**value, "signatures": {"domain": {"ed25519:1": signature}}}, DOMAIN, PUBLIC)
    signed = sign_json({"n": 10_000_000_000}, DOMAIN, KEY)
    verify({**signed, "n": 1e10}, DOMAIN, PUBLIC)


@pytest.mark.parametrize("content", [None, {}, {"one": 1, "two": "Two"}])
def test_a_signed_request(content: dict[str, Any] | None) -> None:
    """The header of a request verifies that request, and no other.

    The header has one space, lower-case names, quotes, and no white space at commas, as older
    servers need it.
    """
    request: dict[str, Any] = {
        "origin": HERE,
        "destination": THERE,
        "method": "PUT",
        "uri": "/_matrix/federation/v1/send/1?a=b%20c",
        "content": content,
    }
    header = authorization_header(request_object(**request), KEY)
    said = parse_authorization(header)
    assert header == (
        f'X-Matrix origin="{HERE}",destination="{THERE}",key="ed25519:1",sig="{said.signature}"'
    )
    verify_request(request_object(**request), said, PUBLIC)
    changes: list[dict[str, Any]] = [
        {"origin": THERE},
        {"destination": HERE},
        {"method": "POST"},
        {"uri": "/_matrix/federation/v1/send/2?a=b%20c"},
        *({"content": it} for it in (None, {}, {"one": 2}) if it != content),
    ]
    for change in changes:
        with pytest.raises(BadSignature):
            verify_request(request_object(**request | change), said, PUBLIC)
    with pytest.raises(BadSignature):
        verify_request(request_object(**request), said, OTHER_PUBLIC)
    with pytest.raises(BadSignature, match=r"^This is signed with ed25519:2, not with 1$"):
        verify_request(request_object(**request), replace(said, key_id="ed25519:2"), PUBLIC)


@pytest.mark.parametrize(
    "text",
    [
        'X-Matrix origin="a",key="ed25519:1",sig="AA",destination="b:1"',
        "X-Matrix origin=a,destination=b:1,key=ed25519:1,sig=AA",
        "x-mAtRiX   SIG=AA , Key=ed25519:1\t,\tDESTINATION=b:1,,oRigin = a ,",
        r'X-Matrix origin="\a",destination="b\:1",key="ed25519:1",sig="A\A",other="\"\\,"',
        'X-Matrix origin=a,destination="b:1",key="ed25519:1",sig="AA",signature=x,z=""',
    ],
)
def test_ways_to_write_the_header(text: str) -> None:
    """Order, case, quotes, escapes, white space and unknown parameters make no difference."""
    expected = XMatrix(ServerName("a"), ServerName("b:1"), "ed25519:1", "AA")
    assert parse_authorization(text) == expected


@pytest.mark.parametrize("name", ["here.example", "x:8448", "[::1]:8448", "1.2.3.4", "A-b.c"])
def test_names_in_the_header(name: str) -> None:
    """Any server name may be quoted or not, and the destination may be missing."""
    expected = XMatrix(ServerName(name), None, "b:c", "AA+/")
    for origin in (name, f'"{name}"'):
        assert parse_authorization(f"X-Matrix key=b:c,origin={origin},sig=AA+/") == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "the scheme is not X-Matrix"),
        ("X-Matrix", "the scheme is not X-Matrix"),
        ("Bearer origin=a,key=b:c,sig=AA", "the scheme is not X-Matrix"),
        ("X-Matrix ", "origin is missing"),
        ("X-Matrix key=b:c,sig=AA", "origin is missing"),
        ("X-Matrix origin=a,sig=AA", "key is missing"),
        ("X-Matrix origin=a,key=b:c", "sig is missing"),
        ("X-Matrix origin=a,key=b:c,sig=AA,Origin=a", "origin is given twice"),
        ("X-Matrix origin=a,key=b:c,sig=AA x", "not a list of name=value, separated by commas"),
        ("X-Matrix origin", "not a list of name=value, separated by commas"),
        ('X-Matrix origin="a', "not a list of name=value, separated by commas"),
        ('X-Matrix origin="a\\', "not a list of name=value, separated by commas"),
        ('X-Matrix origin="a"b', "not a list of name=value, separated by commas"),
        ('X-Matrix origin="a\nb"', "not a list of name=value, separated by commas"),
        ('X-Matrix origin="",key=b:c,sig=AA', "origin is not a server name"),
        ('X-Matrix origin="a b",key=b:c,sig=AA', "origin is not a server name"),
        ("X-Matrix origin=a,destination=_,key=b:c,sig=AA", "destination is not a server name"),
        (f"X-Matrix origin={'a' * 256},key=b:c,sig=AA", "origin is not a server name"),
        ("X-Matrix origin=a,key=b,sig=AA", "key is not algorithm:version"),
        (f"X-Matrix origin=a,key=b:{'c' * 129},sig=AA", "key is not algorithm:version"),
        ('X-Matrix origin=a,key=b:c,sig=""', "sig is not base64"),
        ("X-Matrix origin=a,key=b:c,sig=A*A", "sig is not base64"),
        (f"X-Matrix {'a' * MAX_HEADER}", f"longer than {MAX_HEADER} characters"),
    ],
)
def test_a_header_that_proves_nothing(text: str, fault: str) -> None:
    """A malformed header is a `BadSignature` with the reason."""
    with pytest.raises(BadSignature) as raised:
        parse_authorization(text)
    assert str(raised.value) == f"Authorization: {fault}"


@given(
    st.text()
    | texts
    | texts.map(lambda text: f"X-Matrix {text}")
    | st.builds("X-Matrix origin={},key={},sig={}".format, texts, texts, texts)
)
def test_any_header(text: str) -> None:
    """Any text is either a header or a `BadSignature`."""
    try:
        said = parse_authorization(text)
    except BadSignature:
        return
    assert parse_authorization(
        f'X-Matrix origin="{said.origin}",key="{said.key_id}",sig="{said.signature}"'
    ) == XMatrix(said.origin, None, said.key_id, said.signature)
