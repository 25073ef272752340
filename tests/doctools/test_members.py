"""Documentation from the source of classes."""

from typing import ClassVar

from doctools.members import constants, describe, fields, methods


class Lamp:
    """Gives light."""

    COLOUR: ClassVar[str] = "yellow"

    #: In metres;
    #: 0 is on the ground.
    height: float = 3
    name: "str | None" = None

    def light(self, when: int, *, keep: "Lamp | None" = None) -> "Lamp":
        """Light it."""
        return self

    @property
    def is_lit(self) -> bool:
        """Whether it is lit."""
        return True

    def undocumented(self) -> None:
        pass

    def _private(self) -> None:
        """Not for others."""


def test_a_class() -> None:
    """A class says what its docstring says, a function also how it is called."""
    assert describe(Lamp) == "Gives light."
    assert describe(test_a_class).startswith(
        "```pyi\ndef test_a_class() -> None: ...\n```\n\nA class"
    )


def test_fields() -> None:
    """Each field has its type, its default, and the comment above it."""
    assert fields(Lamp).splitlines()[2:] == [
        "| `height: float = 3` | In metres; 0 is on the ground. |",
        "| `name: 'str &#124; None' = None` |  |",
    ]


def test_constants() -> None:
    """Constants have their values."""
    assert constants(Lamp).splitlines()[2:] == ["| `Lamp.COLOUR` | `yellow` |"]


def test_methods() -> None:
    """Documented methods and properties of others' interest, as they are called."""
    assert (
        methods(Lamp, level=3)
        == """\
### light

```pyi
def light(when: int, *, keep: Lamp | None = None) -> Lamp: ...
```

Light it.

### is_lit

```pyi
is_lit: bool
```

Whether it is lit."""
    )
