"""Ways on from wherever an issue may stand: nothing leads nowhere, and nothing is lost on it."""

import socket
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta

import pytest

from fakes.relay import Misdeed, Relay


@pytest.fixture
def draft(drafted):
    return str(drafted)


@pytest.fixture
def closed_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def later(desk, **delta):
    return (datetime.fromisoformat(desk.as_of) + timedelta(**delta)).isoformat()


def change(desk, statement, *values):
    with closing(sqlite3.connect(desk.home / "var" / "digest.db")) as database, database:
        database.execute(statement, values)


def picks(desk, *arguments):
    out = str(desk.home / "look")
    shown = desk.json("preview", "weekly", "--out", out, *arguments)
    return {pick["guid"]: pick for pick in shown["picks"]}


def test_a_delivery_that_did_a_part_is_on_record_as_such(stocked, draft, closed_port):
    with_relay(stocked, closed_port)
    stocked.run("approve", draft)
    account = stocked.json("deliver", draft, code=3)
    # Three in a row were enough to see that nobody is there.
    assert account["pending"] == account["recipients"] > 3
    run = stocked.json("runs")[0]
    assert (run["what"], run["outcome"], run["issue_id"]) == ("deliver", "partial", int(draft))
    assert run["counts"]["tried"] == 6
    assert "cannot be reached" in run["reason"]


def test_a_domain_that_refuses_our_mail_by_policy_is_told_and_on_record(stocked, draft, tmp_path):
    with Relay(tmp_path / "taken") as relay:
        with_relay(stocked, relay.port)
        listed = "550 5.7.1 <bounces@blog.example> is listed, see https://two.example/why"
        relay.misbehave(Misdeed("RCPT", listed, domain="example.net"))
        stocked.run("approve", draft)
        told = stocked.run("deliver", draft, code=3)
        words = "example.net refuses our mail by policy: 550 5.7.1 <<address>> is listed"
        assert words in told.out
        assert "; asked again on " in told.out
        assert "; see its sender guidelines." in told.out
        assert {address.partition("@")[2] for address, _ in relay.taken()} == {
            "example.org",
            "example.com",
        }
        run = stocked.json("runs")[0]
        assert (run["outcome"], words in run["reason"]) == ("partial", True)
        assert "@" not in run["reason"]
        pending = stocked.run("account", draft, "--who", "pending").out
        assert "550 5.7.1" in pending
        assert "https://two.example/why" in pending
        # Within the hour nobody is asked again.
        quiet = stocked.run("deliver", draft, code=3)
        assert "all that is left is for domains that must wait" in quiet.out
        assert stocked.json("runs")[0]["counts"]["tried"] == 0


def test_three_domains_that_refuse_our_mail_by_policy_pause_the_issue(stocked, draft, tmp_path):
    with Relay(tmp_path / "taken") as relay:
        with_relay(stocked, relay.port)
        relay.misbehave(Misdeed("RCPT", "550 5.7.1 <bounces@blog.example> is listed"))
        stocked.run("approve", draft)
        told = stocked.run("deliver", draft, code=3)
        words = "example.com, example.net, example.org refuse our mail by policy"
        assert f"Mailer stopped: {words}" in told.out
        assert f"then digest resume {draft} and digest deliver {draft}" in told.out
        run, issue = stocked.json("runs")[0], stocked.json("issues")[0]
        assert (words in run["reason"], "@" in run["reason"]) == (True, False)
        assert issue["state"] == "paused"
        assert "@" not in stocked.run("account", draft).out


def with_relay(desk, port):
    relay = f'kind = "smtp"\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"'
    desk.configure("site.toml", 'kind = "file"\npath = "var/mail"', relay)


def without_relay(desk, port):
    relay = f'kind = "smtp"\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"'
    desk.configure("site.toml", relay, 'kind = "file"\npath = "var/mail"')


def test_a_post_withdrawn_while_the_mailer_was_down_stops_the_first_delivery(
    stocked, blog, draft, closed_port
):
    with_relay(stocked, closed_port)
    stocked.run("approve", draft)
    stocked.run("deliver", draft, code=3)
    gone = next(
        guid for guid, pick in picks(stocked, "--as-of", stocked.as_of).items() if pick["in"]
    )
    blog.server.withdrawn.add(int(gone.rsplit("=", 1)[1]))
    change(stocked, "UPDATE issues SET checked_at = '2026-01-01 00:00:00'")
    change(stocked, "UPDATE deliveries SET not_before = NULL")
    without_relay(stocked, closed_port)
    done = stocked.run("deliver", draft, code=3)
    assert "digest cancel" in done.out
    assert stocked.json("issues")[0]["state"] == "paused"
    assert not (stocked.home / "var" / "mail" / "new").exists()
    # Cancelled, its posts are free, and the next issue goes without the one that is gone.
    stocked.run("cancel", draft)
    again = stocked.send(code=3)["issue"]
    stocked.approve_and_deliver(again)
    assert picks(stocked, "--as-of", stocked.as_of)[gone]["reason"].startswith("withdrawn")
    assert len(stocked.mails()) > 3


