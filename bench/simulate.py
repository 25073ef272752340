"""What ten nodes carry: `python -m bench.simulate` simulates it, and compares it with figures.

The costs are those of `COSTS`; where each comes from stands beside it. A page has the
measured rows that the simulated ones are compared with; `--renew` puts both tables into it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from bench.simulation import Costs, Load, Outcome, simulate

__all__ = ["COSTS", "main", "measured_rows", "tables", "with_tables"]

SEED: Final = 1

#: Delivery, cold caches and the idle second are fitted to the measured rows of one to four nodes;
#: what the log costs is from decision 0059, a durable PUT from the preset `put`, and reading a
#: change was measured without watchers.
COSTS: Final = Costs(
    delivery=26,
    cold=1_700,
    change_read=13,
    read=20,
    append=22,
    owned_change=150,
    said=100,
    idle=6_000,
    bus_append=22,
    bus_read=15,
    bus_message=18,
    bus_node=900,
    bus_idle=1_800,
)

#: The measured rows by the beginning of their line in the page.
_MEASURED: Final[Mapping[str, Load]] = {
    "room of 200, two changes a second": Load(199, 40, 2, is_steady=True),
    "room of 500, two changes a second": Load(499, 40, 2, is_steady=True),
    "room of 500, as fast as it goes": Load(499, 400),
}
#: The columns of the page after the first one.
_NODES: Final = (1, 2, 4)

_PEOPLE_OF_A_NODE: Final = 50_000
_WATCHERS: Final = 100
_CHANGES_EVERY: Final = 300
_SECONDS: Final = 4

BEGIN: Final = "<!-- simulated: `python -m bench.simulate --renew` writes what follows -->"
END: Final = "<!-- end of what is simulated -->"


def measured_rows(page: str) -> Iterator[tuple[str, int, float]]:
    """Give the measured rows of *page*: the load, the nodes, and µs per delivery with Valkey's."""
    for line in page.splitlines():
        load, *cells = (it.strip() for it in line.strip("|").split("|"))
        if load not in _MEASURED:
            continue
        for nodes, cell in zip(_NODES, cells, strict=False):
            if found := re.match(r"([0-9.]+) µs =", cell):
                yield load, nodes, float(found[1])


def tables(page: str) -> str:
    """Return both tables in Markdown; the measured rows are those of *page*."""
    return "\n".join([*_compared(page), "", *_foreseen()])


def _compared(page: str) -> Iterator[str]:
    yield "| load | nodes | measured | simulated | deviation |"
    yield "|---|---|---|---|---|"
    for name, nodes, measured in measured_rows(page):
        found = simulate(nodes, COSTS, _MEASURED[name], SEED, shares_core=True)
        micros = found.micros_per_delivery + 1e6 * found.bus / found.deliveries
        deviation = 100 * (micros / measured - 1)
        yield f"| {name} | {nodes} | {measured:.0f} µs | {micros:.0f} µs | {deviation:+.0f} % |"


def _foreseen() -> Iterator[str]:
    yield "| nodes | people online | changes/s | busiest node | Valkey | p50 | p99 | lag |"
    yield "|---|---|---|---|---|---|---|---|"
    rows: Sequence[tuple[int, int, int]] = [
        *((nodes, nodes * _PEOPLE_OF_A_NODE, 1) for nodes in (1, 2, 4, 10, 20)),
        (20, 20 * _PEOPLE_OF_A_NODE, 200),
        (10, 20 * _PEOPLE_OF_A_NODE, 1),
        (40, 20 * _PEOPLE_OF_A_NODE, 1),
    ]
    for nodes, people, together in rows:
        rate = people / _CHANGES_EVERY
        load = Load(_WATCHERS, round(rate * _SECONDS), rate, together=together)
        burst = "" if together == 1 else f", {together} at once"
        yield _row(f"{nodes}{burst}", people, rate, simulate(nodes, COSTS, load, SEED))


def _row(nodes: str, people: int, rate: float, found: Outcome) -> str:
    busiest, bus = max(found.nodes) / found.seconds, found.bus / found.seconds
    times = " | ".join(f"{1000 * it:.1f} ms" for it in (found.p50, found.p99, found.lag))
    return f"| {nodes} | {people:,} | {rate:,.0f} | {busiest:.0%} | {bus:.0%} | {times} |"


def with_tables(page: str) -> str:
    """Return *page* with new tables between the marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables(page)}\n\n{END}{after}"


def main(
    document: Annotated[
        Path, typer.Option(metavar="FILE", help="A page with the measured rows.")
    ] = Path("docs/performance.md"),
    *,
    renew: Annotated[bool, typer.Option("--renew", help="Put the tables into the page.")] = False,
) -> None:
    """Simulate a server of many nodes, with the costs that were measured."""
    page = document.read_text(encoding="utf-8")
    if not renew:
        typer.echo(tables(page))
    elif BEGIN in page:
        document.write_text(with_tables(page), encoding="utf-8")
    else:
        raise typer.BadParameter(f"{document} has no place for the tables", param_hint="document")


if __name__ == "__main__":
    typer.run(main)
