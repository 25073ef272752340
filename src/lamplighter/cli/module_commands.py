"""The options of `lamplighter module`."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["module_commands"]

module_commands = typer.Typer(help="For the authors of modules.")


@module_commands.command("check")
def _check_module(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PACKAGE.CLASS]...",
            help="The dotted path of the module's class; all modules of the configuration if none.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            help="The module's own configuration, or a server's that loads it.",
        ),
    ] = None,
    people: Annotated[Path | None, typer.Option(metavar="FILE", help="Who is asked about.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Ask a module in simulated worlds, and report what is wrong with it; then the exit code is 1.

    Several modules are asked together, too: do two of them alter the same presence in different
    ways? A module is found from the current folder, or its src, as well as where Python finds it.
    """
    from lamplighter.cli import module_check as command

    report = (
        command.check(paths[0], config, people)
        if paths is not None and len(paths) == 1
        else command.check_several(paths or (), config, people)
    )
    if as_json:
        typer.echo(command.as_json(report))
    else:
        command.print_report(report)
    raise typer.Exit(0 if report.is_good else 1)


@module_commands.command("new")
def _new_module(
    name: Annotated[
        str, typer.Argument(help="What the project is called, such as on-call: a-z, 0-9, - and _.")
    ],
) -> None:
    """Make a project to start from, typed and tested, in a new folder of that name."""
    from lamplighter.devtools.new import make_project, parse_project_name

    project = parse_project_name(name)
    folder = make_project(project, Path())
    typer.echo(f"Made {folder}. To go on:\n")
    typer.echo(f"  cd {folder}")
    typer.echo("  python -m pip install -e '.[dev]'")
    typer.echo("  python -m pytest")
    typer.echo(
        f"  lamplighter module check {project.package}.{project.class_name} -c lamplighter.yaml"
    )
