"""The main job from the command line: read, pick, approve, deliver, account."""

import re
import stat
from datetime import datetime, timedelta
from email import message_from_bytes
from email.policy import default

import pytest


def parts(message):
    return {
        kind: message.get_body((kind,)).get_content().replace("\r\n", "\n")
        for kind in ("plain", "html")
    }


def without_own_links(text):
    return re.sub(r"(/u/|/s/|unsubscribe%20)[A-Za-z0-9_-]+", r"\1TOKEN", text)


def test_from_feed_to_account(stocked):
    drafted = stocked.send(code=3)
    assert drafted["state"] == "draft"
    assert drafted["account"]["recipients"] == 0
    account = stocked.approve_and_deliver(drafted["issue"])
    mails = stocked.mails()
    assert account["submitted"] == account["recipients"] == len(mails) > 5
    (issue,) = stocked.json("issues")
    assert (issue["state"], issue["newsletter"], issue["scope"]) == ("done", "weekly", "all")


def test_a_second_send_in_the_same_period_sends_nothing_and_says_so(stocked):
    issue = stocked.send(code=3)["issue"]
    stocked.approve_and_deliver(issue)
    stocked.mails()
    again = stocked.send()
    assert (again["issue"], again["state"]) == (issue, "done")
    assert stocked.mails() == {}
    run = stocked.json("runs", "--most", "1")[0]
    assert (run["what"], run["outcome"]) == ("send", "nothing")
    assert run["reason"]


def test_every_candidate_has_a_reason_and_only_what_is_new_is_in(stocked, tmp_path):
    out = tmp_path / "out"
    shown = stocked.json("preview", "weekly", "--as-of", stocked.as_of, "--out", str(out))
    assert {pick["in"] for pick in shown["picks"]} == {True, False}
    for pick in shown["picks"]:
        assert pick["reason"]
        expected = "new: arrived" if pick["in"] else "arrived before the newsletter began"
        assert pick["reason"].startswith(expected)
    assert [pick["position"] for pick in shown["picks"] if pick["in"]] == list(range(1, 9))
    assert shown["html_bytes"] == len((out / "issue.html").read_bytes())
    assert [check for check in shown["preflight"] if check["severity"] == "error"] == []
    assert stocked.json("issues") == []


def test_the_same_time_gives_the_same_bytes_before_and_after_sending(stocked, tmp_path):
    def look(name):
        stocked.run("preview", "weekly", "--as-of", stocked.as_of, "--out", str(tmp_path / name))
        return {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}

    first = look("a")
    assert set(first) == {"issue.html", "issue.txt", "issue.eml", "picks.json"}
    assert look("b") == first
    issue = stocked.send(code=3)["issue"]
    stocked.approve_and_deliver(issue)
    assert look("c") == first


def test_what_arrives_is_what_the_preview_for_that_reader_showed(stocked, tmp_path):
    readers = [
        line["address"]
        for line in stocked.json("readers", "list")
        if line["rhythm"] == "weekly" and line["state"] == "active"
    ]
    previews, nothing = {}, set()
    for reader in readers:
        out = tmp_path / reader
        command = ("preview", "weekly", "--as-of", stocked.as_of, "--out", str(out))
        if stocked.run(*command, "--for", reader, code=None).code:
            nothing.add(reader)
            continue
        eml = (out / "issue.eml").read_bytes()
        previews[reader] = message_from_bytes(eml, policy=default)
    stocked.approve_and_deliver(stocked.send(code=3)["issue"])
    mails = stocked.mails()
    assert set(mails) == set(previews)
    assert nothing.isdisjoint(mails)
    for reader, mail in mails.items():
        shown = previews[reader]
        assert parts(mail) == parts(shown)
        own = {"Date", "Message-ID", "Content-Type"}
        differing = {name for name in {*mail, *shown} if mail[name] != shown[name]}
        assert differing <= own
    assert len({mail.get_body(("html",)).get_content() for mail in mails.values()}) == len(mails)
    variants = {without_own_links(parts(mail)["html"]) for mail in mails.values()}
    assert 1 < len(variants) < len(mails)


def test_a_reader_leaves_by_the_token_of_any_mail_and_gets_no_more(stocked, delivered):
    reader, mail = next(iter(stocked.mails().items()))
    link = re.search(r"<(http[^>]*/u/([^>]+))>", mail["List-Unsubscribe"])
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert link[1] in parts(mail)["plain"]
    done = stocked.json("readers", "unsubscribe", "--token", link[2])
    assert done["outcome"] == "ended"
    assert stocked.json("readers", "unsubscribe", "--token", link[2])["outcome"] == "already"
    forged = link[2][:-1] + ("B" if link[2].endswith("A") else "A")
    stocked.run("readers", "unsubscribe", "--token", forged, code=2)
    issue = stocked.send("--series", "ipc", "--repeat", code=3)["issue"]
    stocked.approve_and_deliver(issue)
    assert reader not in stocked.mails()


def test_a_digest_of_a_series_is_whole_in_reading_order_less_what_each_has_had(
    stocked, delivered, tmp_path
):
    had = stocked.mails()
    parts_ = stocked.json("posts", "--series", "pbr")
    assert parts_[0]["series"][0]["part"] == 1
    assert "introduction" in parts_[0]["title"].lower()
    issue = stocked.send("--series", "pbr", code=3)["issue"]
    stocked.approve_and_deliver(issue)
    mails = stocked.mails()
    assert mails
    for reader, mail in mails.items():
        text = parts(mail)["plain"]
        before = parts(had[reader])["plain"] if reader in had else ""
        titles = [post["title"] for post in parts_]
        shown = [title for title in titles if f"{title}\n" in text]
        assert shown == sorted(shown, key=titles.index)
        assert [title for title in titles if title not in before]