def test_a_held_issue_goes_out_without_the_post_that_is_gone(stocked, blog, draft):
    gone = next(
        guid for guid, pick in picks(stocked, "--as-of", stocked.as_of).items() if pick["in"]
    )
    stocked.run("approve", draft)
    blog.server.withdrawn.add(int(gone.rsplit("=", 1)[1]))
    stocked.run("deliver", draft, code=3)
    stocked.run("resume", draft)
    assert not picks(stocked, "--as-of", stocked.as_of)[gone]["in"]
    account = stocked.approve_and_deliver(int(draft))
    assert account["submitted"] == account["recipients"] > 3


def test_what_an_editor_did_survives_a_hold(stocked, draft):
    shown = picks(stocked, "--as-of", stocked.as_of)
    guid = next(guid for guid, pick in shown.items() if pick["in"])
    post = next(post for post in stocked.json("posts") if post["guid"] == guid)
    stocked.run("change", draft, "--drop", str(post["id"]), "--introduction", "A quieter week.")
    stocked.run("hold", draft)
    stocked.run("resume", draft)
    assert not picks(stocked, "--as-of", stocked.as_of)[guid]["in"]
    stocked.approve_and_deliver(int(draft))
    texts = [mail.get_body(("plain",)).get_content() for mail in stocked.mails().values()]
    assert all("A quieter week." in text for text in texts)


def test_what_an_editor_dropped_does_not_come_back_next_week(stocked, draft):
    shown = picks(stocked, "--as-of", stocked.as_of)
    guid = next(guid for guid, pick in shown.items() if pick["in"])
    post = next(post for post in stocked.json("posts") if post["guid"] == guid)
    stocked.run("change", draft, "--drop", str(post["id"]))
    stocked.approve_and_deliver(int(draft))
    reason = picks(stocked, "--as-of", later(stocked, days=7))[guid]["reason"]
    assert reason.startswith("dropped from issue ")


def test_a_repeat_that_the_period_has_no_room_for_is_refused_with_the_way_out(stocked):
    stocked.approve_and_deliver(stocked.send("--series", "pbr", code=3)["issue"])
    done = stocked.run("send", "weekly", "--series", "pbr", "--repeat", code=2)
    assert "--edition 2" in done.err
    again = stocked.send("--series", "pbr", "--repeat", "--edition", "2", code=3)
    assert stocked.json("issues")[0]["period"].endswith(".2")
    stocked.mails()
    stocked.approve_and_deliver(again["issue"])
    assert stocked.mails()


def test_posts_that_wait_in_a_draft_are_named_by_the_next_issue(stocked, draft):
    skipped = stocked.json("send", "weekly", "--as-of", later(stocked, days=7))
    assert skipped["state"] == "skipped"
    assert "which is draft" in skipped["note"]
    assert "posts wait" in skipped["note"]


def test_a_time_far_ahead_does_not_make_news_an_archive(stocked):
    stocked.json("send", "weekly", "--as-of", later(stocked, days=400))
    assert stocked.send(code=3)["state"] == "draft"


def test_a_series_that_config_knows_no_more_is_a_sentence(stocked):
    issue = str(stocked.send("--series", "ipc", code=3)["issue"])
    stocked.run("hold", issue)
    stocked.configure("series.toml", "[series.ipc", "[series.icp")
    done = stocked.run("resume", issue, code=2)
    assert "'ipc' stands in config no more" in done.err
    stocked.run("reject", issue)


def test_nothing_of_a_cancelled_issue_is_sent_again(stocked, draft):
    stocked.run("cancel", draft)
    for command in (("settle", draft, "--resend"), ("deliver", draft, "--retry-failed")):
        assert "nothing of it can be sent again" in stocked.run(*command, code=2).err


def test_an_issue_that_nobody_gets_says_why(desk):
    desk.run("ingest")
    issue = desk.send(code=3)["issue"]
    desk.approve_and_deliver(issue)
    note = desk.send()["note"]
    assert "0 of 0 submitted: no reader of the rhythm weekly" in note


def test_an_opt_in_mail_that_did_not_leave_may_be_asked_for_again(desk, closed_port):
    add = ("readers", "add", "ann@example.org", "--newsletter", "weekly")
    with_relay(desk, closed_port)
    desk.run(*add, code=3)
    assert desk.json("runs")[0]["outcome"] == "partial"
    without_relay(desk, closed_port)
    desk.run(*add)
    desk.run(*add)
    assert set(desk.mails()) == {"ann@example.org"}


