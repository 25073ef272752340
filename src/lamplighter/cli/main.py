"""The `lamplighter` command and its options. The files beside have the work of each command.

An error becomes one line on the standard error. The exit code is 2 if the configuration, the
command line, a module or a record is wrong, and 1 otherwise. Commands that ask a running server
exit with 2 if there is no answer, and `explain` exits with 1 for the answer "no".
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter import __version__
from lamplighter.cli.cluster_commands import cluster_commands
from lamplighter.cli.ending import leaving_threads_behind
from lamplighter.cli.generate_config import config_text, write_config
from lamplighter.cli.homeserver_commands import homeserver_commands
from lamplighter.cli.keys_commands import keys_commands
from lamplighter.cli.module_commands import module_commands
from lamplighter.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, TokenFile
from lamplighter.cli.user_commands import register_account, user_commands
from lamplighter.errors import (
    AdminUnavailable,
    ClusterRefused,
    ConfigError,
    LamplighterError,
    ModuleError,
    RecordUnreadable,
)

if TYPE_CHECKING:
    from rich.console import Console

    from lamplighter.cli.admin_client import AdminClient

__all__ = ["app", "main"]

app = typer.Typer(
    help="A Matrix presence server that runs Synapse presence router modules.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Url = Annotated[str, typer.Option("--url", metavar="URL", help="Where the server is.")]
DEFAULT_URL = "http://127.0.0.1:8008"
Viewer = Annotated[str, typer.Argument(metavar="VIEWER", help="A user: bob, or @bob:demo.")]
Subject = Annotated[str, typer.Argument(metavar="SUBJECT", help="A user: bob, or @bob:demo.")]

_NO_USE_TO_GO_ON = (AdminUnavailable, ClusterRefused, ConfigError, ModuleError, RecordUnreadable)


def main() -> None:
    """Run the command of the command line, and end the process."""
    with leaving_threads_behind():
        try:
            app()
        except LamplighterError as error:
            typer.echo(f"error: {error}", err=True)
            sys.exit(2 if isinstance(error, _NO_USE_TO_GO_ON) else 1)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lamplighter {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


app.add_typer(keys_commands, name="keys")
app.add_typer(cluster_commands, name="cluster")
app.add_typer(homeserver_commands, name="homeserver")
app.add_typer(module_commands, name="module")
app.add_typer(user_commands, name="user")

# Each command imports what it needs when it runs, so that the others start at once.


@app.command("serve")
def _serve(
    config: ConfigPath = DEFAULT_CONFIG,
    reload: Annotated[
        bool, typer.Option("--reload", help="For development: reload modules whose files change.")
    ] = False,
) -> None:
    """Run the server until SIGTERM or Ctrl-C; SIGHUP reloads the modules."""
    from lamplighter.cli.serve import serve as run
    from lamplighter.cli.watch import reload_on_changes

    run(config, *([reload_on_changes] if reload else []))


@app.command("demo")
def _demo(
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to serve HTTP.")
    ] = "127.0.0.1:8008",
    nodes: Annotated[
        int, typer.Option(min=1, max=8, help="Show how so many nodes serve as one, and one dies.")
    ] = 1,
) -> None:
    """Run a server with three users and a presence router module, and show what it does."""
    if nodes > 1:
        from lamplighter.cli.demo_nodes import demo_nodes

        demo_nodes(listen, nodes)
    else:
        from lamplighter.cli.demo import demo as run

        run(listen)


@app.command("generate-config")
def _generate_config(
    server_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="What user IDs end in, such as example.org.")
    ] = None,
    from_synapse: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take what moves of Synapse's homeserver.yaml."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write to a new file."),
    ] = None,
) -> None:
    """Print a configuration to start from, with every key explained."""
    if from_synapse is not None:
        from lamplighter.cli.from_synapse import config_from_synapse

        text = config_from_synapse(from_synapse, server_name)
    elif server_name is not None:
        text = config_text(server_name)
    else:
        raise typer.BadParameter("give --server-name or --from-synapse")
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_config(text, output)
        typer.echo(f"Wrote {output}", err=True)


@app.command("check-config")
def _check_config(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Load the configuration and its modules as `serve` would, but start nothing."""
    from lamplighter.cli import check_config as command

    for line in command.check_config(config):
        typer.echo(line)


app.command("register-user")(register_account)


@app.command("admin-token")
def _admin_token() -> None:
    """Make a token for the admin API; what the configuration keeps of it goes to the screen.

    Only the token is written to the standard output, so that a file takes it: > token.txt
    """
    from lamplighter.web.admin.auth import hash_of, new_admin_token

    token = new_admin_token()
    here = "The admin token. It is shown this once; keep it where you keep passwords:\n"
    typer.echo(here, err=True)
    typer.echo(token)
    typer.echo("\nIn lamplighter.yaml, then restart the server:\n", err=True)
    typer.echo(f"admin:\n  token_hash: {hash_of(token)}", err=True)


@app.command("backup")
def _backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The archive to make, .tar.gz.")],
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Write databases and keys into one archive; the server may be running."""
    from lamplighter.cli import backup as command

    for line in command.backup(config, file):
        typer.echo(line)


@app.command("explain")
def _explain(
    viewer: Viewer,
    subject: Subject,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Tell whether VIEWER sees SUBJECT, why, and what would have to change.

    The exit code is 0 for yes and 1 for no.
    """
    from lamplighter.cli import visibility

    client = _admin_client(url, token_file)
    if not visibility.explain(client, _console(), viewer, subject, as_json=as_json):
        raise typer.Exit(1)


@app.command("sees")
def _sees(
    viewer: Viewer,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """List whom VIEWER sees, and why."""
    from lamplighter.cli.visibility import ListQuestion, show_list

    client = _admin_client(url, token_file)
    show_list(client, _console(), ListQuestion.SEES, viewer, as_json=as_json)


@app.command("seen-by")
def _seen_by(
    subject: Subject,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """List who sees SUBJECT, and why."""
    from lamplighter.cli.visibility import ListQuestion, show_list

    client = _admin_client(url, token_file)
    show_list(client, _console(), ListQuestion.SEEN_BY, subject, as_json=as_json)


def _admin_client(url: str, token_file: Path | None) -> "AdminClient":
    from lamplighter.cli.admin_client import AdminClient, read_token

    return AdminClient(url, read_token(token_file))


def _console() -> "Console":
    from rich.console import Console

    return Console()


@app.command("replay")
def _replay(
    record: Annotated[
        Path, typer.Argument(metavar="LOG", help="What `routing.record` has written.")
    ],
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every difference, for programs.")
    ] = False,
) -> None:
    """Decide again what is recorded, with the modules of a configuration, and show what differs.

    The exit code is 0 where nothing differs, 1 where something does, and 2 where it cannot be told.
    """
    from lamplighter.cli import replay as command

    raise typer.Exit(command.replay(record, config, as_json=as_json))
