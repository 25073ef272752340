"""The queue of states for one destination."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lamplighter.clock import Timestamp
from lamplighter.federation.backoff import Backoff, BackoffSettings
from lamplighter.federation.queue import DestinationQueue
from lamplighter.ids import UserId
from lamplighter.ports import BackoffState
from lamplighter.presence.state import Presence, UserPresenceState

CAPACITY: Final = 120


def state(number: int, version: int = 0) -> UserPresenceState:
    """Return the presence of user *number*; versions differ in the status message."""
    offline = UserPresenceState.default(f"@{number}:here.example")
    return offline.copy_and_replace(state=Presence.ONLINE, status_msg=str(version))


def at(milliseconds: int) -> Timestamp:
    """Return an instant."""
    return Timestamp(milliseconds)


def new_queue() -> DestinationQueue:
    """Return a queue with pauses of exactly 1, 2, 4 and 5 seconds."""
    backoff = Backoff(lambda: 0.0, BackoffSettings(longest=timedelta(seconds=5)))
    return DestinationQueue(backoff, capacity=CAPACITY)


def test_one_window() -> None:
    """States of one window of 100 ms go together, only the newest of each user."""
    queue = new_queue()
    queue.put([state(1), state(2)], at(0))
    queue.put([state(3), state(1, version=1)], at(99))
    assert (queue.next_due(), queue.take(at(99))) == (at(100), [])
    assert queue.take(at(100)) == [state(1, version=1), state(2), state(3)]


def test_taking_back() -> None:
    """States that were taken back are not sent, nor retried after a failure; later states are."""
    queue = new_queue()
    queue.put([state(number) for number in range(60)], at(0))
    assert len(queue.take(at(100))) == 50
    assert len(queue.take_back()) == 60
    queue.put([state(7, version=1)], at(200))
    queue.failed(at(300))
    assert queue.take(at(10_000)) == [state(7, version=1)]
    queue.failed(at(10_000))
    assert queue.take(at(20_000)) == [state(7, version=1)]
    queue.take_back()
    queue.succeeded()
    queue.put([state(8)], at(30_000))
    assert queue.take(at(30_100)) == [state(8)]
    queue.failed(at(30_100))
    assert queue.take(at(40_000)) == [state(8)]


def test_withdrawing() -> None:
    """States of some users are not sent, nor retried after a failure; the others are."""
    queue = new_queue()
    queue.put([state(number) for number in range(4)], at(0))
    users = [UserId(state(number).user_id) for number in range(9)]
    assert queue.withdraw({users[0], users[8]}) == {users[0]}
    assert queue.take(at(100)) == [state(1), state(2), state(3)]
    queue.put([state(4)], at(100))
    assert queue.withdraw({users[2], users[4]}) == {users[2], users[4]}
    queue.failed(at(300))
    assert queue.take(at(10_000)) == [state(1), state(3)]
    queue.succeeded()
    assert queue.next_due() is None


def test_the_usual_capacity() -> None:
    """By default a queue holds 10,000 states."""
    queue = DestinationQueue(Backoff(lambda: 0.0))
    queue.put([state(number) for number in range(10_001)], at(0))
    assert (len(queue), queue.take(at(100))[0]) == (10_000, state(1))


def test_a_restart() -> None:
    """A restored back-off delays the queue until its pause ends, and the next pause is longer."""
    before = new_queue()
    before.put([state(1)], at(0))
    before.take(at(100))
    before.failed(at(100))
    assert before.backoff.state == BackoffState(1, at(1100))
    queue = new_queue()
    queue.backoff.restore(before.backoff.state, at(200))
    queue.put([state(2)], at(300))
    assert (queue.is_idle, queue.next_due()) == (False, at(1100))
    queue.take(at(1100))
    queue.failed(at(1100))
    assert queue.next_due() == at(3100)
    later = new_queue()
    later.backoff.restore(BackoffState(3, at(1100)), at(5000))
    later.put([state(1)], at(5000))
    assert (later.next_due(), later.take(at(5100))) == (at(5100), [state(1)])


@dataclass
class Model:
    """A simple and slow queue, made of lists and plain numbers."""

    waiting: list[UserPresenceState] = field(default_factory=list)
    in_flight: list[UserPresenceState] = field(default_factory=list)
    window_ends: int | None = None
    failures: int = 0
    retry_at: int = 0

    def put(self, new: UserPresenceState, now: int) -> None:
        places = [i for i, old in enumerate(self.waiting) if old.user_id == new.user_id]
        if places:
            self.waiting[places[0]] = new
        else:
            self.waiting.append(new)

    def settle(self, now: int, window: int) -> None:
        while self.waiting and len(self.waiting) + len(self.in_flight) > CAPACITY:
            del self.waiting[0]
        if not self.waiting:
            self.window_ends = None
        elif self.window_ends is None:
            self.window_ends = now + window

    def due(self) -> int | None:
        if self.in_flight or self.window_ends is None:
            return None
        return max(self.window_ends, self.retry_at) if self.failures else self.window_ends

    def failed(self, now: int) -> None:
        newer = {it.user_id for it in self.waiting}
        line = [it.user_id for it in self.in_flight]
        kept = [it for it in self.in_flight if it.user_id not in newer]
        everybody = {it.user_id: it for it in [*kept, *self.waiting]}
        later = [it.user_id for it in self.waiting if it.user_id not in line]
        self.waiting = [everybody[user_id] for user_id in [*line, *later]]
        self.in_flight = []
        self.failures += 1
        self.retry_at = now + [1000, 2000, 4000, 5000][min(self.failures, 4) - 1]
        self.window_ends = now


class QueueAgainstModel(RuleBasedStateMachine):
    """After each of any sequence of steps, queue and model agree."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.versions = 0
        self.queue = new_queue()
        self.model = Model()

    @rule(passed=st.sampled_from([0, 1, 50, 99, 100, 999, 1000, 5000]))
    def wait(self, passed: int) -> None:
        self.now += passed

    @rule(first=st.integers(0, 150), count=st.integers(0, 130))
    def put(self, first: int, count: int) -> None:
        self.versions += 1
        states = [state(number, self.versions) for number in range(first, first + count)]
        self.queue.put(states, at(self.now))
        for it in states:
            self.model.put(it, self.now)
        self.model.settle(self.now, 100)

    @rule()
    def take(self) -> None:
        due = self.model.due()
        taken = self.model.waiting[:50] if due is not None and due <= self.now else []
        assert self.queue.take(at(self.now)) == taken
        if taken:
            self.model.in_flight = taken
            self.model.waiting = self.model.waiting[50:]
            self.model.settle(self.now, 100)

    @rule()
    def succeed(self) -> None:
        if self.model.in_flight:
            self.queue.succeeded()
            self.model.in_flight = []
            self.model.failures = 0

    @rule()
    def fail(self) -> None:
        if self.model.in_flight:
            self.queue.failed(at(self.now))
            self.model.failed(self.now)
            self.model.settle(self.now, 100)

    @invariant()
    def same(self) -> None:
        model = self.model
        kept = BackoffState(model.failures, at(model.retry_at)) if model.failures else None
        size = len(model.waiting) + len(model.in_flight)
        idle = not size and not model.failures
        assert (
            self.queue.next_due(),
            self.queue.backoff.state,
            len(self.queue),
            self.queue.is_idle,
        ) == (model.due(), kept, size, idle)
        assert size <= CAPACITY


TestQueueAgainstModel = QueueAgainstModel.TestCase
