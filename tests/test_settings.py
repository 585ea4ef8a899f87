"""Config is read with every fault told at once: file, key, what is wrong, what is allowed."""

from pathlib import Path

import pytest

from digest.errors import ConfigError, UsageError
from digest.settings import find_home, load_config

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
    assert "Allowed: alerts, channels, feeds" in found[f"{file}: sereis"]


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
