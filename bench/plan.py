"""What a run measures: which presets on which servers."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.presets import Preset
from bench.servers.process import Recipe

__all__ = ["Plan", "make_plan"]


@dataclass(frozen=True)
class Plan:
    """What is measured, in this order, and what is not."""

    measured: Sequence[tuple[Preset, Recipe]]
    #: Names of presets, each with that of a server on which it would take too long.
    left_out: Sequence[tuple[str, str]]


def make_plan(
    presets: Sequence[Preset], recipes: Sequence[Recipe], *, everything: bool = False
) -> Plan:
    """Plan to measure *presets* on the servers of *recipes*, with *everything* however long."""
    possible = [(it, recipe) for it in presets for recipe in recipes if it.can_run_on(recipe)]
    measured = [pair for pair in possible if everything or pair[0].is_short_on(pair[1])]
    left_out = [pair for pair in possible if pair not in measured]
    return Plan(measured, [(preset.name, recipe.name) for preset, recipe in left_out])
