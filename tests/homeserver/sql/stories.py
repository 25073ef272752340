"""What three people do in two rooms, as random steps."""

from hypothesis import strategies as st

from lamplighter.ids import RoomId, UserId
from tests.contract.directories import ALICE, BOB, CHARLIE, Subject

PEOPLE = (ALICE, BOB, CHARLIE)

#: What happens: its kind, who does it, to whom, and in which room.
steps = st.tuples(
    st.sampled_from(["say", "say", "topic", "join", "leave", "invite", "name", "data"]),
    st.sampled_from(PEOPLE),
    st.sampled_from(PEOPLE),
    st.integers(0, 1),
)


async def step(
    tested: Subject,
    kind: str,
    user_id: UserId,
    other: UserId,
    room_id: RoomId,
    number: int,
) -> None:
    """Let something happen, if the rules allow it."""
    directory, name = tested.directory, f"{number}"
    match kind:
        case "say":
            await tested.say(user_id, room_id, name)
        case "topic":
            await directory.set_state(user_id, room_id, "m.room.topic", "", {"topic": name})
        case "join":
            await directory.join(user_id, room_id)
        case "leave":
            await directory.leave(user_id, room_id)
        case "invite":
            await directory.invite(user_id, room_id, other)
        case "name":
            await directory.set_displayname(user_id, name)
        case "data":
            place = None if user_id == other else room_id
            await directory.set_account_data(user_id, place, f"data{number % 3}", {"n": number})
