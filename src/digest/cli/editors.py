"""`digest editors`: the accounts of the desk."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import By, Home, Json, note, opened, recorded, say, show, table, when

if TYPE_CHECKING:
    from digest.store.editors import Role

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="As it stands with every decision: Maya, Tom Ash.")
]
RoleName = Annotated[
    str, typer.Option("--role", help="editor decides; viewer looks. One of these two.")
]
Stdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]
Generate = Annotated[bool, typer.Option("--generate", help="Make a password, and print it once.")]


@app.command()
def add(
    name: Name,
    role: RoleName,
    password_stdin: Stdin = False,
    generate: Generate = False,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make an account for the desk. The password is asked for, or read, or made.

    Example: digest editors add Maya --role editor --generate
    """
    from digest import editors

    known = _role(role)
    with opened(home) as opened_app:
        password = _password(stdin=password_stdin, generate=generate)
        with recorded(opened_app, "editors add", by, name=name, role=role):
            made = editors.add_editor(opened_app.store, name, known, password, opened_app.clock())
        _tell(
            {"name": made, "role": role},
            f"{made} may sign in to the desk, as {role}.",
            password if generate else "",
            as_json=as_json,
        )


@app.command("list")
def list_(home: Home = None, as_json: Json = False) -> None:
    """List the accounts.

    Example: digest editors list
    """
    from digest import editors

    with opened(home) as opened_app:
        found = editors.list_editors(opened_app.store)
        if as_json:
            show(
                [
                    {
                        "name": one.name,
                        "role": one.role,
                        "created_at": one.created_at,
                        "disabled_at": one.disabled_at,
                    }
                    for one in found
                ]
            )
            return
        table(
            [
                (
                    one.name,
                    one.role,
                    when(one.created_at, opened_app.config),
                    when(one.disabled_at, opened_app.config),
                )
                for one in found
            ],
            ("name", "role", "made", "disabled"),
        )


@app.command()
def password(
    name: Name,
    password_stdin: Stdin = False,
    generate: Generate = False,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Give an account a new password; it is signed out everywhere.

    Example: digest editors password Maya
    """
    from digest import editors

    with opened(home) as opened_app:
        new = _password(stdin=password_stdin, generate=generate)
        with recorded(opened_app, "editors password", by, name=name):
            changed = editors.set_password(opened_app.store, name, new)
        _tell(
            {"name": changed},
            f"{changed} has a new password, and is signed out everywhere.",
            new if generate else "",
            as_json=as_json,
        )


@app.command()
def role(
    name: Name,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="editor or viewer.")],
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Give an account another role; it is signed out everywhere.

    Example: digest editors role Maya viewer
    """
    from digest import editors

    known = _role(role)
    with opened(home) as opened_app:
        with recorded(opened_app, "editors role", by, name=name, role=role):
            changed = editors.set_role(opened_app.store, name, known)
        said = f"{changed} is {role} now, and is signed out everywhere."
        _tell({"name": changed, "role": role}, said, as_json=as_json)


@app.command()
def disable(name: Name, by: By = None, home: Home = None, as_json: Json = False) -> None:
    """Let an account in no more, from this moment on. What it decided keeps its name.

    Example: digest editors disable Maya
    """
    from digest import editors

    with opened(home) as opened_app:
        with recorded(opened_app, "editors disable", by, name=name):
            changed = editors.disable(opened_app.store, name, opened_app.clock())
        said = f"{changed} cannot sign in any more, and is signed out everywhere."
        _tell({"name": changed, "disabled": True}, said, as_json=as_json)


@app.command()
def enable(name: Name, by: By = None, home: Home = None, as_json: Json = False) -> None:
    """Let an account in again that was disabled.

    Example: digest editors enable Maya
    """
    from digest import editors

    with opened(home) as opened_app:
        with recorded(opened_app, "editors enable", by, name=name):
            changed = editors.enable(opened_app.store, name)
        said = f"{changed} may sign in again."
        _tell({"name": changed, "disabled": False}, said, as_json=as_json)


def _role(text: str) -> Role:
    from digest.errors import UsageError

    if text == "editor":
        return "editor"
    if text == "viewer":
        return "viewer"
    raise UsageError(f"no role {text!r}; there are: editor, viewer")


def _password(*, stdin: bool, generate: bool) -> str:
    """The new password, from where it was said to come."""
    from digest.errors import UsageError
    from digest.passwords import new_password

    if stdin and generate:
        raise UsageError("say one of --password-stdin and --generate")
    if generate:
        return new_password()
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise UsageError(
            "there is no terminal to ask for a password: --password-stdin or --generate"
        )
    first = getpass.getpass("Password: ")
    if first != getpass.getpass("Again: "):
        raise UsageError("the two were not the same; nothing was changed")
    return first


def _tell(document: dict[str, object], said: str, made: str = "", *, as_json: bool) -> None:
    if as_json:
        show({**document, "password": made} if made else document)
        return
    say(said)
    if made:
        note("The password is shown this once:")
        say(made)
