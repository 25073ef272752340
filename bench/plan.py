"""The plan of a run: its presets and servers."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.presets import Preset
from bench.servers.process import Recipe

__all__ = ["Plan", "make_plan"]


@dataclass(frozen=True)
class Plan:
    """The presets and servers of a run in their order, and the pairs that are left out."""

    measured: Sequence[tuple[Preset, Recipe]]
    #: The names of a preset and a server on which the preset would take too long.
    left_out: Sequence[tuple[str, str]]


def make_plan(
    presets: Sequence[Preset], recipes: Sequence[Recipe], *, everything: bool = False
) -> Plan:
    """Plan to measure *presets* on the servers of *recipes*, with *everything* however long."""
    possible = [(it, recipe) for it in presets for recipe in recipes if it.can_run_on(recipe)]
    measured = [pair for pair in possible if everything or pair[0].is_short_on(pair[1])]
    left_out = [pair for pair in possible if pair not in measured]
    return Plan(measured, [(preset.name, recipe.name) for preset, recipe in left_out])
