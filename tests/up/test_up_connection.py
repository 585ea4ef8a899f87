"""How commands find Prefect's API: the environment, else the running `digest up`, else config."""

import pytest

from digest.settings import load_config
from digest.up.connection import Connection, connection_path, read_connection, write_connection

OURS = Connection("http://127.0.0.1:4311/api", "digest:secret")


@pytest.fixture
def home(tmp_path):
    (tmp_path / "var" / "prefect").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def config(sample_config):
    return load_config(sample_config, {})


def test_config_says_where_prefect_is_when_nothing_runs(home, config):
    assert read_connection(home, config, {}) == Connection("http://127.0.0.1:4200/api", "")


def test_a_running_up_is_found_with_its_port_and_password(home, config):
    write_connection(home, OURS)
    assert read_connection(home, config, {}) == OURS


def test_what_was_left_is_for_its_owner_alone(home):
    write_connection(home, OURS)
    assert connection_path(home).stat().st_mode & 0o777 == 0o600
    assert "secret" not in repr(OURS)


def test_the_environment_wins(home, config):
    write_connection(home, OURS)
    environ = {
        "PREFECT_API_URL": "https://prefect.example.org/api",
        "PREFECT_API_AUTH_STRING": "a:b",
    }
    found = read_connection(home, config, environ)
    assert found == Connection("https://prefect.example.org/api", "a:b")


def test_no_other_server_is_told_our_password(home, config):
    write_connection(home, OURS)
    found = read_connection(home, config, {"PREFECT_API_URL": "https://prefect.example.org/api"})
    assert not found.auth


def test_our_own_server_named_by_the_environment_gets_its_password(home, config):
    write_connection(home, OURS)
    assert read_connection(home, config, {"PREFECT_API_URL": f"{OURS.api_url}/"}).auth == OURS.auth


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"api_url": "x", "more": 1}'])
def test_a_broken_file_is_as_none(home, config, broken):
    connection_path(home).write_text(broken, encoding="utf-8")
    assert read_connection(home, config, {}).api_url == config.prefect.api_url


def test_the_ui_is_the_address_without_api():
    assert OURS.ui_url == "http://127.0.0.1:4311"
