"""Config is read with every fault told at once: file, key, what is wrong, what is allowed."""

import ast
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from digest.config import FLOWS, PARAMETERS, REQUIRED
from digest.config_mailers import MailerSettings
from digest.errors import ConfigError, UsageError
from digest.settings import find_home, flow_file, load_config

ROOT = Path(__file__).parents[1]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    for file in (ROOT / "config").glob("*.toml"):
        (tmp_path / "config" / file.name).write_bytes(file.read_bytes())
    return tmp_path


def faults(home: Path, environment=None) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load_config(home, environment or {})
    return {f"{p.file}: {p.key}": p.message for p in caught.value.problems}


def test_the_config_that_comes_with_the_project_is_in_order(home):
    config = load_config(home, {})
    assert config.newsletters["weekly"].mailer == "local"
    assert config.feeds["blog"].url == "http://127.0.0.1:8765/feed/"


def test_an_environment_variable_stands_where_it_is_named(home):
    config = load_config(home, {"DIGEST_SAMPLE_PORT": "9000"})
    assert config.feeds["blog"].url == "http://127.0.0.1:9000/feed/"


def test_an_unset_variable_is_told_once_and_not_what_follows_from_it(home):
    (home / "config" / "channels.toml").write_text(
        """
        [channels.m]
        network = "mastodon"
        kind = "account"
        [channels.m.mastodon]
        url = "${MY_INSTANCE}"
        access_token = "${MY_TOKEN}"
        """
    )
    with pytest.raises(ConfigError) as caught:
        load_config(home, {})
    assert [problem.message for problem in caught.value.problems] == [
        "environment variable MY_TOKEN is not set; export it",
        "environment variable MY_INSTANCE is not set; export it",
    ]


def test_every_fault_is_told_with_file_key_and_cure(home):
    (home / "config" / "more.toml").write_text(
        """
        [site]
        name = "Twice"
        [feeds.two]
        url = "ftp://example.org/feed"
        alow_private = true
        [mailers.relay]
        kind = "smtp"
        host = "smtp.example.org"
        password = "${NO_SUCH_SECRET}"
        [series.x]
        title = "X"
        hashtag = "#x"
        match = { titles = ["("] }
        [sereis.y]
        """
    )
    found = faults(home)
    file = "config/more.toml"
    assert found["config/site.toml: site"] == f"stands in {file} already; keep one of them"
    assert "absolute http" in found[f"{file}: feeds.two.url"]
    assert "did you mean 'allow_private'?" in found[f"{file}: feeds.two.alow_private"]
    assert found[f"{file}: mailers.relay.password"] == (
        "environment variable NO_SUCH_SECRET is not set; export it"
    )
    assert "without the #" in found[f"{file}: series.x.hashtag"]
    assert "not a regular expression" in found[f"{file}: series.x.match.titles.0"]
    assert "Allowed: alerts, channels, dkim, feeds" in found[f"{file}: sereis"]


def test_a_reference_that_leads_nowhere_names_what_there_is(home):
    path = home / "config" / "newsletters.toml"
    path.write_text(path.read_text().replace('mailer = "local"', 'mailer = "relay"'))
    found = faults(home)
    assert found == {
        "config/newsletters.toml: newsletters.weekly.mailer": "no 'relay'; allowed: local"
    }


def test_a_file_that_is_not_toml_is_named_with_the_line(home):
    (home / "config" / "feeds.toml").write_text("[feeds.blog\n")
    found = faults(home)
    assert "line 1" in found["config/feeds.toml: "]
    assert found["config/*.toml: feeds"] == "missing; add it"


def test_a_password_is_never_shown(home):
    (home / "config" / "more.toml").write_text(
        '[mailers.relay]\nkind = "smtp"\nhost = "h"\nport = 99999\npassword = "hunter2"\n'
    )
    assert "hunter2" not in str(faults(home))


@pytest.mark.parametrize("secret", ["hunter22", "whsec_", "whsec_hunter2", "Xwhsec_aHVudGVy"])
def test_a_webhook_secret_that_can_sign_nothing_is_told_and_not_shown(home, secret):
    (home / "config" / "more.toml").write_text(
        f'[mailers.resend]\nkind = "resend"\napi_key = "k"\nwebhook_secret = "{secret}"\n'
    )
    told = faults(home)["config/more.toml: mailers.resend.webhook_secret"]
    assert "as Resend shows it" in told
    assert secret not in told.replace("whsec_ and", "")


def test_a_folder_without_config_is_not_a_home(tmp_path):
    with pytest.raises(UsageError, match="--home"):
        find_home(tmp_path, {})
    with pytest.raises(UsageError, match="has no config/ folder"):
        find_home(None, {"DIGEST_HOME": str(tmp_path)})


