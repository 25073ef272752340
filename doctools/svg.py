"""A little SVG: lines, boxes and words, in colours that suit a light and a dark page.

A drawing has its own background, so it is legible on any page. Its colours follow the reader's
`prefers-color-scheme`; each is a class, and the classes stand in `_STYLE`.
"""

from collections.abc import Iterable
from typing import Final
from xml.sax.saxutils import escape, quoteattr

__all__ = ["Drawing"]

_FONT: Final = 'system-ui, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif'
_STYLE: Final = f"""
svg {{ --ground: #fbfbfd; --frame: #d9dce3; --ink: #1f2430; --soft: #5b6473; --box: #ffffff;
  --say: #2563c9; --time: #8a5a00; --drop: #6b7280;
  --online: #1f9d55; --unavailable: #d08700; --busy: #d23b3b; --offline: #8b93a1; }}
@media (prefers-color-scheme: dark) {{
svg {{ --ground: #16181e; --frame: #333844; --ink: #e8eaf0; --soft: #a3abba; --box: #20242d;
  --say: #7fb0ff; --time: #e6b455; --drop: #a0a7b4;
  --online: #3fcf7f; --unavailable: #f0b13a; --busy: #ff7a7a; --offline: #7d8594; }}
}}
text {{ font: 13px {_FONT}; fill: var(--ink); }}
.small {{ font-size: 12px; }}
.strong {{ font-weight: 600; }}
.middle {{ text-anchor: middle; }}
.end {{ text-anchor: end; }}
.ground {{ fill: var(--ground); stroke: var(--frame); }}
.box {{ fill: var(--box); stroke: var(--soft); stroke-width: 1.5; }}
.absent {{ stroke-dasharray: 5 4; }}
.edge {{ fill: none; stroke-width: 1.75; }}
.halo {{ fill: none; stroke: var(--ground); stroke-width: 7; }}
.soft {{ fill: var(--soft); }}
.rule {{ stroke: var(--frame); fill: none; }}
.say {{ stroke: var(--say); }} text.say, .tip.say {{ fill: var(--say); stroke: none; }}
.time {{ stroke: var(--time); }} text.time, .tip.time {{ fill: var(--time); stroke: none; }}
.drop {{ stroke: var(--drop); }} text.drop, .tip.drop {{ fill: var(--drop); stroke: none; }}
.rail {{ fill: var(--say); fill-opacity: 0.12; stroke: var(--say); }}
.online {{ fill: var(--online); }} .unavailable {{ fill: var(--unavailable); }}
.busy {{ fill: var(--busy); }} .offline {{ fill: var(--offline); }}
.faint {{ fill-opacity: 0.45; }}
.badge {{ fill: var(--box); stroke: var(--ink); }}
""".strip()

Point = tuple[float, float]


class Drawing:
    """A picture; later shapes cover earlier ones."""

    def __init__(self, width: int, height: int, title: str, description: str) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" aria-labelledby="title desc">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="desc">{escape(description)}</desc>',
            f"<style>\n{_STYLE}\n</style>",
        ]
        self.box(0.5, 0.5, width - 1, height - 1, "ground", radius=12)

    def box(
        self, x: float, y: float, width: float, height: float, style: str, *, radius: float = 8
    ) -> None:
        """Draw a rectangle whose corners are round."""
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}" '
            f"class={quoteattr(style)}/>"
        )

    def dot(self, x: float, y: float, radius: float, style: str) -> None:
        """Draw a filled circle."""
        self._parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" class="{style}"/>')

    def text(self, x: float, y: float, words: str, style: str = "") -> None:
        """Write *words* with their base line at *y*."""
        self._parts.append(f'<text x="{x:g}" y="{y:g}" class="{style}">{escape(words)}</text>')

    def line(self, points: Iterable[Point], style: str) -> None:
        """Draw a line from point to point."""
        path = " L".join(f"{x:g} {y:g}" for x, y in points)
        self._parts.append(f'<path d="M{path}" class="{style}"/>')

    def arrow(self, points: list[Point], style: str, *, crosses: bool = False) -> None:
        """Draw a line of horizontal and vertical pieces, with its tip at the last point.

        One that *crosses* others goes over them as a bridge does.
        """
        (before_x, before_y), (x, y) = points[-2:]
        if crosses:
            self.line(points, "halo")
        self.line(points, f"edge {style}")
        step_x, step_y = _sign(x - before_x) * 8.0, _sign(y - before_y) * 8.0
        side_x, side_y = step_y * 0.55, step_x * 0.55
        tip = [
            (x, y),
            (x - step_x + side_x, y - step_y + side_y),
            (x - step_x - side_x, y - step_y - side_y),
        ]
        self.line([*tip, tip[0]], f"tip {style}")

    def render(self) -> str:
        """Return the picture as a file."""
        return "\n".join([*self._parts, "</svg>", ""])


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
