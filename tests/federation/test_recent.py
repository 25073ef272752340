"""The dictionary that forgets."""

from lamplighter.federation.recent import Recent


def test_what_is_unused_for_longest_goes() -> None:
    """A new entry beyond the capacity displaces the one that was unused for longest."""
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert [recent.get(key) for key in "abc"] == [1, None, 3]
    assert len(recent) == 2


def test_an_entry_is_replaced_in_its_place() -> None:
    """A key has one entry, the last one, and writing counts as use."""
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    recent.put("a", 4)
    recent.put("c", 3)
    assert [recent.get(key) for key in "abc"] == [4, None, 3]


def test_drop() -> None:
    """What is dropped is gone; dropping what is not there does nothing."""
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.drop("a")
    recent.drop("b")
    assert (recent.get("a"), len(recent)) == (None, 0)
