"""What is kept in memory because it was of use lately."""

from lamplighter.homeserver.sql.kept import Kept


def test_what_was_of_no_use_goes_first() -> None:
    """Where there is too much, what was not asked for the longest is dropped."""
    kept: Kept[str, int] = Kept(3)
    for key in "abc":
        kept.put(key, ord(key), 1)
    kept.get("a")
    kept.put("d", ord("d"), 1)
    assert {key: kept.get(key) for key in "abcd"} == {"a": 97, "b": None, "c": 99, "d": 100}


def test_heavy_values() -> None:
    """A value takes the place of as many others as it weighs; one too heavy is not kept at all."""
    kept: Kept[str, int] = Kept(3)
    for key in "abc":
        kept.put(key, 0, 1)
    kept.put("d", 1, 2)
    assert [kept.get(key) for key in "abcd"] == [None, None, 0, 1]
    kept.put("e", 2, 4)
    assert [kept.get(key) for key in "abcde"] == [None] * 5


def test_a_new_value() -> None:
    """A new value replaces the one before, and its weight."""
    kept: Kept[str, int] = Kept(3)
    kept.put("a", 1, 3)
    kept.put("a", 2, 1)
    kept.put("b", 3, 2)
    assert (kept.get("a"), kept.get("b")) == (2, 3)
