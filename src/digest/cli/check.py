"""`digest check`: everything that is wrong with config and templates, in one go."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from digest.cli.common import Home, Json, finish, say, show

if TYPE_CHECKING:
    import typer

    from digest.errors import Problem


def check(home: Home = None, as_json: Json = False) -> None:
    """Validate all of config and templates, and see that no flow is missing; writes nothing.

    Example: digest check
    """
    problems = _problems(home)
    if as_json:
        errors = [{"file": p.file, "key": p.key, "message": p.message} for p in problems]
        show({"ok": not problems, "errors": errors})
    else:
        for problem in problems:
            say(str(problem))
        faults = f"{len(problems)} fault{'s' if len(problems) > 1 else ''}."
        say(faults if problems else "Config and templates are in order.")
    if problems:
        finish(2)


def _problems(home: Home) -> list[Problem]:
    from digest.alerts import alert_problems
    from digest.errors import ConfigError
    from digest.issues.render import folder_problems, template_problems
    from digest.mail.verp import verp_problems
    from digest.settings import file_of, find_home, load_config, missing_flows
    from digest.social.checking import template_problems as social_problems

    folder = find_home(home)
    # A home that only the command line works on serves no flows, and needs none.
    serves = any((folder / name).exists() for name in ("flows", "deploy"))
    flows = missing_flows(folder) if serves else []
    try:
        config = load_config(folder)
    except ConfigError as error:
        return [*error.problems, *flows, *folder_problems(folder / "templates")]
    found = [
        *flows,
        *alert_problems(config.alerts, file_of(folder, "alerts")),
        *verp_problems(config.newsletters, partial(file_of, folder, "newsletters")),
        *template_problems(folder / "templates", config),
        *social_problems(folder / "templates", config),
    ]
    return sorted(found)


def add_to(app: typer.Typer) -> None:
    app.command()(check)
