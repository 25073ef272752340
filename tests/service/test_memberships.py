"""Joins and leaves, many of them at once."""

from lamplighter.ports import MembershipChange
from tests.routing.people import HALL, crowd
from tests.service.counting import counted_functions, most_in_a_cycle
from tests.service.parts import Parts


async def test_many_join_at_once() -> None:
    """Where many users join a room in one write, each is told of all others, a bounded number in
    one cycle of the event loop, and no token passes the joins before.
    """
    parts = Parts()
    people = crowd(120)
    for member in people:
        parts.feed.open(member)
        await parts.publish(member, "hello")
    before = parts.feed.position
    with counted_functions("lamplighter/delivery/outbox.py") as calls:
        parts.directory_events.memberships_changed(
            [MembershipChange(HALL, member, joined=True) for member in people]
        )
        assert parts.unsettled.told_until(people[0], parts.feed.position) < parts.feed.position
        most = await most_in_a_cycle(parts.background, calls, "Outbox.put")
    assert calls["Outbox.put"] == 120 * 119
    assert most <= 4_200
    for member in people:
        assert {it.state.user_id for it in parts.feed.open(member).after(before)} == {*people} - {
            member
        }
