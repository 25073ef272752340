"""The command line: `make bench`, or `python -m bench`."""

import asyncio
import json
from collections.abc import Coroutine, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console

from bench.errors import BenchError
from bench.machine import describe, raise_descriptor_limit
from bench.presets import PRESETS, QUICK, Plan, make_plan
from bench.report import Screen, has_place, render, renewed
from bench.results import as_json, table_of
from bench.running import Row, measure
from bench.servers.all import RECIPES
from bench.servers.process import ROOT

__all__ = ["app", "bench"]

T = TypeVar("T")

_OUT: Final = ROOT / "build" / "bench"
#: How wide the table may be where there is no terminal.
_WIDTH: Final = 150

app: Final = typer.Typer(add_completion=False)


@app.command()
def bench(
    preset: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME,...", help=f"Of {', '.join(PRESETS)}; all of them by default."),
    ] = None,
    server: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME,...", help=f"Of {', '.join(RECIPES)}; all that are here."),
    ] = None,
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help=f"Only {', '.join(QUICK)}: three minutes.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Synapse under the largest loads too: hours.")
    ] = False,
    repeat: Annotated[int, typer.Option(min=1, help="Measure so often; show the median.")] = 1,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the JSON file and the plot go.")
    ] = _OUT,
    document: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A Markdown page whose table of results is renewed."),
    ] = None,
) -> None:
    """Measure presence servers side by side: the same load, in one run, on one machine."""
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    presets = _chosen("preset", preset or (QUICK if quick else PRESETS), PRESETS)
    recipes = []
    for recipe in _chosen("server", server or RECIPES, RECIPES):
        if reason := recipe.absent():
            console.print(f"{recipe.name} is left out: {reason}")
        else:
            recipes.append(recipe)
    if document is not None and not has_place(document):
        raise typer.BadParameter(f"{document} has no place for results", param_hint="document")
    plan = make_plan(presets, recipes, everything=everything)
    raise_descriptor_limit()
    rows: list[Row] = []
    try:
        _run(_measure_all(console, plan, repeat, rows))
    except BenchError as problem:
        console.print("[red]The run has failed:[/]", str(problem), markup=True)
        raise typer.Exit(1) from None
    finally:
        if rows:
            _save(console, rows, plan, out)
            if document is not None:
                document.write_text(renewed(document.read_text(), table_of(rows)))
                console.print(f"The table in {document} is renewed")


def _chosen(option: str, words: Sequence[str] | Mapping[str, T], known: Mapping[str, T]) -> list[T]:
    """Return the values that *words* name. A word is one name, or several with commas between."""
    names = [name for word in words for name in word.split(",")]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is none of {', '.join(known)}", param_hint=option)
    return [known[name] for name in names]


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run *work*, on uvloop if there is one: the load costs half as much."""
    factory = None
    if find_spec("uvloop"):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work)


async def _measure_all(console: Console, plan: Plan, repeat: int, rows: list[Row]) -> None:
    """Append each row to *rows* as soon as it is measured: a failure loses no earlier row."""
    with Screen(console) as screen:
        for preset, recipe in plan.measured:
            screen.title = f"{preset.name} on {recipe.name}"
            for _ in range(repeat):
                new = await measure(preset, recipe, screen)
                rows += new
                for row in new:
                    cpu, unit = row.measurement.cpu_micros, row.measurement.unit
                    screen.say(f"{row.label} on {row.server}: {cpu:,.1f} µs CPU per {unit}")


def _save(console: Console, rows: Sequence[Row], plan: Plan, out: Path) -> None:
    table = table_of(rows)
    console.print(render(table, plan.left_out))
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
