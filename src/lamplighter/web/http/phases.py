"""What becomes of a connection: the table.

A connection serves one client. The client sends requests, and the server answers them one after
the other, in the order in which they came. HTTP calls that a request-response cycle. Three things
make it more than a loop: a client may send the next request before it has its answer (pipelining),
it may close its half of the connection and still read (a half-close), and it may stop reading.

The state of a connection is its *phase*. What happens to it is an *event*. The table says for each
phase and event what the next phase is, and which *action* the server takes then.

In READING, BLOCKED and LINGERING no request is being answered. READING takes up the next request
at once. BLOCKED takes up none, because the client has not read the last answer: otherwise a client
that only sends could fill the server's memory with answers. LINGERING has said everything and
closed its own half, while the client still sends; to close both halves on a client that sends would
make its machine throw away the answer before the client has read it. So what the client sends is
dropped, for a while.

In ANSWERING another request may follow; in ANSWERING_LAST none can, and the connection ends with
the answer. A connection becomes ANSWERING_LAST by a request that says so (`Connection: close`, or
HTTP/1.0), by a client that closes its half when it has nothing else queued, by a server that stops,
and by an answer that is given before all of its request has come.

For example, a client sends two polls at once and then closes its half:

    READING         REQUEST       ANSWERING       ANSWER   the first waits, the second is queued
    (the client closes its half; a request is queued, so that is no CLIENT_DONE yet)
    ANSWERING       ANSWERED      READING         GO_ON    the first poll has its answer
    READING         LAST_REQUEST  ANSWERING_LAST  ANSWER   the second poll waits; nothing can follow
    ANSWERING_LAST  ANSWERED      CLOSING         CLOSE    the second poll has its answer

Rule 1: only this file decides the phase of a connection.
Rule 2: this file knows neither bytes nor time. `connection.py` turns what happens into events, and
        actions into calls of the transport.
Rule 3: a pair that is absent from the table changes nothing.
"""

from enum import IntEnum
from typing import Final, NamedTuple, TypeAlias

__all__ = ["CONNECTION_TRANSITIONS", "Action", "Event", "Phase", "Transition", "next_step"]


# They are integers, so that a look into the table calls no Python function: polls are many.
class Phase(IntEnum):
    """What a connection is at."""

    #: No request is being answered; the next one is taken up as soon as it is there.
    READING = 0
    #: A request is being answered, and another one may follow.
    ANSWERING = 1
    #: A request is being answered, and the connection ends with the answer.
    ANSWERING_LAST = 2
    #: Everything is answered, but the client has not read all of it; no request is taken up.
    BLOCKED = 3
    #: Everything is said, and the server's half is closed; what the client still sends is dropped.
    LINGERING = 4
    #: The transport closes once the client has taken what is to be sent.
    CLOSING = 5
    #: The connection is gone.
    CLOSED = 6


class Event(IntEnum):
    """What happens to a connection."""

    #: A request is taken up, and another one may follow.
    REQUEST = 0
    #: A request is taken up behind which no other is read.
    LAST_REQUEST = 1
    #: What comes next in the order of the requests is not HTTP, or exceeds a limit.
    UNREADABLE = 2
    #: The answer that is being given says that the connection ends with it.
    END_ANNOUNCED = 3
    #: The answer is complete, and so is its request.
    ANSWERED = 4
    #: The same, but the client has not read all of the answer.
    ANSWERED_UNREAD = 5
    #: The answer is complete before its request is: the rest of the request is not wanted.
    ANSWERED_EARLY = 6
    #: The answer never will be complete.
    BROKEN_OFF = 7
    #: The client has read what was sent.
    READ = 8
    #: The client sends nothing more, and none of its requests is queued; it may still read.
    CLIENT_DONE = 9
    #: The client sends nothing more and reads nothing more.
    CLIENT_GONE = 10
    #: The client has taken too long to send a request.
    SLOW = 11
    #: The client has taken too long to read, or to close its half, or has sent too much meanwhile.
    STUCK = 12
    #: The server stops.
    STOP = 13
    #: There is no connection any more.
    LOST = 14
    #: The server stops, and takes no new connection.
    TOO_LATE = 15


