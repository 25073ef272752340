"""All generated files in docs/."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from doctools.device_states import draw_device_states
from doctools.module_api import module_api_reference
from doctools.timeline import draw_timeline
from lamplighter.presence.transitions import DEVICE_TRANSITIONS

__all__ = ["DOCS", "GENERATED", "generated_text", "write_all"]

DOCS: Final = Path(__file__).parents[1] / "docs"

#: A page is written by hand down to this line.
_MARK: Final = "<!-- generated -->\n"

#: By name in docs/.
GENERATED: Final[Mapping[str, Callable[[], str]]] = {
    "assets/device-states.svg": lambda: draw_device_states(DEVICE_TRANSITIONS),
    "assets/timeline.svg": draw_timeline,
    "module-api.md": module_api_reference,
}


def generated_text(name: str) -> str:
    """Return the text that the file of this name in docs/ should have."""
    text = GENERATED[name]()
    if not name.endswith(".md"):
        return text
    by_hand, mark, _ = (DOCS / name).read_text(encoding="utf-8").partition(_MARK)
    return f"{by_hand}{mark}\n{text}"


def write_all() -> list[str]:
    """Write every generated file; return their names."""
    for name in GENERATED:
        path = DOCS / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(generated_text(name), encoding="utf-8")
    return list(GENERATED)
