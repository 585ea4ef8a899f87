"""Leaving, confirming, and an issue to read: looking changes nothing, a POST does at once."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from digest.model import Interests, Rhythm
from digest.notices import send_opt_in
from digest.readers.erasure import erase_reader
from digest.readers.subscriptions import subscribe, unsubscribe_by_token
from digest.readers.tokens import make_token
from digest.settings import load_config
from digest.store import accounts, tables

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


def test_leaving_is_kept_as_the_readers_own_doing(any_house, any_client):
    any_house.reader("ann")
    for _ in range(2):
        any_client.post(any_house.leave_path("ann"))
    assert history(any_house) == [("left", "link in a mail", "")]


@pytest.mark.parametrize("how", ONE_CLICK)
def test_one_click_never_means_more_than_its_own_newsletter(house, client, how):
    second(house)
    house.reader("ann")
    also(house, "ann", "monthly")
    client.post(house.leave_path("ann"), **ONE_CLICK[how])
    assert states(house, "ann") == {"weekly": "ended", "monthly": "active"}


def test_a_choice_posted_to_the_link_itself_is_leaving_all_the_same(house, client):
    """What a mail program sends there has one meaning only."""
    house.reader("ann")
    client.post(house.leave_path("ann"), data={"do": "pause", "for": "3"})
    assert house.state("ann") == "ended"


def test_who_left_by_mistake_is_shown_the_ways_back(house, client):
    house.reader("ann")
    for answer in (client.post(house.leave_path("ann")), client.get(house.leave_path("ann"))):
        assert "Did this by mistake?" in answer.text
        assert f'href="{house.leave_path("ann").replace("/u/", "/s/")}"' in answer.text


@pytest.mark.parametrize(
    ("months", "until", "words"),
    [
        ("1", datetime(2026, 12, 23, tzinfo=UTC), "23 December 2026"),
        ("3", datetime(2027, 2, 23, tzinfo=UTC), "23 February 2027"),
    ],
)
def test_a_pause_instead(house, client, months, until, words):
    house.reader("ann")
    page = client.get(house.leave_path("ann")).text
    assert f"until {words}" in page
    answer = client.post(f"{house.leave_path('ann')}/pause", data={"for": months})
    assert answer.status_code == 200
    assert f"The weekly digest is paused until {words}" in answer.text
    assert house.state("ann") == "active"
    assert paused_until(house, "ann") == until
    assert history(house) == [("paused", "link in a mail", f"until {until.date()}")]
    assert f"It is paused until {words}." in client.get(house.leave_path("ann")).text


def test_a_longer_pause_stays_and_is_told(house, client):
    house.reader("ann")
    path = f"{house.leave_path('ann')}/pause"
    client.post(path, data={"for": "3"})
    assert "is paused until 23 February 2027" in client.post(path, data={"for": "1"}).text
    assert paused_until(house, "ann") == datetime(2027, 2, 23, tzinfo=UTC)


def test_a_pause_names_the_archive_where_there_is_one(house, client):
    house.reader("ann")
    path = f"{house.leave_path('ann')}/pause"
    assert "/archive/weekly" in client.post(path, data={"for": "1"}).text
    house.configure('archive = "public"', 'archive = "off"')
    assert "archive" not in client.post(path, data={"for": "1"}).text


def test_a_pause_of_nothing_changes_nothing(house, client):
    house.reader("ann")
    house.reader("bob", confirmed=False)
    before = house.dump()
    path = f"{house.leave_path('ann')}/pause"
    for wrong in ("", "0", "4", "-1", "1.5", "one", "\u0661", "9" * 500):
        assert client.post(path, data={"for": wrong}).status_code == 400
    assert client.post(path).status_code == 400
    waiting = client.post(f"{house.leave_path('bob')}/pause", data={"for": "1"})
    assert "not been confirmed" in waiting.text
    assert house.dump() == before
    client.post(house.leave_path("ann"))
    assert "already" in client.post(path, data={"for": "1"}).text


def test_everything_is_left_at_once_and_nothing_of_it_is_named(any_house, any_client):
    second(any_house)
    any_house.reader("ann")
    path = any_house.leave_path("ann")
    assert "Leave everything" not in any_client.get(path).text
    also(any_house, "ann", "monthly")
    any_house.reader("bob")
    looked = any_client.get(path).text
    assert "Leave everything of Common Threads" in looked
    answer = any_client.post(f"{path}/everything")
    assert answer.status_code == 200
    assert "You have left everything of Common Threads" in answer.text
    for page in (looked, answer.text):
        assert "The monthly review" not in page
        assert "ann@" not in page
    assert states(any_house, "ann") == {"weekly": "ended", "monthly": "ended"}
    assert any_house.state("bob") == "active"
    assert [event for event, *_ in history(any_house)] == ["left", "left"]


def test_a_link_leaves_everything_also_after_its_own_newsletter(house, client):
    second(house)
    house.reader("ann")
    also(house, "ann", "monthly")
    client.post(house.leave_path("ann"))
    client.post(f"{house.leave_path('ann')}/everything")
    assert states(house, "ann") == {"weekly": "ended", "monthly": "ended"}


def test_looking_at_the_other_choices_shows_the_page_and_changes_nothing(any_house, any_client):
    any_house.reader("ann")
    before = any_house.dump()
    path = any_house.leave_path("ann")
    for end in ("", "/pause", "/everything"):
        for method in ("GET", "HEAD"):
            for headers in ({}, {"User-Agent": "scanner", "Purpose": "prefetch"}):
                answer = any_client.request(method, path + end, headers=headers)
                assert answer.status_code == 200
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
            assert any_client.request(method, path + end).status_code == 405
    assert any_house.dump() == before


def test_an_erased_reader_has_left_and_cannot_be_told_apart(house, client):
    house.reader("ann")
    house.reader("bob")
    erase_reader(house.app.store, house.app.secret, 1, house.app.clock())
    client.post(house.leave_path("bob"))
    ends = ("", "/pause", "/everything")
    for end in ends:
        shown = {
            client.get(house.leave_path(name) + end).text.replace(house.leave_path(name)[3:], "")
            for name in ("ann", "bob")
        }
        assert len(shown) == 1
    for end in ends:
        answer = client.post(house.leave_path("ann") + end, data={"for": "1"})
        assert answer.status_code == 200
    assert history(house) == [("left", "link in a mail", "")]


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
    assert f'<form method="post" action="{house.leave_path("ann")}">' in page
    assert "ann@" not in page
    assert "ann@" not in client.post(house.leave_path("ann")).text


def history(house):
    """What readers did, as it is kept."""
    t = tables.consents.c
    with house.app.store.read() as c:
        return [tuple(row) for row in c.execute(select(t.event, t.form, t.text).order_by(t.id))]


def paused_until(house, name):
    query = select(tables.subscriptions.c.paused_until)
    query = query.where(tables.subscriptions.c.id == house.subscriptions[name])
    with house.app.store.read() as c:
        return c.scalar(query)


def second(house):
    """One more newsletter in config."""
    path = house.app.home / "config" / "newsletters.toml"
    text = path.read_text(encoding="utf-8").partition("[newsletters.weekly.")[0]
    text = text.replace("newsletters.weekly", "newsletters.monthly")
    text = text.replace("The weekly digest", "The monthly review")
    text = text.replace('cadence = "weekly"', 'cadence = "monthly"')
    (path.parent / "second.toml").write_text(text, encoding="utf-8")


def also(house, name, newsletter):
    """One more subscription for that reader."""
    result = subscribe(
        house.app.store,
        load_config(house.app.home, {}),
        address=f"{name}@example.org",
        newsletter=newsletter,
        interests=Interests(),
        rhythm=Rhythm.MONTHLY,
        consent_source="test",
        consent_at=house.app.clock(),
        now=house.app.clock(),
        secret=house.app.secret,
    )
    return result.subscription_id


def states(house, name):
    t = tables.subscriptions.c
    query = select(t.newsletter, t.state).join_from(tables.subscriptions, tables.subscribers)
    query = query.where(tables.subscribers.c.address_key == f"{name}@example.org")
    with house.app.store.read() as c:
        return dict(map(tuple, c.execute(query)))


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
        f"/u/{make_token(house.app.secret, 'unsubscribe', 2**63 - 1)}",
        f"/u/{make_token(bytes(32), 'unsubscribe', 1)}",
        f"/c/{make_token(bytes(32), 'opt-in', 2, house.app.clock())}",
    ]
    choices = [path for path in paths if path.startswith("/u/")]
    paths += [f"{path}{end}" for path in choices for end in ("/pause", "/everything")]
    for path in paths:
        for method in ("GET", "HEAD", "POST"):
            answer = client.request(method, path, data={"for": "1"} if method == "POST" else None)
            assert answer.status_code in {400, 404}, (method, path)
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
