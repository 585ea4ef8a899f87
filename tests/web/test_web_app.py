"""What holds for every page: headers, limits, faults, logs, config that changes, the command."""

from __future__ import annotations

import io
import logging
import os
import shutil
import signal
import socket
import threading
import time
import urllib.request
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from digest import links
from digest.cli import main
from digest.errors import ConfigError
from digest.settings import load_config
from digest.web.app import make_app

ROOT = Path(__file__).parents[2]
LINKS = "http://127.0.0.1:8780"


@pytest.fixture
def pages(house):
    """One address of each kind."""
    house.post()
    house.post()
    house.reader("ann")
    house.reader("bob", confirmed=False)
    issue = house.freeze()
    house.deliver(issue.id)
    preview = house.preview_path(issue.id)
    return {
        "front": "/",
        "style": "/style.css",
        "leave": "/leave",
        "unsubscribe": house.leave_path("ann"),
        "confirm": house.confirm_path("bob"),
        "issue": "/issues/weekly/all/2026-W48",
        "sent": "/issues/weekly/all/2026-W48/mail",
        "archive": "/archive/weekly",
        "preview": preview,
        "mail": f"{preview}/mail",
        "frame": f"{preview}/frame",
        "text": f"{preview}/text",
        "look": house.look_path(),
        "lost": "/nope",
        "health": "/health",
    }


def test_every_page_is_guarded(client, pages):
    for name, path in pages.items():
        answer = client.get(path)
        assert answer.status_code == (404 if name == "lost" else 200), name
        headers = answer.headers
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'self'" in policy
        is_mail = name in {"mail", "frame", "sent"}
        assert ("unsafe-inline" in policy) == ("sandbox" in policy) == is_mail
        if name not in {"style", "front", "issue", "sent", "archive"}:
            assert headers["cache-control"] == "no-store"
        assert "set-cookie" not in headers
        if not is_mail:
            assert "<script" not in answer.text
            assert " style=" not in answer.text


def test_a_supervisor_knows_us(client):
    answer = client.get("/health")
    assert (answer.text, answer.headers["x-digest"]) == ("ok\n", "web")


def test_wrong_methods_are_told_plainly(client, pages):
    for path in ("/", "/health", pages["preview"], pages["issue"]):
        answer = client.post(path)
        assert answer.status_code == 405
        assert "GET" in answer.headers["allow"]
        assert "That cannot be done here" in answer.text
    assert client.delete(pages["unsubscribe"]).status_code == 405


def test_too_large_a_body_is_refused_and_does_nothing(client, house, pages):
    def drip():
        for _ in range(70):
            yield b"x" * 1000

    for content in (b"x" * 70_000, drip()):
        answer = client.post(pages["unsubscribe"], content=content)
        assert answer.status_code == 413
        assert "That is too much" in answer.text
    assert house.state("ann") == "active"
    assert client.post(pages["unsubscribe"], content=b"x" * 60_000).status_code == 200


def test_a_fault_is_a_plain_page_and_a_log_line(house, caplog):
    house.post()
    house.post()
    house.draft()
    path = house.preview_path(1)
    with TestClient(make_app(house.app)) as client:
        with house.app.store.write() as c:
            c.exec_driver_sql("UPDATE issues SET content = '{}'")
        answer = client.get(path)
    assert answer.status_code == 500
    assert "Something went wrong here" in answer.text
    assert "nosniff" in answer.headers["x-content-type-options"]
    assert "/preview/{token}" in caplog.text
    assert path.rpartition("/")[2] not in caplog.text


def test_the_log_holds_no_token_and_no_address(client, pages, caplog):
    with caplog.at_level(logging.INFO, logger="digest"):
        for path in pages.values():
            client.get(path)
        client.post(pages["unsubscribe"])
    said = "\n".join(
        record.getMessage() for record in caplog.records if record.name.startswith("digest")
    )
    assert "POST /u/{token} 200" in said
    assert "GET /look 200" in said
    assert "GET (no such page) 404" in said
    for name in ("unsubscribe", "confirm", "preview"):
        assert pages[name].split("/")[2] not in said
    assert "sig=" not in said
    assert "@" not in said


