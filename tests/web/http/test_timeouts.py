"""Many time limits, and no timer for each."""

from datetime import timedelta

from lamplighter.web.http.timeouts import ConnectionTimeouts, TimeLimit, TimeLimits

LIMITS = TimeLimits(
    idle=timedelta(seconds=5),
    receiving=timedelta(seconds=3),
    sending=timedelta(milliseconds=200),
    closing=timedelta(seconds=1),
)


class Somebody:
    """Notes when its time is over."""

    def __init__(self, timeouts: "ConnectionTimeouts[Somebody]", limit: TimeLimit) -> None:
        self._timeouts = timeouts
        self.limit = limit
        self.told: list[int] = []
        self.ticks = 0
        self.stops: list[Somebody] = []
        timeouts.changed.add(self)

    def begin(self) -> None:
        self._timeouts.start(self, self.limit)

    def expire(self) -> None:
        self.told.append(self.ticks)
        for other in self.stops:
            self._timeouts.stop(other, TimeLimit.IDLE)


def pass_ticks(timeouts: ConnectionTimeouts[Somebody], people: list[Somebody], count: int) -> None:
    """Let *count* ticks pass."""
    for _ in range(count):
        for it in people:
            it.ticks += 1
        timeouts.tick()


def test_each_limit() -> None:
    """A limit is over, once, after its time and at most one tick more."""
    timeouts = ConnectionTimeouts(LIMITS, Somebody.begin, Somebody.expire)
    people = [Somebody(timeouts, limit) for limit in TimeLimit]
    pass_ticks(timeouts, people, 20)
    assert [somebody.told for somebody in people] == [[6], [4], [1], [2]]


def test_stopping() -> None:
    """A limit that was stopped is over never; one that was started again, later."""
    timeouts = ConnectionTimeouts(LIMITS, Somebody.begin, Somebody.expire)
    people = [stopped, again, _other] = [Somebody(timeouts, TimeLimit.RECEIVING) for _ in range(3)]
    pass_ticks(timeouts, people, 2)
    timeouts.stop(stopped, TimeLimit.RECEIVING)
    timeouts.stop(stopped, TimeLimit.RECEIVING)
    timeouts.stop(again, TimeLimit.RECEIVING)
    timeouts.changed.add(again)
    pass_ticks(timeouts, people, 20)
    assert [somebody.told for somebody in people] == [[], [6], [4]]


def test_stopping_others() -> None:
    """`expire` may stop the time of others that is over as well."""
    timeouts = ConnectionTimeouts(LIMITS, Somebody.begin, Somebody.expire)
    people = [first, second] = [Somebody(timeouts, TimeLimit.IDLE) for _ in range(2)]
    first.stops = second.stops = [second, first]
    pass_ticks(timeouts, people, 20)
    assert sorted(somebody.told for somebody in people) == [[], [6]]


def test_what_has_not_changed() -> None:
    """Only those that have changed are asked what they wait for, once for each tick."""
    timeouts = ConnectionTimeouts(LIMITS, Somebody.begin, Somebody.expire)
    people = [first, second] = [Somebody(timeouts, TimeLimit.IDLE) for _ in range(2)]
    pass_ticks(timeouts, people, 1)
    assert timeouts.changed == set()
    first.limit = second.limit = TimeLimit.CLOSING
    for _ in range(3):
        timeouts.changed.add(second)
    timeouts.stop(second, TimeLimit.IDLE)
    pass_ticks(timeouts, people, 20)
    assert [somebody.told for somebody in people] == [[6], [3]]
