"""Checks that the built site loads nothing from other hosts: `python -m doctools.site build/site`.

It uses the standard library only, since its environment has nothing but the site's generator.
"""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

__all__ = ["fetched_from_elsewhere"]

#: Links that a reader may follow are not among these.
_FETCHING: Final = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "video": "src",
}
_HARMLESS_LINKS: Final = {"canonical", "next", "prev"}
_ELSEWHERE: Final = re.compile(r"(https?:)?//")
#: The theme's script loads a library from elsewhere when a page has one of these.
_FETCHING_CLASSES: Final = {"glightbox", "mermaid", "pyodide"}


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        address = values.get(_FETCHING.get(tag, ""), "")
        if _ELSEWHERE.match(address) and values.get("rel") not in _HARMLESS_LINKS:
            self.found.append(f"<{tag}> {address}")
        for name in _FETCHING_CLASSES & set(values.get("class", "").split()):
            self.found.append(f"<{tag}> of class {name}")


def fetched_from_elsewhere(site: Path) -> Iterator[str]:
    """Return the URLs on other hosts that a browser would load for the pages below *site*."""
    for path in sorted(site.rglob("*.html")):
        page = _Page()
        page.feed(path.read_text(encoding="utf-8"))
        yield from (f"{path.relative_to(site)}: {found}" for found in page.found)


if __name__ == "__main__":
    problems = list(fetched_from_elsewhere(Path(sys.argv[1])))
    sys.exit("\n".join(["the site would fetch from elsewhere:", *problems]) if problems else 0)