class Action(IntEnum):
    """What the server does."""

    NOTHING = 0
    #: Begin a request-response cycle.
    ANSWER = 1
    #: Say what is wrong with what was read, and do as for LINGER.
    REFUSE = 2
    #: Take up the requests that are queued, and read on.
    GO_ON = 3
    #: Close the server's half, and drop what comes. TLS has no halves: it is closed.
    LINGER = 4
    #: Close once everything is sent.
    CLOSE = 5
    #: Close at once.
    ABORT = 6


class Transition(NamedTuple):
    """An entry of the table."""

    phase: Phase
    action: Action


Table: TypeAlias = dict[Phase, dict[Event, Transition]]

_BEGIN: Final = Transition(Phase.ANSWERING, Action.ANSWER)
_BEGIN_LAST: Final = Transition(Phase.ANSWERING_LAST, Action.ANSWER)
_BECOME_LAST: Final = Transition(Phase.ANSWERING_LAST, Action.NOTHING)
_REFUSE: Final = Transition(Phase.LINGERING, Action.REFUSE)
_GO_ON: Final = Transition(Phase.READING, Action.GO_ON)
_BLOCK: Final = Transition(Phase.BLOCKED, Action.NOTHING)
_LINGER: Final = Transition(Phase.LINGERING, Action.LINGER)
_CLOSE: Final = Transition(Phase.CLOSING, Action.CLOSE)
_ABORT: Final = Transition(Phase.CLOSING, Action.ABORT)
_FORGET: Final = Transition(Phase.CLOSED, Action.NOTHING)

# fmt: off
CONNECTION_TRANSITIONS: Final[Table] = {
    Phase.READING: {
        Event.REQUEST: _BEGIN, Event.LAST_REQUEST: _BEGIN_LAST, Event.UNREADABLE: _REFUSE,
        Event.CLIENT_DONE: _CLOSE, Event.CLIENT_GONE: _CLOSE, Event.SLOW: _CLOSE,
        Event.STOP: _CLOSE, Event.LOST: _FORGET, Event.TOO_LATE: _ABORT,
    },
    Phase.ANSWERING: {
        Event.ANSWERED: _GO_ON, Event.ANSWERED_UNREAD: _BLOCK, Event.BROKEN_OFF: _ABORT,
        Event.END_ANNOUNCED: _BECOME_LAST, Event.CLIENT_DONE: _BECOME_LAST,
        Event.STOP: _BECOME_LAST,
        Event.CLIENT_GONE: _CLOSE, Event.SLOW: _CLOSE, Event.STUCK: _ABORT, Event.LOST: _FORGET,
    },
    Phase.ANSWERING_LAST: {
        Event.ANSWERED: _CLOSE, Event.ANSWERED_UNREAD: _CLOSE, Event.ANSWERED_EARLY: _LINGER,
        Event.BROKEN_OFF: _ABORT,
        Event.CLIENT_GONE: _CLOSE, Event.SLOW: _CLOSE, Event.STUCK: _ABORT, Event.LOST: _FORGET,
    },
    Phase.BLOCKED: {
        Event.READ: _GO_ON,
        Event.CLIENT_DONE: _CLOSE, Event.CLIENT_GONE: _CLOSE, Event.STUCK: _ABORT,
        Event.STOP: _CLOSE, Event.LOST: _FORGET,
    },
    Phase.LINGERING: {
        Event.CLIENT_DONE: _CLOSE, Event.CLIENT_GONE: _CLOSE, Event.STUCK: _ABORT,
        Event.LOST: _FORGET,
    },
    Phase.CLOSING: {Event.STUCK: _ABORT, Event.LOST: _FORGET},
    Phase.CLOSED: {},
}
# fmt: on


def next_step(phase: Phase, event: Event) -> Transition:
    """Return what becomes of a connection in *phase* by *event*, and what the server does."""
    return CONNECTION_TRANSITIONS[phase].get(event) or Transition(phase, Action.NOTHING)