def test_schedules_that_cannot_run_are_told(home):
    (home / "config" / "flows.toml").write_text(
        """
        [flows.weekly-digest.schedules.monday]
        cron = "0 8 * * funday"
        time_zone = "Europe/Londinium"
        parameters = { newsletter = "weakly" }
        [flows.daily-digest]
        """
    )
    found = faults(home)
    key = "config/flows.toml: flows.weekly-digest.schedules.monday"
    assert "not a cron expression of five fields" in found[f"{key}.cron"]
    assert "Europe/Londinium" in found[f"{key}.time_zone"]
    assert "allowed: weekly" in found[f"{key}.parameters.newsletter"]
    assert "weekly-digest" in found["config/flows.toml: flows.daily-digest"]


def schedule_faults(home: Path, flow: str, cron: str, parameters: str = "{}") -> dict[str, str]:
    """What is wrong with one schedule, by what stands below it."""
    (home / "config" / "flows.toml").write_text(
        f"[flows.{flow}.schedules.x]\ncron = '{cron}'\nparameters = {parameters}\n"
    )
    try:
        load_config(home, {})
    except ConfigError as error:
        start = f"flows.{flow}.schedules.x."
        found = [p for p in error.problems if p.key.startswith(start)]
        return {p.key.removeprefix(start): p.message for p in found}
    return {}


@pytest.mark.parametrize("flow", [flow for flow in FLOWS if flow != "refresh-feeds"])
def test_a_schedule_that_would_only_ever_try_is_told(home, flow):
    needed = {"issue": "1", "decision": "'look'", "approver": "'Maya'"}
    needed |= {"series": "'ipc'", "theme": "'funding'"}
    asked = ", ".join(f"{name} = {needed[name]}" for name in REQUIRED.get(flow, ()))
    assert schedule_faults(home, flow, "0 8 * * 1", f"{{ {asked} }}") == {
        "parameters.dry_run": "say dry_run = false; a schedule without it only tries"
    }
    for said in ("true", "false"):
        both = ", ".join(part for part in (asked, f"dry_run = {said}") if part)
        assert schedule_faults(home, flow, "0 8 * * 1", f"{{ {both} }}") == {}


def test_a_rhythm_that_no_schedule_serves_is_told(home):
    text = (home / "config" / "flows.toml").read_text()
    for flow, rhythm, name in (
        ("each-post", "each-post", "quarter-hour"),
        ("weekly-digest", "monthly", "first-of-month"),
    ):
        before, _, after = text.partition(f"[flows.{flow}.schedules.{name}]")
        rest = after.partition("\n\n")[2]
        (home / "config" / "flows.toml").write_text(before + rest)
        assert faults(home) == {
            "config/newsletters.toml: newsletters.weekly.rhythms": f"no schedule serves {rhythm};"
            f" add one to [flows.{flow}.schedules], or offer it no more"
        }
    # Without any schedule a newsletter is sent by hand, whatever its rhythms.
    (home / "config" / "flows.toml").write_text("")
    assert load_config(home, {}).newsletters["weekly"].rhythms


def test_reading_feeds_needs_no_parameter(home):
    assert schedule_faults(home, "refresh-feeds", "5 * * * *") == {}
    assert schedule_faults(home, "refresh-feeds", "5 * * * *", '{ feed = "all" }') == {}
    found = schedule_faults(home, "refresh-feeds", "5 * * * *", '{ feed = "blok" }')
    assert found == {"parameters.feed": "no 'blok'; allowed: blog"}


@pytest.mark.parametrize(
    ("flow", "parameters", "said"),
    [
        ("weekly-digest", "newsleter = 'weekly'", "newsleter: no such parameter; allowed: newsl"),
        ("weekly-digest", "newsletter = 3", "newsletter: must be a value of type string (it is 3)"),
        ("weekly-digest", "newsletter = ['weekly']", "newsletter: must be a value of type string"),
        ("weekly-digest", "rhythm = ['weekly'], dry_run = false", "rhythm: must be a value of"),
        ("weekly-digest", "edition = true", "edition: must be a value of type integer"),
        ("weekly-digest", "rhythm = 'daily'", "rhythm: must be weekly, monthly (it is 'daily')"),
        ("housekeeping", "dry_run = 'false'", "dry_run: must be a value of type boolean"),
        ("housekeeping", "dry_run = 0", "dry_run: must be a value of type boolean"),
        ("series-digest", "newsletter = 'weekly'", "series: missing"),
        ("theme-digest", "newsletter = 'weekly'", "theme: missing"),
    ],
)
def test_a_schedule_that_no_run_could_follow_is_told(home, flow, parameters, said):
    found = schedule_faults(home, flow, "0 8 * * 1", f"{{ {parameters} }}")
    assert any(
        f"{key}: {message}".startswith(f"parameters.{said}") for key, message in found.items()
    )


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("*/20 * * * * *", "five fields such as 0 8 * * 1"),
        ("@hourly", "five fields such as 0 8 * * 1"),
        ("", "five fields such as 0 8 * * 1"),
        ("0 8 LW * *", "name the days"),
        ("0 8 * * 5L", "name the days"),
        ("0 8 */2 * 1", "two ways"),
        ("0 8 1 * */2", "two ways"),
        ("0 8 5 * 1#2", "two ways"),
        ("0 8 * * 1,3#1", "two ways"),
        ("0 8 * * 1/2", "a step needs"),
        ("0 8 1-1 * *", "a range of one"),
        ("0 8 3 * 0,*", "two ways"),
        ("0 8 30 2 *", "five fields such as 0 8 * * 1: Bad day-of-month"),
    ],
)
def test_a_cron_that_prefect_would_read_otherwise_is_told(home, cron, said):
    assert said in schedule_faults(home, "refresh-feeds", cron)["cron"]


