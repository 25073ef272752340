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
from lamplighter.cli.config_option import DEFAULT_CONFIG, ConfigPath
from lamplighter.cli.ending import leaving_threads_behind
from lamplighter.cli.generate_config import config_text, write_config
from lamplighter.cli.homeserver_commands import homeserver_commands
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
TokenFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="What holds the admin token; else it is in LAMPLIGHTER_ADMIN_TOKEN.",
    ),
]
ServerUrl = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="Where the server runs, if it does.")
]
Username = Annotated[
    str, typer.Argument(help="The part of the user ID before the colon, or all of it.")
]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the standard input.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print what the admin API answers.")]
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


_keys = typer.Typer(help="Show and change the keys with which the server signs.")
app.add_typer(_keys, name="keys")

app.add_typer(cluster_commands, name="cluster")
app.add_typer(homeserver_commands, name="homeserver")

_module = typer.Typer(help="For the authors of modules.")
app.add_typer(_module, name="module")
_user = typer.Typer(help="The accounts of the server.")
app.add_typer(_user, name="user")

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


@app.command("register-user")
def _register_user(
    username: Username,
    config: ConfigPath = DEFAULT_CONFIG,
    password: Annotated[
        str | None, typer.Option(help="Others on this machine can see it; better be asked.")
    ] = None,
    password_stdin: PasswordStdin = False,
    admin: Annotated[bool, typer.Option("--admin", help="Make the user an administrator.")] = False,
) -> None:
    """Create an account; the server may be running."""
    from lamplighter.cli import user_commands

    if password is not None and password_stdin:
        raise typer.BadParameter("give --password or --password-stdin, not both")
    if password is None:
        password = _password(from_stdin=password_stdin)
    user_id = user_commands.register_user(config, username, password, is_admin=admin)
    typer.echo(f"Registered {user_id}")


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


@_user.command("list")
def _list_users(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """List the accounts; the server may be running."""
    from lamplighter.cli import user_commands

    for line in user_commands.list_users(config):
        typer.echo(line)


@_user.command("reset-password")
def _reset_password(
    username: Username,
    config: ConfigPath = DEFAULT_CONFIG,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    password_stdin: PasswordStdin = False,
    keep_devices: Annotated[
        bool, typer.Option("--keep-devices", help="Leave the user's devices logged in.")
    ] = False,
) -> None:
    """Give an account a new password, and log its devices out.

    A server that runs is asked to do it, which takes the admin token.
    """
    from lamplighter.cli.user_commands import Users

    users = Users(config, url, token_file)
    user_id = users.find(username)
    password = _password(from_stdin=password_stdin)
    users.reset_password(user_id, password, log_out=not keep_devices)
    typer.echo(f"{user_id} has a new password")


@_user.command("deactivate")
def _deactivate(
    username: Username,
    config: ConfigPath = DEFAULT_CONFIG,
    url: ServerUrl = None,
    token_file: TokenFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
) -> None:
    """Close an account for good: its devices, password, profile and memberships go.

    A server that runs is asked to do it, which takes the admin token.
    """
    from lamplighter.cli.user_commands import Users

    users = Users(config, url, token_file)
    user_id = users.find(username)
    if not yes:
        typer.confirm(f"Deactivate {user_id}? The user ID can never be used again.", abort=True)
    users.deactivate(user_id)
    typer.echo(f"Deactivated {user_id}")


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


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


@_keys.command("show")
def _show_keys(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Print which key signs, and which have expired."""
    from lamplighter.cli import keys as command

    for line in command.show(config):
        typer.echo(line)


@_keys.command("rotate")
def _rotate_keys(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Make a new signing key; the old one stays published. Restart the server afterwards."""
    from lamplighter.cli import keys as command

    for line in command.rotate(config):
        typer.echo(line)


@_module.command("check")
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


@_module.command("new")
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
