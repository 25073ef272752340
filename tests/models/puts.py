"""What becomes of a PUT in a modelled cluster."""

from tests.models.worlds import NOBODY, Put, Stage, World, replaced

__all__ = ["again_put", "ended_put", "moved_put", "saved_put"]


def moved_put(world: World, put: Put, to: Put) -> World:
    """Return the world in which a PUT has come to another stage."""
    return world._replace(puts=tuple(to if it == put else it for it in world.puts))


def ended_put(world: World, put: Put) -> World:
    """Let nobody wait any more; what was decided goes on."""
    if put.stage in (Stage.WAITS, Stage.SAVED) or put.edge is None:
        return world._replace(puts=tuple(it for it in world.puts if it != put))
    return moved_put(world, put, put._replace(edge=None))


def again_put(world: World, put: Put) -> World:
    """The owner that has decided is no owner any more: another one is looked for.

    At the owner's own node, the command is lost: nobody else has it.
    """
    if put.edge is None or put.edge == put.node:
        return world._replace(puts=tuple(it for it in world.puts if it != put))
    return moved_put(world, put, put._replace(stage=Stage.WAITS, owner=NOBODY, node=0, place=0))


def saved_put(world: World, put: Put, never_back: bool) -> World:
    """Let the database have what a PUT has set, unless it has what is newer."""
    saved = (put.place, put.number)
    kept = max(world.store[put.user], saved) if never_back else saved
    moved = moved_put(world, put, put._replace(stage=Stage.SAVED))
    return moved._replace(store=replaced(world.store, put.user, kept))
