"""Imports run one way, heavy things are imported late, and `digest` never imports prefect."""

import ast
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"

#: From the ground up. A module may import what stands in its own layer or below.
LAYERS = [
    (
        "digest",
        "digest.errors",
        "digest.files",
        "digest.locks",
        "digest.masking",
        "digest.model",
        "digest.passwords",
        "digest.ports",
        "digest.up.place",
    ),
    (
        "digest.config",
        "digest.config_inboxes",
        "digest.config_mailers",
        "digest.config_social",
        "digest.config_types",
    ),
    # Decisions: pure functions of values.
    (
        "digest.picks",
        "digest.feeds",
        "digest.mail",
        "digest.readers",
        "digest.social",
        "digest.inbox",
        "digest.issues",
        "digest.links",
    ),
    ("digest.store",),
    # Steps: they open transactions and talk to adapters.
    (
        "digest.feeds.ingest",
        "digest.feeds.refresh",
        "digest.feeds.recheck",
        "digest.inbox.boxes",
        "digest.issues.shelf",
        "digest.issues.compose",
        "digest.issues.each_post",
        "digest.issues.desk",
        "digest.issues.freeze",
        "digest.issues.picking",
        "digest.issues.preview",
        "digest.mail.deliver",
        "digest.mail.gate",
        "digest.mail.leases",
        "digest.mail.letters",
        "digest.mail.mailers",
        "digest.mail.proving",
        "digest.readers.enrolment",
        "digest.readers.erasure",
        "digest.readers.exporting",
        "digest.readers.importing",
        "digest.readers.lifting",
        "digest.readers.rows",
        "digest.readers.settings",
        "digest.readers.sign_up",
        "digest.readers.subscriptions",
        "digest.social.bars",
        "digest.social.channels",
        "digest.social.checking",
        "digest.social.drafting",
        "digest.social.drift",
        "digest.social.pictures",
        "digest.social.placing",
        "digest.social.plan",
        "digest.social.planned",
        "digest.social.press",
        "digest.social.preview",
        "digest.social.proving",
        "digest.social.publish",
        "digest.social.readying",
        "digest.social.remembered",
        "digest.social.rotation",
        "digest.social.settle",
        "digest.social.tails",
        "digest.social.undoing",
        "digest.social.workshop",
    ),
    (
        "digest.alerts",
        "digest.settings",
        "digest.logs",
        "digest.checking",
        "digest.notice_letters",
        "digest.notices",
        "digest.previews",
    ),
    ("digest.up.connection",),
    (
        "digest.asking",
        "digest.calendar",
        "digest.editors",
        "digest.eta",
        "digest.housekeeping",
        "digest.inbox.reading",
        "digest.late",
        "digest.overdue",
        "digest.reporting",
        "digest.sending",
        "digest.returning",
        "digest.settling",
        "digest.showing",
        "digest.starting",
        "digest.threads",
        "digest.waking",
        "digest.who_csv",
    ),
    ("digest.bootstrap",),
    ("digest.deciding", "digest.deciding_threads", "digest.recording"),
    ("digest.web",),
    ("digest.up",),
    ("digest.cli",),
    ("digest.__main__",),
    # The flows' Prefect side, which only they and the catalogue import.
    ("digest_prefect",),
]


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(SRC.rglob("*.py")):
        parts = path.relative_to(SRC).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if not name.startswith(("digest.sample", "digest.store.migrations")):
            found[name] = path
    return found


MODULES = modules()


def layer(module: str) -> int:
    """The layer whose name fits the module best."""
    places = [
        (len(name), number)
        for number, names in enumerate(LAYERS)
        for name in names
        if module == name or (module.startswith(f"{name}.") and name != "digest")
    ]
    assert places, f"{module} stands in no layer; give it one"
    return max(places)[1]


def imports(path: Path) -> set[str]:
    """Our modules that a file imports when it runs; not what only its types need."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & MODULES.keys() - {"digest"}


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module):
    above = {used for used in imports(MODULES[module]) if layer(used) > layer(module)}
    assert not above, f"{module} imports what stands above it"


def test_rooms_do_not_import_each_others_steps():
    steps = {name for name in MODULES if layer(name) == 4}
    for name in steps:
        room = name.split(".")[1]
        others = {used for used in imports(MODULES[name]) & steps if used.split(".")[1] != room}
        assert not others, f"{name} imports steps of another room"


ADAPTERS = ("digest.inbox.boxes.", "digest.mail.mailers.", "digest.social.channels.")


def test_only_the_bootstrap_names_adapters():
    for name, path in MODULES.items():
        if not name.startswith(("digest.bootstrap", *ADAPTERS)):
            adapters = {used for used in imports(path) if used.startswith(ADAPTERS)}
            assert not adapters, f"{name} names an adapter"


def loaded_by(code: str) -> set[str]:
    script = f"{code}\nimport sys; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True
    )
    return set(done.stdout.split())


def test_digest_never_imports_prefect():
    ours = [name for name in MODULES if name.startswith("digest.") and name != "digest.__main__"]
    everything = "\n".join(f"import {name}" for name in ours)
    assert "prefect" not in loaded_by(everything)


def test_help_imports_nothing_heavy():
    heavy = {"sqlalchemy", "pydantic", "alembic", "requests", "feedparser", "jinja2", "mjml"}
    assert not heavy & loaded_by("import digest.cli")


FLOWS = sorted((SRC.parent / "flows").glob("*.py"))


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
def test_flow_files_import_prefect_and_what_is_installed_never_each_other(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    allowed = {"prefect", "digest", "digest_prefect", "pydantic", *sys.stdlib_module_names}
    assert {str(module).partition(".")[0] for module in modules} <= allowed


def test_no_flow_file_bears_the_name_of_a_package():
    for path in FLOWS:
        # Not what is loaded: Prefect's loader leaves the flow and its folder behind.
        elsewhere = [place for place in sys.path if Path(place).name != "flows"]
        found = PathFinder.find_spec(path.stem, elsewhere)
        assert found is None, f"{path.name} would shadow a package"
