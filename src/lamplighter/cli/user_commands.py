"""The options of `lamplighter user` and `lamplighter register-user`."""

import sys
from typing import Annotated

import typer

from lamplighter.cli.options import DEFAULT_CONFIG, ConfigPath, TokenFile

__all__ = ["register_account", "user_commands"]

_ServerUrl = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="Where the server runs, if it does.")
]
_Username = Annotated[
    str, typer.Argument(help="The part of the user ID before the colon, or all of it.")
]
_PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the standard input.")
]

user_commands = typer.Typer(help="The accounts of the server.")


def register_account(
    username: _Username,
    config: ConfigPath = DEFAULT_CONFIG,
    password: Annotated[
        str | None, typer.Option(help="Others on this machine can see it; better be asked.")
    ] = None,
    password_stdin: _PasswordStdin = False,
    admin: Annotated[bool, typer.Option("--admin", help="Make the user an administrator.")] = False,
) -> None:
    """Create an account; the server may be running."""
    from lamplighter.cli import users

    if password is not None and password_stdin:
        raise typer.BadParameter("give --password or --password-stdin, not both")
    if password is None:
        password = _password(from_stdin=password_stdin)
    user_id = users.register_user(config, username, password, is_admin=admin)
    typer.echo(f"Registered {user_id}")


@user_commands.command("list")
def _list_users(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """List the accounts; the server may be running."""
    from lamplighter.cli import users

    for line in users.list_users(config):
        typer.echo(line)


@user_commands.command("reset-password")
def _reset_password(
    username: _Username,
    config: ConfigPath = DEFAULT_CONFIG,
    url: _ServerUrl = None,
    token_file: TokenFile = None,
    password_stdin: _PasswordStdin = False,
    keep_devices: Annotated[
        bool, typer.Option("--keep-devices", help="Leave the user's devices logged in.")
    ] = False,
) -> None:
    """Give an account a new password, and log its devices out.

    A server that runs is asked to do it, which takes the admin token.
    """
    from lamplighter.cli.users import Users

    users = Users(config, url, token_file)
    user_id = users.find(username)
    password = _password(from_stdin=password_stdin)
    users.reset_password(user_id, password, log_out=not keep_devices)
    typer.echo(f"{user_id} has a new password")


@user_commands.command("deactivate")
def _deactivate(
    username: _Username,
    config: ConfigPath = DEFAULT_CONFIG,
    url: _ServerUrl = None,
    token_file: TokenFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
) -> None:
    """Close an account for good: its devices, password, profile and memberships go.

    A server that runs is asked to do it, which takes the admin token.
    """
    from lamplighter.cli.users import Users

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
