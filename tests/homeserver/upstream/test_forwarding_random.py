"""Any request that is HTTP arrives at the homeserver as it was sent."""

import asyncio
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from lamplighter.devtools.clock import FakeClock
from lamplighter.homeserver.upstream.client import UpstreamClient
from lamplighter.homeserver.upstream.forwarding import Forwarding
from lamplighter.web.http.reader import Reader
from lamplighter.web.http.request import Headers, Request
from tests.homeserver.upstream.wires import FakeHomeserver
from tests.web.http.peer import Site, settle

#: They end at this server, besides those that `Connection` names.
END_HERE: Final = frozenset(
    [
        "connection",
        "expect",
        "forwarded",
        "keep-alive",
        "te",
        "trailer",
        "x-forwarded-for",
        "x-real-ip",
    ]
)
#: They say what is known, at the end.
KNOWN: Final = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host")

METHODS = st.sampled_from(
    ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "REPORT"]
)
VISIBLE = [chr(code) for code in range(0x21, 0x7F) if chr(code) not in "#?"]
PATHS = st.text(st.sampled_from(VISIBLE), max_size=30).map("/{}".format)
QUERIES = st.text(st.sampled_from([*VISIBLE, "?"]), min_size=1, max_size=30).map("?{}".format)
TOKEN = st.sampled_from("abcxyzABCXYZ0189!#$%&'*+-.^_`|~")
NAMES = st.one_of(
    st.text(TOKEN, min_size=1, max_size=12).map("y-{}".format),
    st.sampled_from(["X-A", "x-b", "Cookie", "Authorization", "Via", "Accept", *sorted(END_HERE)]),
).filter(lambda it: it.lower() not in ("connection", "expect"))
VALUES = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=20
).map(lambda it: it.strip(" \xa0\x85"))
FIELDS = st.lists(
    st.one_of(
        st.tuples(NAMES, VALUES),
        st.sampled_from(
            [
                ("Connection", "keep-alive"),
                ("connection", "X-A, x-b"),
                ("CONNECTION", "x-a,,host"),
                ("Expect", "100-continue"),
            ]
        ),
    ),
    max_size=12,
)
BODIES = st.one_of(
    st.none(),
    st.binary(max_size=200),
    st.lists(st.binary(min_size=1, max_size=80), max_size=5),
)


@given(METHODS, PATHS, st.one_of(st.just(""), QUERIES), FIELDS, BODIES, st.integers(1, 300))
def test_what_is_sent_arrives(
    method: str,
    path: str,
    query: str,
    fields: list[tuple[str, str]],
    body: bytes | list[bytes] | None,
    piece: int,
) -> None:
    """All of a request arrives, however it comes in, but for the headers about its connection."""
    framing: Headers = []
    sent = b""
    if isinstance(body, bytes):
        framing, sent = [(b"content-length", b"%d" % len(body))], body
    elif body is not None:
        framing = [(b"transfer-encoding", b"chunked")]
        sent = b"".join(b"%x\r\n%b\r\n" % (len(it), it) for it in (*body, b""))
    lines = [f"{method} {path}{query} HTTP/1.1\r\nHost: hs\r\n".encode("latin-1")]
    lines += [f"{name}: {value}\r\n".encode("latin-1") for name, value in fields]
    lines += [b"%b: %b\r\n" % field for field in framing]
    request = asyncio.run(_passed_on(b"".join((*lines, b"\r\n", sent)), piece))

    named = {it.strip().lower() for name, value in fields if name.lower() == "connection"
             for it in value.split(",")} - {"host"}  # fmt: skip
    passed = [
        (name.lower().encode(), value.encode("latin-1"))
        for name, value in fields
        if name.lower() not in END_HERE | named
    ]
    about = list(zip(KNOWN, (b"192.0.2.7", b"http", b"hs"), strict=True))
    assert (request.method, request.target.raw_path, request.target.query) == (
        method,
        path,
        query[1:],
    )
    assert request.headers == [(b"host", b"hs"), *passed, *about, *framing]
    whole = body if isinstance(body, bytes) else b"".join(body or ())
    assert (request.take_body(), request.is_complete) == (whole, True)


async def _passed_on(data: bytes, piece: int) -> Request:
    """Return the request that arrives, and the only one, where *data* is sent in pieces."""
    homeserver, site = FakeHomeserver(), Site()
    upstream = UpstreamClient(homeserver.connect, b"hs.example", FakeClock())
    site.application.handle = Forwarding(upstream, lambda _: False)
    peer = site.peer()
    for start in range(0, len(data), piece):
        peer.send(data[start : start + piece])
        await settle()
    reader = Reader()
    reader.feed(homeserver.wire.received.encode("latin-1"))
    await upstream.close()
    await settle()
    [request] = reader.requests
    return request