def test_a_repeat_on_purpose_goes_whole_to_everyone_who_follows(stocked, delivered):
    stocked.mails()
    stocked.approve_and_deliver(stocked.send("--series", "pbr", "--repeat", code=3)["issue"])
    mails = stocked.mails()
    texts = {without_own_links(parts(mail)["plain"]) for mail in mails.values()}
    assert len(mails) > 1
    assert len(texts) == 1


def test_without_approval_it_goes_out_at_once(stocked):
    stocked.configure("newsletters.toml", 'approval = "required"', 'approval = "none"')
    sent = stocked.send()
    assert sent["state"] == "done"
    assert sent["account"]["submitted"] == len(stocked.mails())


def test_a_dry_run_stores_nothing(stocked):
    stocked.run("send", "weekly", "--dry-run")
    assert stocked.json("issues") == []


def test_a_thin_week_is_skipped_with_its_reason_and_looked_at_again(stocked):
    stocked.configure("newsletters.toml", "minimum = 2", "minimum = 40")
    skipped = stocked.send()
    assert skipped["state"] == "skipped"
    assert "thin week: 8 of at least 40 posts" in skipped["note"]
    stocked.configure("newsletters.toml", "minimum = 40", "minimum = 2")
    assert stocked.send(code=3)["state"] == "draft"


def test_nothing_new_is_skipped_with_the_reason(desk):
    skipped = desk.send()
    assert skipped["state"] == "skipped"
    assert "no posts are stored yet" in skipped["note"]


def test_the_secret_is_the_owners_alone(stocked):
    stocked.approve_and_deliver(stocked.send(code=3)["issue"])
    mode = (stocked.home / "var" / "secret.key").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_no_address_stands_in_logs_or_runs(stocked):
    stocked.approve_and_deliver(stocked.send(code=3)["issue"])
    stocked.run("test", "1", "--to", "editor@example.org")
    logs = (stocked.home / "var" / "log" / "digest.jsonl").read_text()
    runs = stocked.run("runs", "--json").out
    assert "feed blog" in logs
    assert "@example" not in logs + runs


@pytest.mark.parametrize(
    "arguments", [("send", "nope"), ("account", "99"), ("posts", "--series", "x")]
)
def test_what_does_not_exist_is_a_sentence_that_names_what_does(stocked, arguments):
    done = stocked.run(*arguments, code=2)
    assert done.err.startswith("digest: ")
    assert "Traceback" not in done.err


def test_a_reader_of_each_post_gets_each_post_once(stocked):
    stocked.run(
        "readers",
        "add",
        "eve@example.org",
        "--newsletter",
        "weekly",
        "--rhythm",
        "each-post",
        "--consent-at",
        "2026-01-01",
    )
    post = str(stocked.json("posts")[0]["id"])
    issue = stocked.send("--post", post, code=3)
    assert stocked.json("issues")[0]["period"] == f"post:{post}"
    stocked.approve_and_deliver(issue["issue"])
    assert set(stocked.mails()) == {"eve@example.org"}
    assert stocked.send("--post", post)["state"] == "done"
    assert stocked.mails() == {}


def test_monthly_readers_get_the_months_issue(stocked):
    monthly = {
        line["address"] for line in stocked.json("readers", "list") if line["rhythm"] == "monthly"
    }
    stocked.approve_and_deliver(stocked.send(code=3)["issue"])
    assert monthly.isdisjoint(stocked.mails())
    issue = stocked.send("--rhythm", "monthly", code=3)["issue"]
    assert stocked.json("issues")[0]["period"] == stocked.as_of[:7]
    stocked.approve_and_deliver(issue)
    assert set(stocked.mails()) == monthly


def test_the_next_post_goes_to_readers_of_each_post_and_never_the_archive(stocked, blog):
    stocked.run(
        "readers",
        "add",
        "eve@example.org",
        "--newsletter",
        "weekly",
        "--rhythm",
        "each-post",
        "--consent-at",
        "2026-01-01",
    )

    next_one = ("send", "weekly", "--rhythm", "each-post")
    # What came before the first time is archive; that time was three weeks ago.
    began = blog.anchor - timedelta(days=21)
    assert stocked.json(*next_one, "--as-of", began.isoformat())["state"] == "nothing"
    assert stocked.json("runs")[0]["outcome"] == "nothing"
    new = [p for p in stocked.json("posts") if datetime.fromisoformat(p["published"]) >= began]
    oldest, second = sorted(new, key=lambda post: post["published"])[:2]
    shown = stocked.json("preview", "weekly", "--rhythm", "each-post", "--out", str(stocked.home))
    assert [pick["title"] for pick in shown["picks"]] == [oldest["title"]]
    for post in (oldest, second):
        issue = stocked.json(*next_one, code=3)
        assert stocked.json("issues")[0]["period"] == f"post:{post['id']}"
        stocked.approve_and_deliver(issue["issue"])
        assert set(stocked.mails()) == {"eve@example.org"}
