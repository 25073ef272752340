"""Durations, sizes and addresses."""

from datetime import timedelta

import pytest

from lamplighter.config.values import (
    Address,
    parse_address,
    parse_database_url,
    parse_duration,
    parse_homeserver_url,
    parse_size,
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("1h", timedelta(hours=1)),
        ("2 d", timedelta(days=2)),
        ("1500", timedelta(milliseconds=1500)),
        (1500, timedelta(milliseconds=1500)),
    ],
)
def test_durations(written: str | int, meant: timedelta) -> None:
    """A duration is a number with a unit; without a unit it is in milliseconds."""
    assert parse_duration(written) == meant


@pytest.mark.parametrize(
    "written", ["", "s", "5w", "-1s", "1.5s", "0s", "٣s", "5s ", True, None, 0, -1]
)
def test_not_durations(written: object) -> None:
    """Any other text, and a duration of 0, is refused."""
    with pytest.raises(ValueError):
        parse_duration(written)


@pytest.mark.parametrize(
    ("written", "meant"), [("1KB", 1_000), ("64MB", 64_000_000), ("2 GB", 2e9)]
)
def test_sizes(written: str, meant: int) -> None:
    """A size is a number with a unit, and is written with the largest unit that fits."""
    size = parse_size(written)
    assert (size, str(size)) == (meant, written.replace(" ", ""))


@pytest.mark.parametrize("written", ["", "0MB", "64", 64, "1.5MB", "-1KB", "1TB", None, "1MB "])
def test_not_sizes(written: object) -> None:
    """Any other text, and a size of 0, is refused."""
    with pytest.raises(ValueError):
        parse_size(written)


@pytest.mark.parametrize("text", ["1ms", "1500ms", "90s", "5m", "36h", "2d"])
def test_a_duration_is_shown_as_it_is_written(text: str) -> None:
    """A duration is written with the longest unit that fits, and can be read again."""
    assert str(parse_duration(text)) == text


@pytest.mark.parametrize(
    ("written", "host", "port"),
    [
        ("127.0.0.1:8008", "127.0.0.1", 8008),
        ("Example.org:80", "example.org", 80),
        ("[::1]:8448", "::1", 8448),
        ("[0:0:0::1]:8448", "::1", 8448),
    ],
)
def test_addresses(written: str, host: str, port: int) -> None:
    """An address is a host and a port; an IPv6 address is in brackets."""
    address = parse_address(written)
    assert (address.host, address.port) == (host, port)


def test_addresses_that_mean_the_same_are_equal() -> None:
    """Two notations of the same address are equal."""
    assert parse_address("[0::0:1]:1") == parse_address("[::1]:1") == Address("[::1]:1")


@pytest.mark.parametrize(
    "written",
    ["", "8008", ":8008", "a", "a:", "a:0", "a:65536", "::1:8008", "[x]:1", "a b:1", 8008],
)
def test_not_addresses(written: object) -> None:
    """Any text that is not a host with a port is refused."""
    with pytest.raises(ValueError):
        parse_address(written)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("postgresql://lamp:pa%2Fss@db.example.org/lamplighter", "lamp@db.example.org/lamplighter"),
        ("postgres://db:5433/x?sslmode=require", "db:5433/x"),
        ("postgresql://lamp:pw@[::1]:5432/x", "lamp@[::1]:5432/x"),
        ("postgresql://lamp@/x?host=/run/postgresql&password=pw", "lamp@/run/postgresql/x"),
        ("postgresql:///x", "/x"),
    ],
)
def test_databases(written: str, shown: str) -> None:
    """A database is the URL of PostgreSQL's own tools; people are shown it without a password."""
    url = parse_database_url(written)
    assert (str(url), url.shown, repr(url)) == (written, shown, f"<{shown}>")


@pytest.mark.parametrize(
    "written",
    [
        "",
        7,
        None,
        "lamplighter.db",
        "sqlite:///x.db",
        "mysql://db/x",
        "postgresql+asyncpg://db/x",
        "postgresql://db",
        "postgresql://db/",
        "postgresql://db:port/x",
        "postgresql://lamp:pa/ss@db/x",
        "postgresql://lamp:pa@ss@db/x",
        "postgresql://lamp:pa#ss@db/x",
        "postgresql://lamp:pa?ss@db/x",
        "postgresql://lamp:pa ss@db/x",
    ],
)
def test_not_databases(written: object) -> None:
    """Another URL, and one with a password that is not escaped, is refused."""
    with pytest.raises(ValueError):
        parse_database_url(written)


@pytest.mark.parametrize(
    ("written", "meant", "address", "is_tls", "socket"),
    [
        ("http://127.0.0.1:8018", "http://127.0.0.1:8018", "127.0.0.1:8018", False, None),
        ("HTTP://Syn_1.lan/", "http://syn_1.lan:80", "syn_1.lan:80", False, None),
        ("https://hs.example", "https://hs.example:443", "hs.example:443", True, None),
        ("https://[0::1]:8448/", "https://[::1]:8448", "[::1]:8448", True, None),
        ("unix:/run/s.sock", "unix:/run/s.sock", "localhost:80", False, "/run/s.sock"),
        ("unix:///run/s.sock", "unix:/run/s.sock", "localhost:80", False, "/run/s.sock"),
    ],
)
def test_homeservers(
    written: str, meant: str, address: str, is_tls: bool, socket: str | None
) -> None:
    """A homeserver is at a host and a port, with or without TLS, or at a Unix socket."""
    url = parse_homeserver_url(written)
    assert (url, url.address, url.is_tls, url.socket) == (meant, address, is_tls, socket)


@pytest.mark.parametrize(
    "written",
    [
        "",
        7,
        "hs.example",
        "ftp://hs.example",
        "http://",
        "http://hs.example:0",
        "http://hs.example:65536",
        "http://hs.example/_matrix",
        "http://hs.example?a",
        "http://user:pw@hs.example",
        "http://hs example",
        "http://hs..example",
        "http://[::x]",
        "unix:s.sock",
        "unix:/run/",
        f"unix:/{107 * 'a'}",
    ],
)
def test_not_homeservers(written: object) -> None:
    """A URL with more than a host and a port, and a path that no socket can have, is refused."""
    with pytest.raises(ValueError):
        parse_homeserver_url(written)
