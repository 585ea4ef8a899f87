"""Leaving, confirming, and an issue to read: looking changes nothing, a POST does at once."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from digest.issues import desk
from digest.links import issue_url
from digest.model import Act
from digest.notices import send_opt_in
from digest.readers.subscriptions import unsubscribe_by_token
from digest.readers.tokens import make_token
from digest.store import accounts

ONE_CLICK = {
    "one-click": {"data": {"List-Unsubscribe": "One-Click"}},
    "one-click as multipart": {"files": {"List-Unsubscribe": (None, "One-Click")}},
    "the page's own form": {"headers": {"Content-Type": "application/x-www-form-urlencoded"}},
    "an empty body": {},
    "what is no form at all": {
        "content": b"\xff\x00{",
        "headers": {"Content-Type": "multipart/form-data"},
    },
}


def links_of(mail):
    """Every address in a mail that leads to us."""
    said = [str(value) for value in mail.values()]
    said += [mail.get_body((kind,)).get_content() for kind in ("plain", "html")]
    return set(re.findall(r"http://127\.0\.0\.1:8780[^\s<>\"]*", " ".join(said)))


def account(house, issue_id):
    with house.app.store.read() as c:
        return accounts.account(c, issue_id)


def test_a_scanner_that_opens_every_link_twice_changes_nothing(any_house, any_client):
    any_house.post()
    any_house.post()
    any_house.reader("ann")
    issue = any_house.freeze()
    any_house.deliver(issue.id)
    pending = any_house.reader("bob", confirmed=False)
    send_opt_in(any_house.app, "weekly", pending, "bob@example.org")
    links = set().union(*map(links_of, any_house.mails()))
    assert {link.split("/")[3] for link in links} == {"u", "c", "s", "issues"}
    before = any_house.dump()
    for link in [*links, *links]:
        assert any_client.get(link).status_code == 200
        head = any_client.head(link)
        assert head.status_code == 200
    assert any_house.dump() == before


@pytest.mark.parametrize("how", ONE_CLICK)
def test_one_post_ends_the_subscription_at_once(house, client, how):
    house.reader("ann")
    done = client.post(house.leave_path("ann"), **ONE_CLICK[how])
    assert done.status_code == 200
    assert "You have left The weekly digest" in done.text
    assert "set-cookie" not in done.headers
    assert "location" not in done.headers
    assert house.state("ann") == "ended"


def test_a_repeated_post_says_since_when(house, client):
    house.reader("ann")
    client.post(house.leave_path("ann"))
    house.turn(days=3)
    again = client.post(house.leave_path("ann"))
    assert again.status_code == 200
    assert "already" in again.text
    assert "23 November 2026" in again.text
    looked = client.get(house.leave_path("ann"))
    assert "already" in looked.text
    assert "<form" not in looked.text


def test_links_work_for_ever(house, client):
    house.reader("ann")
    house.turn(days=3650)
    assert client.post(house.leave_path("ann")).status_code == 200
    assert house.state("ann") == "ended"


def test_who_left_after_the_freeze_gets_nothing_and_the_account_balances(any_house, any_client):
    any_house.post()
    any_house.post()
    for name in ("ann", "bob", "cid"):
        any_house.reader(name)
    issue = any_house.freeze()
    assert account(any_house, issue.id).pending == 3
    assert any_client.post(any_house.leave_path("bob")).status_code == 200
    any_house.deliver(issue.id)
    found = account(any_house, issue.id)
    assert found.balanced
    assert (found.recipients, found.submitted, found.cancelled) == (3, 2, 1)
    assert {mail["To"] for mail in any_house.mails()} == {"ann@example.org", "cid@example.org"}


def test_the_page_asks_and_shows_no_address(house, client):
    house.reader("ann")
    page = client.get(house.leave_path("ann")).text
    assert "Unsubscribe from The weekly digest?" in page
    assert '<form method="post">' in page
    assert "ann@" not in page
    assert "ann@" not in client.post(house.leave_path("ann")).text


def forged(house, path):
    """Tokens of the right look that we did not make."""
    kind, token = path[:3], path[3:]
    yield from (f"{kind}{token[:-1]}", f"{kind}{token}A", f"{kind}{token[1:]}", kind)
    yield f"{kind}{token[:-1]}{'A' if token[-1] != 'A' else 'B'}"
    yield f"{kind}{token.swapcase()}"
    yield f"{kind}{'A' * len(token)}"
    yield f"{kind}{token}%0a"
    yield f"{kind}%00{token[1:]}"
    yield f"{path}/"
    yield f"{kind}{'x' * 5000}"


def test_forged_tokens_are_no_pages_and_change_nothing(house, client):
    house.reader("ann")
    house.reader("bob", confirmed=False)
    before = house.dump()
    paths = [*forged(house, house.leave_path("ann")), *forged(house, house.confirm_path("bob"))]
    # Of the other purpose, for a subscription that there is not, of another site.
    paths += [
        house.leave_path("bob").replace("/u/", "/c/"),
        house.confirm_path("bob").replace("/c/", "/u/"),
        house.preview_path(house.subscriptions["ann"]).replace("/preview/", "/u/"),
        f"/u/{make_token(house.app.secret, 'unsubscribe', 99)}",
        f"/u/{make_token(bytes(32), 'unsubscribe', 1)}",
        f"/c/{make_token(bytes(32), 'opt-in', 2, house.app.clock())}",
    ]
    for path in paths:
        for method in ("GET", "HEAD", "POST"):
            answer = client.request(method, path)
            assert answer.status_code == 404, (method, path)
            assert answer.headers["content-type"].startswith("text/html")
    assert house.dump() == before


@pytest.mark.parametrize("token", ["PREVIEW", "TEST"])
def test_the_sample_links_of_previews_and_test_copies_say_what_they_are(house, client, token):
    for answer in (client.get(f"/u/{token}"), client.post(f"/u/{token}")):
        assert answer.status_code == 200
        assert "Nothing was changed" in answer.text


def test_an_opt_in_is_confirmed_by_its_button_alone(any_house, any_client):
    any_house.reader("ann", confirmed=False)
    path = any_house.confirm_path("ann")
    for _ in range(2):
        assert "Subscribe to The weekly digest?" in any_client.get(path).text
    assert any_house.state("ann") == "pending"
    assert "You are subscribed" in any_client.post(path).text
    assert any_house.state("ann") == "active"
    for again in (any_client.post(path), any_client.get(path)):
        assert again.status_code == 200
        assert "already" in again.text


def test_an_opt_in_link_that_is_too_old_says_so(house, client):
    house.reader("ann", confirmed=False)
    path = house.confirm_path("ann")
    house.turn(days=15)
    for answer in (client.get(path), client.post(path)):
        assert answer.status_code == 404
        assert "older than 14 days" in answer.text
    assert house.state("ann") == "pending"


def test_a_confirmation_never_brings_back_who_left_or_is_suppressed(house, client):
    house.reader("ann", confirmed=False)
    house.reader("bob", confirmed=False)
    house.suppress("bob")
    token = house.leave_path("ann").removeprefix("/u/")
    unsubscribe_by_token(house.app.store, house.app.secret, token, house.app.clock())
    assert client.post(house.confirm_path("ann")).status_code == 410
    assert client.get(house.confirm_path("ann")).status_code == 410
    assert client.post(house.confirm_path("bob")).status_code == 409
    assert (house.state("ann"), house.state("bob")) == ("ended", "pending")


def test_an_issue_in_the_browser_has_no_personal_links(house, client):
    house.post("A post & more")
    house.post()
    house.reader("ann")
    path = issue_url("", "weekly", "all", "2026-W48")
    house.draft()
    assert client.get(path).status_code == 404
    issue = house.freeze()
    shown = client.get(path)
    assert shown.status_code == 200
    assert "A post &amp; more" in shown.text
    assert "http://127.0.0.1:8780/leave" in shown.text
    assert "/u/" not in shown.text
    assert "reader.invalid" not in shown.text
    assert shown.headers["x-robots-tag"] == "noindex"
    assert "sandbox" in shown.headers["content-security-policy"]
    house.deliver(issue.id)
    assert client.get(path).text == shown.text


def test_only_what_went_out_can_be_read(house, client):
    house.post()
    house.post()
    path = issue_url("", "weekly", "all", "2026-W48")
    assert client.get(path).status_code == 404
    issue = house.freeze()
    desk.cancel(house.app.store, issue.id, Act("Maya", house.app.clock(), "no"))
    assert client.get(path).status_code == 404


def test_odd_addresses_of_issues_are_no_pages(any_client):
    for path in (
        "nope/all/2026-W48",
        "weekly/series-nope/2026-W48",
        "weekly/all/%00",
        "weekly/all/2026-W48%27",
        "weekly/..%2f/2026-W48",
        "weekly/all/" + "9" * 400,
        "weekly/series:ipc/2026-W48",
        "%ff/all/x",
    ):
        assert any_client.get(f"/issues/{path}").status_code == 404, path


def test_titles_never_become_markup(house, client):
    house.configure('title = "The weekly digest"', 'title = "<script>x</script> & \'<b>"')
    house.reader("ann")
    house.reader("bob", confirmed=False)
    for path in ("/", "/leave", house.leave_path("ann"), house.confirm_path("bob")):
        page = client.get(path).text
        assert "<script" not in page
        assert "&lt;script&gt;" in page


def test_a_newsletter_that_config_forgot_can_still_be_left(house, client):
    house.reader("ann")
    text = (house.app.home / "config" / "newsletters.toml").read_text()
    renamed = text.replace("newsletters.weekly", "newsletters.other")
    (house.app.home / "config" / "newsletters.toml").write_text(renamed)
    (house.app.home / "config" / "flows.toml").write_text("")
    assert "Unsubscribe from weekly?" in client.get(house.leave_path("ann")).text
    assert client.post(house.leave_path("ann")).status_code == 200
    assert house.state("ann") == "ended"


def test_the_opt_in_of_a_moment_ago_works_and_one_from_the_future_does_not(house, client):
    house.reader("ann", confirmed=False)
    ahead = house.app.clock() + timedelta(days=1)
    assert client.get(house.confirm_path("ann", ahead)).status_code == 404
    assert client.get(house.confirm_path("ann")).status_code == 200
