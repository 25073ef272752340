"""How an operator writes where a Valkey or Redis is."""

import msgspec
import pytest

from lamplighter.cluster.valkey_address import ValkeyAddress, parse_valkey_url
from lamplighter.config.values import parse_bus_url

#: What stands for most of the address where nothing is written.
USUAL = ValkeyAddress("127.0.0.1", 6379, "", False, "", "", "", 0)


def address(**given: str | int | bool) -> ValkeyAddress:
    """Return the usual address with what differs."""
    return msgspec.structs.replace(USUAL, **given)


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("valkeys://bus.example:1/", address(host="bus.example", port=1, encrypted=True)),
        ("redis://127.0.0.1:6379/0", address()),
        ("valkey://bus.example/3", address(host="bus.example", database=3)),
        ("redis://bus.example:1/?db=4", address(host="bus.example", port=1, database=4)),
        ("redis://:s%2Fcret@[::1]:7", address(host="::1", port=7, password="s/cret")),
        (
            "rediss://u:p@bus.example",
            address(host="bus.example", encrypted=True, username="u", password="p"),
        ),
        (
            "rediss://bus.example/1?ssl_ca_certs=/etc/our%20own.pem",
            address(host="bus.example", encrypted=True, database=1, trusted="/etc/our own.pem"),
        ),
        ("unix:///run/valkey.sock", address(host="", path="/run/valkey.sock")),
        ("unix://:p@/run/a%20b?db=2", address(host="", path="/run/a b", password="p", database=2)),
    ],
)
def test_addresses(url: str, written: ValkeyAddress) -> None:
    """Each way of writing an address means what it means elsewhere; each can be configured."""
    assert parse_valkey_url(parse_bus_url(url)) == written


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "must begin with redis://, rediss://, unix://, valkey:// or valkeys://"),
        (
            "http://u:secret@x",
            "must begin with redis://, rediss://, unix://, valkey:// or valkeys://",
        ),
        ("redis://:secret@x/zero", "the database is a number"),
        ("redis://:secret@x/-1", "the database is a number"),
        ("redis://:secret@x:99999", "Port out of range"),
        ("redis://:secret@x:port", "Port could not be cast"),
        ("redis://:secret@x?ssl=no", "there is no ssl; known are db and ssl_ca_certs"),
        ("unix://:secret@", "the path of the socket is missing"),
    ],
)
def test_what_is_no_address(url: str, why: str) -> None:
    """What cannot be used is refused with the reason, and without the password; so it is before."""
    with pytest.raises(ValueError):
        parse_bus_url(url)
    with pytest.raises(ValueError, match=why) as raised:
        parse_valkey_url(url)
    assert "secret" not in str(raised.value)


def test_what_is_shown() -> None:
    """People see the address without the password."""
    assert parse_valkey_url("rediss://u:p@bus.example:1/2").shown == "bus.example:1"
    assert parse_valkey_url("unix://u:p@/run/valkey.sock").shown == "/run/valkey.sock"


def test_greetings() -> None:
    """A connection begins with the password and the database, where there are any."""
    greetings = {
        "redis://x": (),
        "redis://:p@x/": (("AUTH", "p"),),
        "redis://u:p@x/3": (("AUTH", "u", "p"), ("SELECT", 3)),
        "redis:///3": (("SELECT", 3),),
    }
    assert {url: parse_valkey_url(url).greeting() for url in greetings} == greetings
