"""How clients ask."""

import pytest

from bench.clients import BOT, CLIENTS, ELEMENT, ELEMENT_AWAY, NIO
from bench.matrix import Account, Polls, first_sync_request, put_request
from bench.presets import PRESETS

ALICE = Account(1, "@user1:bench.example", "token")

POLLS = {
    "element": "?filter=f1&timeout=30000&since=s1~2",
    "element-away": "?filter=f1&timeout=30000&set_presence=unavailable&since=s1~2",
    "nio": "?since=s1~2&timeout=30000&set_presence=online&filter=%7B%22presence%22%3A%7B%22types",
    "bot": "?since=s1~2&timeout=30000 HTTP/1.1",
}


@pytest.mark.parametrize("name", CLIENTS)
def test_polls(name: str) -> None:
    """A poll has the parameters of its client, in the client's order, and the token in
    its place.
    """
    client = CLIENTS[name]
    chosen = "f1" if client.uploads else client.filter
    request = Polls(ALICE, client, 30_000, chosen).since("s1~2").decode()
    assert request.startswith(f"GET /_matrix/client/v3/sync{POLLS[name]}")
    assert f"\r\nAuthorization: Bearer token\r\n{client.fields}\r\n" in request


def test_a_filter_in_the_query_is_of_a_usual_length() -> None:
    """The filter that stands in the query of each poll is as long as those of real programs."""
    assert NIO.filter is not None
    assert 400 < len(NIO.filter) < 1_500


def test_what_is_published_agrees_with_the_polls() -> None:
    """A publisher's PUT names the presence of its polls, so the two do not change it in turn."""
    told = {
        it.name: put_request(ALICE, it, "hi").partition(b"\r\n\r\n")[2] for it in CLIENTS.values()
    }
    assert told == {
        "element": b'{"presence": "online", "status_msg": "hi"}',
        "element-away": b'{"presence": "unavailable", "status_msg": "hi"}',
        "nio": b'{"presence": "online", "status_msg": "hi"}',
        "bot": b'{"presence": "online", "status_msg": "hi"}',
    }


def test_first_syncs() -> None:
    """A first sync has Element's filter as JSON, with a limit; a client without one sends none."""
    limited = "%22timeline%22%3A%7B%22unread_thread_notifications%22%3Atrue%2C%22limit%22%3A20%7D"
    assert limited in first_sync_request(ALICE, ELEMENT).decode()
    assert b"sync?timeout=0 HTTP" in first_sync_request(ALICE, BOT)


def test_presets() -> None:
    """Every preset is measured with Element, and fanout-200 with each of the others as well."""
    kinds = {name: preset.load.shape.client for name, preset in PRESETS.items()}
    others = {
        "fanout-200-element-away": ELEMENT_AWAY,
        "fanout-200-nio": NIO,
        "fanout-200-bot": BOT,
    }
    assert kinds == dict.fromkeys(PRESETS, ELEMENT) | others
