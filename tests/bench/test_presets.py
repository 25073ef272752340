"""The plan of a run."""

from bench.presets import PRESETS, Plan, make_plan
from bench.servers.all import RECIPES

SYNAPSE, PROSODY = RECIPES["synapse"], RECIPES["prosody"]
FANOUT, LARGE, PUT = PRESETS["fanout-50"], PRESETS["fanout-5000"], PRESETS["put"]


def test_order() -> None:
    """Presets are measured one after the other, each on all servers, for better comparison."""
    assert make_plan([FANOUT, PUT], list(RECIPES.values())) == Plan(
        [
            *(
                (FANOUT, RECIPES[name])
                for name in ("lamplighter", "synapse", "prosody", "ejabberd")
            ),
            *(
                (PUT, RECIPES[name])
                for name in ("lamplighter", "synapse", "nodes-1", "nodes-2", "nodes-4")
            ),
        ],
        [],
    )


def test_in_front() -> None:
    """Lamplighter before a Synapse is compared with a Synapse with presence, and only there."""
    recipes = list(RECIPES.values())
    for preset in PRESETS.values():
        found = {recipe.name for it, recipe in make_plan([preset], recipes).measured}
        if preset.name.startswith("front-"):
            assert found == {"synapse", "front"}
        else:
            assert "front" not in found


def test_what_takes_too_long() -> None:
    """Synapse is left out of the largest loads, unless everything is asked for."""
    recipes = [SYNAPSE, PROSODY]
    assert make_plan([LARGE], recipes) == Plan([(LARGE, PROSODY)], [("fanout-5000", "synapse")])
    everything = make_plan([LARGE], recipes, everything=True)
    assert everything == Plan([(LARGE, SYNAPSE), (LARGE, PROSODY)], [])
