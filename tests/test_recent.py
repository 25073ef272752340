"""The dictionary of bounded size, shared fairly."""

from collections.abc import Callable

from hypothesis import example, given
from hypothesis import strategies as st

from lamplighter.recent import Recent


def first_letter(key: str) -> str:
    """Return the group of a key of these tests."""
    return key[0]


def test_drop() -> None:
    """A dropped entry is gone; dropping an absent entry does nothing."""
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.drop("a")
    recent.drop("b")
    assert (recent.get("a"), len(recent), recent.idlest()) == (None, 0, None)


def test_heavy_entries() -> None:
    """An entry displaces others by its weight; an entry that is too heavy displaces all."""
    recent: Recent[str, int] = Recent(3)
    for key in "abc":
        recent.put(key, 0)
    assert recent.put("d", 1, 2) == [("a", 0), ("b", 0)]
    assert (list(recent), recent.values(), recent.weight) == (["c", "d"], [0, 1], 3)
    assert recent.put("d", 2, 1) == []
    assert (recent.weight, len(recent)) == (2, 2)
    assert recent.put("e", 2, 4) == [("c", 0), ("d", 2), ("e", 2)]
    assert (recent.weight, len(recent)) == (0, 0)


def test_peek_is_no_use() -> None:
    """`peek` does not count as a use."""
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert (recent.peek("a"), recent.peek("c"), recent.idlest()) == (1, None, "a")


def test_clear() -> None:
    """`clear` removes the entries from all groups."""
    recent: Recent[str, int] = Recent(3, first_letter)
    for key in ("a1", "a2", "b1"):
        recent.put(key, 0, 1)
    recent.clear()
    assert (len(recent), recent.weight, recent.size_of_group("a3"), recent.idlest()) == (
        0,
        0,
        0,
        None,
    )


def test_several_groupings() -> None:
    """A key belongs to a group of each grouping; the first grouping decides what is displaced."""
    recent: Recent[str, int] = Recent(4, first_letter, lambda key: key[1])
    for key in ("a1", "a2", "b1", "c1"):
        recent.put(key, 0)
    assert [recent.size_of_group("a1", grouping) for grouping in (0, 1)] == [2, 3]
    assert [recent.idlest_of_group("c1", grouping) for grouping in (0, 1)] == ["c1", "a1"]
    assert recent.put("d1", 0) == [("a1", 0)]
    assert [recent.size_of_group("a1", grouping) for grouping in (0, 1)] == [1, 3]


Steps = list[tuple[str, str]]
steps: st.SearchStrategy[Steps] = st.lists(
    st.tuples(
        st.sampled_from(["put", "get", "drop"]),
        st.sampled_from([group + key for group in "abc" for key in "123"]),
    ),
    max_size=60,
)


class Model:
    """The same with lists, slow and simple."""

    def __init__(self, capacity: int, group: Callable[[str], str]) -> None:
        self.capacity = capacity
        self.group = group
        #: The last used at the end.
        self.keys: list[str] = []
        #: The groups, that which was used or changed last at the end.
        self.groups: list[str] = []

    def of_group(self, group: str) -> list[str]:
        """Return the keys in a group."""
        return [it for it in self.keys if self.group(it) == group]

    def use(self, key: str) -> None:
        """Move key and group to the end."""
        self.keys = [it for it in self.keys if it != key] + [key]
        self.touch(self.group(key))

    def touch(self, group: str) -> None:
        """Move the group to the end."""
        self.groups = [it for it in self.groups if it != group] + [group]

    def drop(self, key: str) -> None:
        """Remove the key."""
        if key in self.keys:
            self.keys.remove(key)
            self.touch(self.group(key))

    def idlest(self) -> str | None:
        """Return the key of the largest group that was unused for longest."""
        largest = max(self.groups, key=lambda it: len(self.of_group(it)), default="")
        return next(iter(self.of_group(largest)), None)

    def put(self, key: str) -> list[str]:
        """Add the key; remove the idlest one if there are too many, and return it."""
        self.use(key)
        displaced = [it for it in [self.idlest()] if it and len(self.keys) > self.capacity]
        for it in displaced:
            self.drop(it)
        return displaced


@given(st.integers(1, 5), steps, st.booleans())
@example(2, [("put", "a1"), ("put", "a2"), ("get", "a1"), ("put", "a3")], False)
@example(2, [("put", "a1"), ("put", "a2"), ("put", "a1"), ("put", "a3")], True)
@example(3, [("put", "a1"), *(("put", f"b{number}") for number in "123")], True)
@example(3, [*(("put", f"b{number}") for number in "123"), ("put", "a1")], True)
def test_it_is_what_the_model_says(capacity: int, actions: Steps, grouped: bool) -> None:
    """With groups or without, after any sequence of puts, uses and drops, a new entry displaces
    the one that was unused for longest, of the largest group.
    """
    recent: Recent[str, int] = Recent(capacity, *([first_letter] if grouped else []))
    model = Model(capacity, first_letter if grouped else lambda _: "")
    for number, (action, key) in enumerate(actions):
        if action == "put":
            assert [it for it, _ in recent.put(key, number)] == model.put(key)
            assert recent.peek(key) == number
        elif action == "drop":
            recent.drop(key)
            model.drop(key)
        else:
            assert (recent.get(key) is not None) is (key in model.keys)
            if key in model.keys:
                model.use(key)
        assert (sorted(recent), len(recent)) == (sorted(model.keys), len(model.keys))
        assert recent.idlest() == model.idlest()
        for group in "abc" if grouped else "":
            keys = model.of_group(group)
            assert recent.size_of_group(group) == len(keys)
            assert recent.idlest_of_group(group) == next(iter(keys), None)
