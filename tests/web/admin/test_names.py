"""User IDs as operators write them."""

import pytest

from lamplighter.errors import InvalidId
from lamplighter.ids import ServerName
from lamplighter.web.admin.names import user_named

HERE = ServerName("demo")


@pytest.mark.parametrize(
    ("text", "user_id"),
    [
        ("bob", "@bob:demo"),
        ("@bob", "@bob:demo"),
        ("@bob:demo", "@bob:demo"),
        ("bob:elsewhere.org:8448", "@bob:elsewhere.org:8448"),
        ("@bob:elsewhere.org", "@bob:elsewhere.org"),
    ],
)
def test_names(text: str, user_id: str) -> None:
    """A name without a server is of this server; the sigil may be left out."""
    assert user_named(text, HERE) == user_id


@pytest.mark.parametrize("text", ["", "bob:", "b\0b", "bob:a b", "x" * 256])
def test_what_is_nobody(text: str) -> None:
    """A text that makes no user ID is refused."""
    with pytest.raises(InvalidId):
        user_named(text, HERE)
