"""The main job on PostgreSQL, by the one URL; and the move there from SQLite by a backup."""

import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.postgres, pytest.mark.long]


@pytest.fixture
def postgres(new_postgres, monkeypatch):
    """From now on the commands work on an empty PostgreSQL."""

    def use():
        url = new_postgres("template0").engine.url.render_as_string(hide_password=False)
        monkeypatch.setenv("DIGEST_DATABASE_URL", url)

    return use


def test_the_main_job(postgres, desk, readers_csv):
    postgres()
    desk.run("ingest")
    desk.run("readers", "import", readers_csv)
    account = desk.approve_and_deliver(desk.send(code=3)["issue"])
    assert account["submitted"] == account["recipients"] == len(desk.mails()) > 5
    assert desk.send()["state"] == "done"
    assert desk.mails() == {}
    series = desk.send("--series", "pbr", code=3)["issue"]
    assert desk.approve_and_deliver(series)["submitted"] == len(desk.mails())
    assert desk.json("social", "plan")["threads"]
    assert desk.json("social", "plan")["threads"] == []
    assert not (desk.home / "var" / "digest.db").exists()


def test_a_site_moves_from_sqlite_by_its_backup(postgres, stocked, tmp_path):
    issue = stocked.send(code=3)["issue"]
    account = stocked.approve_and_deliver(issue)
    stocked.mails()
    file = str(tmp_path / "move.tar.gz")
    stocked.run("backup", file)
    postgres()
    stocked.run("restore", file)
    assert stocked.json("account", str(issue)) == account
    assert stocked.send()["state"] == "done"
    # Its counters go on where SQLite's stood.
    assert stocked.send("--series", "ipc", "--repeat", code=3)["issue"] == issue + 1


def test_three_deliveries_of_one_issue_begun_at_once(postgres, desk, readers_csv):
    postgres()
    desk.run("ingest")
    desk.run("readers", "import", readers_csv)
    issue = str(desk.send(code=3)["issue"])
    desk.run("approve", issue)
    command = [sys.executable, "-m", "digest", "deliver", issue, "--home", str(desk.home)]
    running = [
        subprocess.Popen(command, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(3)
    ]
    said = [process.communicate()[0].decode() for process in running]
    assert {process.returncode for process in running} <= {0, 3}, said
    account = desk.json("deliver", issue)
    assert account["submitted"] == account["recipients"] == len(desk.mails()) > 5