def test_config_that_changes_is_followed_and_a_faulty_one_is_not(house, client, caplog):
    house.configure("The weekly digest", "Our letter")
    assert "Our letter" in client.get("/").text
    house.configure("Our letter", "Their letter")
    house.configure('mailer = "local"', 'mailer = "nope"')
    assert "Our letter" in client.get("/").text
    assert "config was changed and is at fault" in caplog.text
    house.configure('mailer = "nope"', 'mailer = "local"')
    assert "Their letter" in client.get("/").text


def test_pages_below_a_path_answer_with_it_and_without(house):
    house.configure("http://127.0.0.1:8780", "https://example.org/letters/", "site.toml")
    house.app = replace(house.app, config=load_config(house.app.home, {}))
    house.reader("ann")
    site = house.app.config.site.links_url
    preview = links.preview_url(site, house.app.secret, 1)
    assert preview.startswith("https://example.org/letters/preview/")
    with TestClient(make_app(house.app)) as client:
        for prefix in ("", "/letters"):
            page = client.get(f"{prefix}/leave")
            assert 'href="/letters/style.css' in page.text
            assert client.get(f"{prefix}/style.css").status_code == 200
            assert client.post(prefix + house.leave_path("ann")).status_code == 200


def test_a_template_at_fault_is_named(house):
    templates = house.app.home / "templates"
    templates.unlink()
    shutil.copytree(ROOT / "templates" / "web", templates / "web")
    (templates / "web" / "leave.html").write_text("{% if %}")
    with pytest.raises(ConfigError, match=r"templates/web/leave\.html: line 1"):
        make_app(house.app)
    (templates / "web" / "style.css").unlink()
    with pytest.raises(ConfigError, match=r"style\.css: cannot be read"):
        make_app(house.app)


def command(house, out, *arguments):
    """Exit code and stderr of `digest web`; `out` gets its stdout."""
    err = io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(["web", "--home", str(house.app.home), *arguments])
    return ended.value.code, err.getvalue()


def test_a_taken_port_is_a_sentence_and_exit_code_2(house):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, err = command(house, io.StringIO(), "--port", str(port))
    assert code == 2
    assert err == (
        f"digest: cannot listen on 127.0.0.1 port {port}: it is taken; choose another by --port\n"
    )


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_the_command_says_where_it_is_and_stops_cleanly(house, ending):
    out, answers = io.StringIO(), []

    def visit():
        while "\n" not in out.getvalue():
            time.sleep(0.01)
        try:
            address = out.getvalue().split()[4]
            with urllib.request.urlopen(f"{address}health", timeout=10) as answer:
                answers.append(answer.read())
        finally:
            os.kill(os.getpid(), ending)

    visitor = threading.Thread(target=visit)
    visitor.start()
    code, err = command(house, out, "--port", "0")
    visitor.join()
    assert answers == [b"ok\n"]
    assert (code, err) == (0, "The pages are closed.\n")
    assert out.getvalue().endswith(f"Links in mails lead to {LINKS}\n")


@pytest.mark.parametrize(
    ("links_url", "port"),
    [
        ("http://127.0.0.1:8780", 8780),
        ("http://localhost:99/x", 99),
        ("https://a.example:443", None),
        ("http://localhost", None),
    ],
)
def test_the_port_is_that_of_the_links_where_they_lead_here(links_url, port):
    assert links.port_here(links_url) == port


def test_addresses_below_a_path():
    assert links.issue_url("https://a.example/l/", "weekly", "series:ipc", "2026-W47") == (
        "https://a.example/l/issues/weekly/series-ipc/2026-W47"
    )
    assert links.scope_from_path("series-ipc-two") == "series:ipc-two"
    assert links.scope_from_path("all") == "all"
