"""Choices that look random and are the same every time."""

from collections import Counter

from lamplighter.devtools.check.dice import Dice


def test_the_same_every_time() -> None:
    """A seed has one sequence, and another seed another."""

    def rolls(seed: int) -> list[int]:
        dice = Dice(seed)
        return [dice.below(1_000_000) for _ in range(20)]

    assert rolls(1) == rolls(1)
    assert len({*rolls(1), *rolls(2), *rolls(3)}) == 60


def test_every_number_comes_up() -> None:
    """All numbers come about equally often."""
    dice = Dice(7)
    counts = Counter(dice.below(6) for _ in range(6000))
    assert sorted(counts) == [0, 1, 2, 3, 4, 5]
    assert all(850 < count < 1150 for count in counts.values())


def test_some_of() -> None:
    """Some are different ones; of fewer than wanted, all are taken."""
    dice = Dice(0)
    assert len(set(dice.some_of(range(10), 4))) == 4
    assert sorted(dice.some_of("abc", 5)) == ["a", "b", "c"]
    assert dice.one_of(["only"]) == "only"