def test_what_an_editor_left_uncertain_is_in_order(stocked, draft):
    stocked.run("approve", draft)
    stocked.run("deliver", draft)
    change(
        stocked, "UPDATE deliveries SET state = 'uncertain', mailer = 'smtp elsewhere' WHERE id = 1"
    )
    stocked.run("deliver", draft, code=3)
    stocked.run("settle", draft, "--leave", "--by", "Maya")
    stocked.run("deliver", draft)


def test_a_run_that_was_killed_is_told_from_one_that_is_running(stocked):
    change(
        stocked,
        "INSERT INTO runs (what, parameters, actor, started_at, outcome, counts, worker)"
        " VALUES ('send', '{}', 'x', '2026-01-01 00:00:00', 'running', '{}', ?)",
        f"{socket.gethostname()}:1:gone",
    )
    run = stocked.json("runs")[0]
    assert (run["outcome"], run["reason"]) == ("failed", "killed before it ended")


@pytest.mark.parametrize(
    "arguments",
    [
        ("account", "99999999999999999999"),
        ("send", "weekly", "--as-of", "0001-01-01"),
        ("send", "weekly", "--as-of", "tomorrow"),
        ("preview", "weekly", "--out", "/proc/nowhere"),
    ],
)
def test_what_cannot_be_done_is_a_sentence_and_exit_code_2(stocked, arguments):
    assert "Traceback" not in stocked.run(*arguments, code=2).err


def test_check_tells_the_faults_of_templates_whatever_is_wrong_with_config(stocked):
    stocked.configure("newsletters.toml", 'mailer = "local"', 'mailer = "nomail"\ncap = 0')
    stocked.configure("newsletters.toml", "cap = 12\n", "")
    subject = stocked.home / "templates" / "email" / "weekly" / "subject.txt"
    subject.write_text("{{ nonsense }}")
    faults = stocked.json("check", code=2)["errors"]
    assert {fault["key"] for fault in faults} >= {
        "newsletters.weekly.mailer",
        "newsletters.weekly.cap",
    }
    assert "templates/email/weekly/subject.txt" in {fault["file"] for fault in faults}


def test_a_relay_for_readers_who_cannot_reach_their_links_is_a_fault(stocked):
    relay = 'kind = "smtp"\nhost = "smtp.example.org"'
    stocked.configure("site.toml", 'kind = "file"\npath = "var/mail"', relay)
    (fault,) = stocked.json("check", code=2)["errors"]
    assert fault["key"] == "site.links_url"


def test_a_preview_of_nothing_leaves_no_earlier_one_behind(stocked):
    out = stocked.home / "look"
    picks(stocked, "--as-of", stocked.as_of)
    assert (out / "issue.html").exists()
    shown = stocked.json(
        "preview", "weekly", "--as-of", later(stocked, days=-2000), "--out", str(out)
    )
    assert shown["nothing"]
    assert {path.name for path in out.iterdir()} == {"picks.json"}


def test_a_series_without_posts_says_so(desk):
    assert "no post is in series:ipc" in desk.send("--series", "ipc")["note"]


def test_only_what_was_paused_or_held_resumes(stocked, draft):
    stocked.approve_and_deliver(int(draft))
    assert "only paused or held" in stocked.run("resume", draft, code=2).err
    assert "only a draft" in stocked.run("change", draft, "--introduction", "x", code=2).err


def test_a_draft_says_who_would_get_what(stocked):
    done = stocked.run("send", "weekly", "--as-of", stocked.as_of, code=3)
    assert "11 readers would get it, in 7 variants" in done.out
    assert stocked.json("account", "1")["recipients"] == 0


def test_the_copy_of_one_reader_lists_its_own_posts(stocked):
    follower = next(
        line["address"]
        for line in stocked.json("readers", "list")
        if line["interests"] == "series:ipc"
    )
    shown = picks(stocked, "--as-of", stocked.as_of, "--for", follower)
    ins = [pick for pick in shown.values() if pick["in"]]
    assert len(ins) == 1
    assert "in series:ipc" in ins[0]["reason"]


def test_an_opt_in_mail_can_be_answered_by_mail(desk):
    desk.run("readers", "add", "ann@example.org", "--newsletter", "weekly")
    mail = desk.mails()["ann@example.org"]
    text = mail.get_body(("plain",)).get_content()
    subject = text.split("mailto:")[1].split()[0].split("subject=")[1].replace("%20", " ")
    desk.run("readers", "confirm", "--token", subject)
    assert desk.json("readers", "list")[0]["state"] == "active"


def test_a_page_that_cannot_be_reached_is_kept_with_the_issue(stocked, blog, draft):
    blog.server.stop()
    stocked.approve_and_deliver(int(draft))
    assert "not looked at again" in stocked.run("account", draft).out
