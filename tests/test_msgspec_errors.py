"""The texts of msgspec's errors."""

import msgspec
import pytest

from lamplighter.msgspec_errors import Mistake, read_mistake


class Item(msgspec.Struct, forbid_unknown_fields=True):
    size: int


class Shape(msgspec.Struct):
    items: list[Item] = []
    names: dict[str, int] = {}


@pytest.mark.parametrize(
    ("value", "mistake"),
    [
        (5, Mistake("Expected `object`, got `int`", "", False, None, None)),
        (
            {"items": [{"size": "x"}]},
            Mistake("Expected `int`, got `str`", "items[0].size", False, None, None),
        ),
        (
            {"items": [{}]},
            Mistake("Object missing required field `size`", "items[0]", False, "size", None),
        ),
        (
            {"items": [{"size": 1, "a`b\n": 1}]},
            Mistake("Object contains unknown field `a`b\n`", "items[0]", False, None, "a`b\n"),
        ),
        (
            {"names": {"a": "x"}},
            Mistake("Expected `int`, got `str`", "names[...]", False, None, None),
        ),
        ({"names": {5: 1}}, Mistake("Expected `str`, got `int`", "names", True, None, None)),
    ],
)  # fmt: skip
def test_what_is_wrong_where(value: object, mistake: Mistake) -> None:
    """The text of an error gives the problem, its place, and a missing or unknown field."""
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.convert(value, Shape)
    assert read_mistake(raised.value) == mistake
