"""Drawings."""

import xml.etree.ElementTree as ET

from doctools.svg import Drawing


def test_it_is_xml_and_says_what_it_is() -> None:
    """A drawing is well-formed whatever it says, and has its title and description as text."""
    drawing = Drawing(40, 20, "a < b", "b & c")
    drawing.text(1, 2, "<&>")

    root = ET.fromstring(drawing.render())

    texts = [it.text for it in root if it.tag.rpartition("}")[2] in ("title", "desc", "text")]
    assert texts == ["a < b", "b & c", "<&>"]


def test_an_arrow_ends_at_its_last_point() -> None:
    """The tip is at the end, and points where the last piece goes."""
    drawing = Drawing(40, 20, "", "")
    drawing.arrow([(0, 5), (30, 5)], "say")

    assert '<path d="M30 5 L22 9.4 L22 0.6 L30 5" class="tip say"/>' in drawing.render()


def test_it_asks_nothing_of_the_network() -> None:
    """No font, style or picture is fetched from elsewhere."""
    text = Drawing(1, 1, "", "").render().replace("http://www.w3.org/2000/svg", "")

    assert "http" not in text
    assert "url(" not in text
