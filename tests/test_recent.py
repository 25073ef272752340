"""The dictionary of bounded size, shared fairly."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from lamplighter.recent import Recent


def first_letter(key: str) -> str:
    """Return the group of a key of these tests."""
    return key[0]


def test_the_entry_unused_for_longest_goes() -> None:
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


def test_the_largest_group_gives_up_an_entry() -> None:
    """A group with many entries cannot displace the entries of other groups."""
    recent: Recent[str, int] = Recent(4, first_letter)
    for key in ("a1", "b1", *(f"e{number}" for number in range(100))):
        recent.put(key, 0)
    assert [key in recent for key in ("a1", "b1", "e97", "e98", "e99")] == [
        True,
        True,
        False,
        True,
        True,
    ]
    assert [recent.size_of_group(key) for key in ("a?", "e?", "z?")] == [1, 2, 0]


def test_a_newcomer_is_let_in() -> None:
    """If one group has most of the places, another group's first entry displaces one of it."""
    recent: Recent[str, int] = Recent(3, first_letter)
    for key in ("e1", "e2", "e3"):
        recent.put(key, 0)
    assert (recent.idlest(), recent.idlest_of_group("e9"), recent.idlest_of_group("a")) == (
        "e1",
        "e1",
        None,
    )
    recent.put("a1", 0)
    assert [key in recent for key in ("e1", "e2", "e3", "a1")] == [False, True, True, True]


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

    def put(self, key: str) -> None:
        """Add the key, and remove one of the largest group if there are too many."""
        self.use(key)
        if len(self.keys) > self.capacity:
            sizes = [sum(self.group(it) == group for it in self.keys) for group in self.groups]
            largest = self.groups[sizes.index(max(sizes))]
            self.drop(next(it for it in self.keys if self.group(it) == largest))


@given(st.integers(1, 5), steps)
def test_it_is_what_the_model_says(capacity: int, actions: Steps) -> None:
    """After any sequence of puts, uses and drops, dictionary and lists agree."""
    recent: Recent[str, int] = Recent(capacity, first_letter)
    model = Model(capacity, first_letter)
    for action, key in actions:
        if action == "put":
            recent.put(key, 7)
            model.put(key)
        elif action == "drop":
            recent.drop(key)
            model.drop(key)
        else:
            assert recent.get(key) == (7 if key in model.keys else None)
            if key in model.keys:
                model.use(key)
        every = [group + number for group in "abc" for number in "123"]
        assert [it for it in every if it in recent] == sorted(model.keys)
        assert len(recent) == len(model.keys)
