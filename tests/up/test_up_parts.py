"""What the parts are started with: ports, environments, password, and pages that tell nobody."""

import socket
import sys

import pytest

from digest.config import PrefectSettings
from digest.errors import UsageError
from digest.settings import load_config
from digest.up import parts
from digest.up.connection import Connection
from digest.up.environment import (
    child_environment,
    runner_environment,
    server_environment,
    sqlite_url,
)
from digest.up.place import Place
from digest.up.ports import free_port, pages_port, prefect_port, require_free, require_two
from digest.up.privacy import narrow

CONNECTION = Connection("http://127.0.0.1:4311/api", "digest:Xyzzy42")


@pytest.fixture
def config(sample_config):
    return load_config(sample_config, {})


def with_api(config, url):
    return config.model_copy(update={"prefect": PrefectSettings(api_url=url)})


def with_links(config, url):
    return config.model_copy(update={"site": config.site.model_copy(update={"links_url": url})})


def test_the_option_names_prefects_port_before_config(config):
    assert prefect_port(config, None) == 4200
    assert prefect_port(config, 4300) == 4300


@pytest.mark.parametrize(
    "url",
    [
        "https://prefect.example.org/api",
        "https://127.0.0.1:4200/api",
        "http://127.0.0.1:4200/x/api",
    ],
)
def test_a_server_elsewhere_is_not_started_here(config, url):
    with pytest.raises(UsageError, match="api_url"):
        prefect_port(with_api(config, url), None)


def test_the_port_asked_for_is_the_one_advised(config):
    elsewhere = with_api(config, "https://127.0.0.1:4311/api")
    with pytest.raises(UsageError, match=r"say http://127\.0\.0\.1:4311/api"):
        prefect_port(elsewhere, None)
    with pytest.raises(UsageError, match=r"say http://127\.0\.0\.1:4300/api"):
        prefect_port(elsewhere, 4300)


def test_prefect_and_the_pages_want_a_port_each():
    require_two(4200, 8780)
    with pytest.raises(UsageError, match=r"port 8780 .*\[prefect\] api_url.*\[site\] links_url"):
        require_two(8780, 8780)


def test_pages_answer_where_links_lead(config):
    assert pages_port(with_links(config, "http://127.0.0.1:9000/news")) == 9000
    assert pages_port(with_links(config, "http://localhost")) == 80
    assert pages_port(with_links(config, "https://news.example.org")) == 8780


def test_a_taken_port_is_named_with_its_cure():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=rf"port {port} for Prefect is taken.*--port N"):
            require_free(port, "Prefect", "--port N")


def test_a_free_port_is_free():
    require_free(free_port(), "Prefect", "")


def test_no_child_is_led_elsewhere(tmp_path):
    environ = {
        "PREFECT_API_URL": "https://elsewhere.example/api",
        "PREFECT_API_KEY": "key",
        "PREFECT_PROFILE": "cloud",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql://elsewhere.example/x",
        "PGHOST": "elsewhere.example",
        "PATH": "/bin",
        "SMTP_PASSWORD": "kept",
    }
    made = child_environment(environ, Place(tmp_path), CONNECTION)
    assert not [
        name for name, text in made.items() if "elsewhere.example" in text or name.endswith("KEY")
    ]
    assert "PREFECT_PROFILE" not in made
    assert made["PREFECT_API_URL"] == CONNECTION.api_url
    assert made["SMTP_PASSWORD"] == "kept"
    assert made["DIGEST_HOME"] == str(tmp_path)


def test_parts_of_one_machine_use_no_proxy(tmp_path):
    made = child_environment({"no_proxy": "intern.example"}, Place(tmp_path), CONNECTION)
    assert made["no_proxy"] == "intern.example,127.0.0.1,localhost"
    assert made["NO_PROXY"] == "127.0.0.1,localhost"


def test_the_server_has_a_password_its_own_port_and_no_telemetry(tmp_path):
    place = Place(tmp_path)
    made = server_environment({}, place, CONNECTION, sqlite_url(place))
    assert made["PREFECT_SERVER_API_AUTH_STRING"] == "digest:Xyzzy42"
    assert made["PREFECT_SERVER_UI_API_URL"] == CONNECTION.api_url
    assert made["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert made["DO_NOT_TRACK"] == "1"
    assert made["PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED"] == "events,flow_runs"
    allowed = made["PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"].split(",")
    assert allowed == ["http://127.0.0.1:4311", "http://localhost:4311"]
    assert str(place.prefect) in made["PREFECT_SERVER_DATABASE_CONNECTION_URL"]


def test_an_operator_may_choose_how_often_the_runner_asks(tmp_path):
    place = Place(tmp_path)
    assert runner_environment({}, place, CONNECTION)["PREFECT_RUNNER_POLL_FREQUENCY"] == "2"
    chosen = {"PREFECT_RUNNER_POLL_FREQUENCY": "9"}
    assert runner_environment(chosen, place, CONNECTION)["PREFECT_RUNNER_POLL_FREQUENCY"] == "9"


def test_no_secret_stands_on_a_command_line(tmp_path):
    place = Place(tmp_path)
    place.catalogue.parent.mkdir()
    place.catalogue.touch()
    programs = [
        parts.server(place, CONNECTION, sqlite_url(place), {}),
        parts.flows(place, CONNECTION, {}),
        parts.web(place, CONNECTION, 8780, {}),
    ]
    for program in programs:
        assert program.command[0] == sys.executable
        assert "Xyzzy42" not in " ".join(program.command)
        assert "Xyzzy42" not in repr(program)


def test_a_home_without_catalogue_is_a_sentence(tmp_path):
    with pytest.raises(UsageError, match="catalogue"):
        parts.flows(Place(tmp_path), CONNECTION, {})


def test_the_password_is_made_once_for_its_owner_alone(tmp_path):
    place = Place(tmp_path)
    place.make()
    made = parts.load_password(place)
    assert len(made) > 20
    assert parts.load_password(place) == made
    assert place.password.stat().st_mode & 0o777 == 0o600


def test_a_password_that_is_none_is_a_sentence(tmp_path):
    place = Place(tmp_path)
    place.make()
    place.password.write_text("nonsense\n", encoding="utf-8")
    with pytest.raises(UsageError, match="user:password"):
        parts.load_password(place)


def test_flows_are_served_once_the_catalogue_says_so():
    assert parts.flows_served("Registering\n") is None
    assert parts.flows_served("a warning\nserving 9 flows\nmore\n") == 9


def test_prefects_pages_may_connect_to_this_server_alone():
    page = narrow("<html><HEAD lang=en><title>x</title></head></html>", CONNECTION)
    assert page.count("Content-Security-Policy") == 1
    assert "http://127.0.0.1:4311 http://localhost:4311 ws://127.0.0.1:4311" in page
    assert page.index("Content-Security-Policy") < page.index("<title>")


def test_another_port_changes_what_prefects_pages_may_connect_to():
    page = narrow("<head></head>", CONNECTION)
    assert narrow(page, CONNECTION) == page
    moved = narrow(page, Connection("http://127.0.0.1:9999/api", ""))
    assert "4311" not in moved
    assert moved.count("Content-Security-Policy") == 1
