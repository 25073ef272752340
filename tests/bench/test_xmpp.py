"""The stanzas of an XMPP stream."""

from bench.xmpp import Stanza, StanzaParser

HEADER = b"<?xml version='1.0'?><stream:stream xmlns:stream='s' xmlns='jabber:client'>"
PRESENCE = b"<presence from='user1@x/y'><show>away</show><status>1&gt;7</status></presence>"
SUBSCRIBE = b"<presence type='subscribe' from='user2@x'/>"


def test_stanzas_in_pieces() -> None:
    """Stanzas are the same wherever their bytes are cut."""
    data = HEADER + PRESENCE + SUBSCRIBE
    for cut in range(len(data)):
        heard: list[Stanza] = []
        parser = StanzaParser(heard.append)
        parser.feed(data[:cut])
        parser.feed(data[cut:])
        assert heard == [
            Stanza("presence", {"from": "user1@x/y"}, "1>7"),
            Stanza("presence", {"type": "subscribe", "from": "user2@x"}, ""),
        ]
