"""docs/glossary.md: every word has its place."""

import re
from collections.abc import Iterable

import pytest

from lamplighter.presence.state import Presence, UserPresenceState
from tests.docs.commands import ROOT

PAGE = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
ROWS = [row for row in ROW.findall(PAGE) if row[0] not in ("Word", "---")]
PATH = re.compile(r"`([\w/]+\.py)`")


def _in_order(words: Iterable[str]) -> list[str]:
    return sorted(words, key=lambda word: word.strip("`").lower())


def test_order() -> None:
    """Words stand in the order of the alphabet, each once."""
    words = [word for word, _, _ in ROWS]

    assert words == _in_order(set(words))


@pytest.mark.parametrize("place", [place for _, _, place in ROWS])
def test_every_word_has_a_place(place: str) -> None:
    """A word is linked to the specification or a page, or lives in a file that is there."""
    paths = PATH.findall(place)

    assert paths or "](" in place
    assert [path for path in paths if not (ROOT / "src/lamplighter" / path).is_file()] == []


def test_the_words_of_presence_are_there() -> None:
    """Every presence, and every field of it that clients see, is explained."""
    words = {word.strip("`") for word, _, _ in ROWS}

    assert {presence.name.lower() for presence in Presence} - words == set()
    shown = {"status_msg", "currently_active"}
    assert shown <= set(UserPresenceState.__struct_fields__) & words
