"""All servers by name, in the order of the table."""

from collections.abc import Mapping
from typing import Final

from bench.servers.ejabberd import Ejabberd
from bench.servers.lamplighter import Front, Lamplighter, Nodes
from bench.servers.process import Recipe
from bench.servers.prosody import Prosody
from bench.servers.synapse import Synapse

__all__ = ["RECIPES"]

_IN_ORDER: Final[tuple[Recipe, ...]] = (
    Lamplighter(),
    Synapse(),
    Front(),
    Prosody(),
    Ejabberd(),
    *(Nodes(count) for count in (1, 2, 4)),
)

RECIPES: Final[Mapping[str, Recipe]] = {recipe.name: recipe for recipe in _IN_ORDER}
