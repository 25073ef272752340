"""What tells values apart that nodes compare by a digest."""

from dataclasses import dataclass
from typing import Final

import pytest

from lamplighter.cluster.parts import Part, ToldValue, difference

A, B, C = (Part(f"m.{name}", f"modules[{place}]", "1") for place, name in enumerate("ABC"))
#: The same module once more.
A2: Final = Part("m.A", "modules[1]", "2")


@dataclass(frozen=True)
class Case:
    """Two lists of modules, and what is said of the first one."""

    here: tuple[Part, ...]
    there: tuple[Part, ...]
    line: str


CASES: Final = [
    Case((A, B), (A, B), ""),
    Case((A,), (A, B), "m.B (modules[1]) is missing"),
    Case((A, B), (B,), "m.A (modules[0]) is extra"),
    Case((B, A), (A, B), "the order is m.B, m.A instead of m.A, m.B"),
    Case((B, C, A), (A, C), "m.B (modules[1]) is extra; the order is m.C, m.A instead of m.A, m.C"),
    Case((A2,), (A,), "m.A (modules[1]) has another configuration"),
    Case((A, A2), (A,), "m.A (modules[1]) is extra"),
    Case((A,), (A, A2), "m.A (modules[1]) is missing"),
    Case((A, A2), (A, A), "m.A (modules[1]) has another configuration"),
    Case((Part("m.A", is_shadow=True),), (Part("m.A"),), "m.A is a shadow"),
    Case((Part("m.A"),), (Part("m.A", is_shadow=True),), "m.A is no shadow"),
    Case(
        (),
        tuple(Part(f"{number}.demo") for number in range(1_007)),
        "0.demo is missing; 1.demo is missing; 2.demo is missing; 3.demo is missing;"
        " 4.demo is missing; and 1,002 more",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda it: it.line[:40])
def test_difference(case: Case) -> None:
    """What is missing, extra, configured otherwise or in another order is named."""
    assert difference(case.here, case.there) == case.line


def test_what_a_node_does_not_say() -> None:
    """Nothing is said where a node does not tell its parts, as one of another version."""
    told, silent = ToldValue("1", (A,)), ToldValue("2", None)
    assert (told.unlike(silent), silent.unlike(told)) == (None, None)
    assert told.unlike(ToldValue("2", ())) == "m.A (modules[0]) is extra"
