"""What a cluster promises, and how a world shows that a promise is broken.

- *One owner at a time*: whoever writes how a user is owns the user there, as the log says.
- *No gap*: what a client shows is what the log says at its token, of each user.
- *No repetition*: a client is told of a record once.
- *No forbidden sight*: a client is told that a user is online only while they share a room.
- *No false offline*: a user is told to be offline only a grace after the last poll.
- *Acknowledged is kept*: the database has it, or what is newer; and so does every read.
"""

from tests.models.worlds import (
    USERS,
    Log,
    Record,
    Value,
    What,
    World,
    owner,
    replaced,
    shares,
    truth,
)

__all__ = ["broken_promise", "is_about", "told_viewer"]


def broken_promise(world: World) -> str:
    """Return which promise is broken in a world; "" if none is.

    Only the newest record is looked at: the others were when they were the newest.
    """
    if world.broken:
        return world.broken
    told = [it for it in world.log[-1:] if it.what is What.TOLD]
    if any(owner(world.log[:-1], it.user) != it.by for it in told):
        return "written by another than the owner"
    for user in USERS:
        if world.believes[user] != truth(world.log[: world.token], user):
            return "a gap"
        if world.store[user][0] < world.acknowledged[user]:
            return "acknowledged, and not kept"
    return ""


def is_about(record: Record, user: int) -> bool:
    """Tell whether a record is news of a user to a viewer."""
    return record.user == user and record.what is not What.OWNED


def told_viewer(world: World, user: int, value: Value, place: int, read: Log) -> World:
    """Let the viewer be told of a user, by a node that has read *read*.

    Of the record at *place* once, and of nobody with whom the viewer shares no room.
    """
    broken = world.broken
    if place <= world.heard[user]:
        broken = "told again"
    elif value[0] and not shares(read, user):
        broken = "a sight that is forbidden"
    return world._replace(
        believes=replaced(world.believes, user, value),
        heard=replaced(world.heard, user, place),
        broken=broken,
    )
