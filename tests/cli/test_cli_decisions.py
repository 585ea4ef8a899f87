"""What an editor decides, and what stops an issue before its first delivery."""

from dataclasses import replace

import pytest


@pytest.fixture
def draft(drafted):
    return str(drafted)


def picked(desk, number):
    """Sample ids of the posts in the issue, by position."""
    out = desk.home / "look"
    shown = desk.json("preview", "weekly", "--as-of", desk.as_of, "--out", str(out))
    assert shown["issue"] == int(number)
    return [int(pick["guid"].rsplit("=", 1)[1]) for pick in shown["picks"] if pick["in"]]


def test_a_typed_subject_is_what_arrives(stocked, draft):
    stocked.run("approve", draft, "--subject", "Bread, and what follows")
    stocked.run("deliver", draft)
    assert {mail["Subject"] for mail in stocked.mails().values()} == {"Bread, and what follows"}


def test_a_dropped_post_does_not_arrive_and_the_rest_closes_up(stocked, draft):
    first, *rest = picked(stocked, draft)
    titles = {post["guid"].rsplit("=", 1)[1]: post for post in stocked.json("posts")}
    dropped = titles[str(first)]
    stocked.run("change", draft, "--drop", str(dropped["id"]), "--introduction", "A quieter week.")
    assert picked(stocked, draft) == rest
    stocked.approve_and_deliver(int(draft))
    texts = [mail.get_body(("plain",)).get_content() for mail in stocked.mails().values()]
    assert all("A quieter week." in text for text in texts)
    assert not any(f"{dropped['title']}\n" in text for text in texts)


def test_a_rejected_issue_frees_its_period(stocked, draft):
    assert stocked.json("reject", draft, "--reason", "typo")["state"] == "rejected"
    again = stocked.send(code=3)
    assert again["issue"] != int(draft)
    assert again["state"] == "draft"


def test_a_held_issue_is_made_anew(stocked, draft):
    stocked.run("hold", draft, "--reason", "the minister calls")
    assert stocked.send(code=3)["state"] == "held"
    stocked.run("deliver", draft, code=3)
    assert stocked.json("resume", draft)["state"] == "draft"
    stocked.approve_and_deliver(int(draft))
    assert stocked.mails()


def test_a_cancelled_issue_never_goes_out(stocked, draft):
    stocked.run("approve", draft)
    stocked.run("cancel", draft, "--reason", "too early")
    stocked.run("deliver", draft)
    assert not (stocked.home / "var" / "mail" / "new").exists()


def test_what_does_not_fit_the_state_changes_nothing(stocked, draft):
    done = stocked.run("pause", draft, code=2)
    assert "is draft; it cannot become paused" in done.err
    assert stocked.json("issues")[0]["state"] == "draft"


def test_who_decided_and_why_is_kept(stocked, draft):
    stocked.run("approve", draft, "--by", "Maya", "--reason", "good to go")
    assert "approved   by Maya: good to go" in stocked.run("account", draft).out


def test_a_post_withdrawn_since_stops_the_issue_and_is_named(stocked, blog, draft):
    gone = picked(stocked, draft)[2]
    stocked.run("approve", draft)
    blog.server.withdrawn.add(gone)
    done = stocked.json("deliver", draft, code=3)
    assert done["recipients"] == 0
    (issue,) = stocked.json("issues")
    assert issue["state"] == "held"
    shown = stocked.run("account", draft).out
    title = next(p["title"] for p in stocked.json("posts") if p["guid"].endswith(f"={gone}"))
    assert title in shown
    assert not (stocked.home / "var" / "mail" / "new").exists()


def test_a_post_edited_since_stops_the_issue_and_shows_the_difference(stocked, blog, draft):
    number = picked(stocked, draft)[0]
    stocked.run("approve", draft)
    post = next(post for post in blog.server.posts if post.id == number)
    blog.server.overrides[number] = replace(post, title="Quite another title", edit=None)
    stocked.run("deliver", draft, code=3)
    shown = stocked.run("account", draft).out
    assert post.title in shown
    assert "Quite another title" in shown
    # The cure that the command names: read the feed, make the draft anew, approve it again.
    stocked.run("ingest")
    stocked.run("resume", draft)
    stocked.approve_and_deliver(int(draft))
    texts = [mail.get_body(("plain",)).get_content() for mail in stocked.mails().values()]
    assert any("Quite another title" in text for text in texts)
    assert not any(f"{post.title}\r\n" in text for text in texts)


def test_templates_changed_since_approval_stop_the_issue(stocked, draft):
    stocked.run("approve", draft)
    path = stocked.home / "templates" / "email" / "_base" / "layout.txt"
    path.write_text(path.read_text() + "\nA word that nobody approved.\n")
    stocked.run("deliver", draft, code=3)
    assert "the templates changed since approval" in stocked.run("account", draft).out
    assert not (stocked.home / "var" / "mail" / "new").exists()


def test_a_test_copy_goes_to_one_address_and_to_no_account(stocked, draft):
    stocked.run("test", draft, "--to", "editor@example.org")
    ((to, mail),) = stocked.mails().items()
    assert to == "editor@example.org"
    assert mail["Subject"].startswith("[Test] ")
    assert stocked.json("account", draft)["recipients"] == 0
    stocked.run("readers", "suppress", "editor@example.org", "--reason", "asked")
    stocked.run("test", draft, "--to", "Editor@Example.org", code=3)
    assert stocked.mails() == {}


def test_a_suppressed_address_gets_nothing_and_no_import_brings_it_back(stocked, draft):
    reader = stocked.json("readers", "list")[0]["address"]
    stocked.run("readers", "suppress", reader, "--reason", "asked by phone")
    stocked.run(
        "readers", "add", reader, "--newsletter", "weekly", "--consent-at", "2026-01-01", code=2
    )
    stocked.approve_and_deliver(int(draft))
    assert reader not in stocked.mails()


def test_an_opt_in_mail_confirms_and_is_sent_once(desk):
    desk.run("readers", "add", "ann@example.org", "--newsletter", "weekly")
    desk.run("readers", "add", "ann@example.org", "--newsletter", "weekly")
    ((to, mail),) = desk.mails().items()
    assert to == "ann@example.org"
    assert "List-Unsubscribe" not in mail
    text = mail.get_body(("plain",)).get_content()
    token = text.split("/c/", 1)[1].split()[0]
    assert desk.json("readers", "list")[0]["state"] == "pending"
    desk.run("readers", "confirm", "--token", token)
    assert desk.json("readers", "list")[0]["state"] == "active"


def test_a_sender_that_no_message_can_be_made_for_stops_the_issue_before_the_first(stocked, draft):
    stocked.configure(
        "site.toml", "${DIGEST_LINKS_URL:-http://127.0.0.1:8780}", "https://blög.example"
    )
    stocked.run("approve", draft)
    assert stocked.json("deliver", draft, code=3)["recipients"] == 0
    assert "no message can be made" in stocked.run("account", draft).out
