"""`make bench`, or `python -m bench`: the command line."""

import asyncio
import json
from collections.abc import Coroutine, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from bench.errors import BenchError
from bench.machine import describe, raise_descriptor_limit
from bench.presets import PRESETS, QUICK, Preset
from bench.report import Screen, render
from bench.results import as_json, table_of
from bench.running import Row, measure
from bench.servers.all import RECIPES
from bench.servers.process import ROOT, Recipe

_OUT: Final = ROOT / "build" / "bench"
#: How wide the table may be where there is no terminal.
_WIDTH: Final = 120


def bench(
    preset: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this one; may be repeated.")
    ] = None,
    server: Annotated[
        str, typer.Option(metavar="NAME,NAME", help="Only these servers.")
    ] = ",".join(RECIPES),
    *,
    quick: Annotated[bool, typer.Option("--quick", help="A few small ones: 3 minutes.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Synapse under the largest loads too: hours.")
    ] = False,
    repeat: Annotated[int, typer.Option(min=1, help="Measure so often; show the median.")] = 1,
    out: Annotated[Path, typer.Option(help="Where the JSON file and the plot go.")] = _OUT,
) -> None:
    """Measure presence servers side by side, under the same load on the same machine."""
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    try:
        recipes = _present(console, [RECIPES[name] for name in server.split(",")])
        chosen = [PRESETS[name] for name in preset or (QUICK if quick else PRESETS)]
    except KeyError as unknown:
        raise typer.BadParameter(
            f"{unknown} is none of {', '.join((*RECIPES, *PRESETS))}"
        ) from None
    pairs = [(it, recipe) for it in chosen for recipe in recipes if it.can_run_on(recipe)]
    wanted = [pair for pair in pairs if everything or pair[0].is_for(pair[1])]
    left_out = [(it.name, recipe.name) for it, recipe in pairs if (it, recipe) not in wanted]
    rows: list[Row] = []
    try:
        _run(_measure_all(console, wanted, repeat, rows))
    except BenchError as problem:
        console.print(f"[red]The run has failed:[/] {problem}")
        raise typer.Exit(1) from None
    finally:
        if rows:
            _save(console, rows, left_out, out)


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run *work*, on uvloop if there is one: the load costs half as much."""
    factory = None
    if find_spec("uvloop"):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work)


def _present(console: Console, recipes: Sequence[Recipe]) -> list[Recipe]:
    """Return those of *recipes* that can be run here; say why the others cannot."""
    for recipe in recipes:
        reason = recipe.absent()
        if reason:
            console.print(f"{recipe.name} is left out: {reason}")
    return [recipe for recipe in recipes if not recipe.absent()]


async def _measure_all(
    console: Console,
    pairs: Iterable[tuple[Preset, Recipe]],
    repeat: int,
    rows: list[Row],
) -> None:
    """Add to *rows* as they are measured, so that a failure leaves what came before it."""
    with Screen(console) as screen:
        for preset, recipe in pairs:
            screen.title = f"{preset.name} on {recipe.name}"
            for _ in range(repeat):
                new = await measure(preset, recipe, screen)
                rows += new
                for row in new:
                    screen.say(_line(row))


def _line(row: Row) -> str:
    measured = row.measurement
    return f"{row.label} on {row.server}: {measured.cpu_micros:,.1f} µs CPU per {measured.unit}"


def _save(
    console: Console, rows: Sequence[Row], left_out: Iterable[tuple[str, str]], out: Path
) -> None:
    table = table_of(rows)
    console.print(render(table, left_out))
    out.mkdir(parents=True, exist_ok=True)
    content = as_json(rows, {"machine": describe()})
    (out / "results.json").write_text(json.dumps(content, indent=2) + "\n")
    saved = ["results.json"]
    # The extra `bench` has it; `make bench` installs that.
    if find_spec("matplotlib"):
        from bench.plot import save_plot

        save_plot(table, out / "results.png")
        saved.append("results.png")
    console.print(f"{' and '.join(saved)}: in {out}")


if __name__ == "__main__":
    raise_descriptor_limit()
    typer.run(bench)