@pytest.mark.parametrize(
    "cron",
    ["*/10 * * * *", "0 8 L * *", "0 8 * * 1#1", "0 8 1,15 * *", "0 8 1 * 1", "0 8 */2 * *",
     "0 8 * JUL mon-fri"],
)  # fmt: skip
def test_a_cron_of_one_meaning_is_taken(home, cron):
    assert schedule_faults(home, "refresh-feeds", cron) == {}


@pytest.mark.parametrize("port", ["abc", "0", "70000", ""])
def test_a_port_that_is_none_is_told(home, port):
    found = faults(home, {"DIGEST_PREFECT_PORT": port})
    assert "must have a port" in found["config/flows.toml: prefect.api_url"]
    site = home / "config" / "site.toml"
    site.write_text(site.read_text().replace("127.0.0.1:8780", f"127.0.0.1:{port}"))
    assert "must have a port" in faults(home)["config/site.toml: site.links_url"]


def test_prefects_address_is_that_of_its_api(home):
    flows = home / "config" / "flows.toml"
    flows.write_text(flows.read_text().replace("-4200}/api", "-4200}"))
    found = faults(home)["config/flows.toml: prefect.api_url"]
    assert "which ends in /api (it is 'http://127.0.0.1:4200')" in found


def annotated(path: Path) -> dict[str, str]:
    """Which type each `Name = Annotated[type, ...]` of a file stands for."""
    found = {}
    for node in ast.parse(path.read_text()).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(value, ast.Subscript) and ast.unparse(value.value) == "Annotated":
            found[ast.unparse(target)] = ast.unparse(value.slice.elts[0])
    return found


@pytest.mark.parametrize("flow", FLOWS)
def test_what_schedules_may_ask_is_what_flows_take(flow):
    path = ROOT / flow_file(flow)
    types = annotated(ROOT / "src" / "digest_prefect" / "parameters.py") | annotated(path)
    functions = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef)]
    (taken,) = [f.args for f in functions if f.name == path.stem]
    assert {arg.arg: types[ast.unparse(arg.annotation)] for arg in taken.args} == {
        name: kind.__name__ for name, kind in PARAMETERS[flow].items()
    }
    needed = taken.args[: len(taken.args) - len(taken.defaults)]
    assert tuple(arg.arg for arg in needed) == REQUIRED.get(flow, ())


@pytest.mark.parametrize(
    ("file", "declared", "key", "cure"),
    [
        (
            "site.toml",
            '[mailers.second]\nkind = "file"\npace = "14/second"',
            "mailers.second.pace",
            "must be a list: put it in square brackets (it is '14/second')",
        ),
        (
            "newsletters.toml",
            '[newsletters.weekly.window]\nholidays = ["25.12.2026"]',
            "newsletters.weekly.window.holidays.0",
            "must be a date without quotes, such as 2026-12-25 (it is '25.12.2026')",
        ),
    ],
    ids=["no list", "no date"],
)
def test_a_slip_of_the_pen_is_told_with_its_cure(home, file, declared, key, cure):
    with (home / "config" / file).open("a") as config:
        config.write(f"\n{declared}\n")
    assert faults(home) == {f"config/{file}: {key}": cure}


@pytest.mark.parametrize(
    ("mailer", "cure"),
    [
        ({"kind": "smtp", "host": "h", "username": "u"}, "username needs a password"),
        (
            {"kind": "postmark", "server_token": "t", "webhook_username": "u"},
            "webhook_username and webhook_password belong together",
        ),
    ],
)
def test_half_a_login_is_a_fault(mailer, cure):
    with pytest.raises(ValidationError, match=cure):
        TypeAdapter(MailerSettings).validate_python(mailer)
