"""Editors see what goes out, byte for byte, in every state; a look stores nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from digest.issues import desk
from digest.issues.preview import preview
from digest.issues.scope import Scope
from digest.model import Rhythm
from digest.previews import preview_files
from digest.readers.tokens import make_token


@pytest.fixture
def stocked(any_house):
    any_house.post('What a <b>budget</b> & "choice" are')
    any_house.post()
    for name in ("ann", "bob"):
        any_house.reader(name)
    return any_house


def command_shows(house, request=None):
    """The files that `digest preview` writes."""
    app, request = house.app, request or house.request
    with app.store.read() as c:
        shown = preview(c, app.config, app.templates, request)
    return preview_files(app, shown, None, request.scheduled_at).files


def test_the_preview_is_byte_for_byte_what_the_command_shows_and_what_is_sent(stocked, any_client):
    looked = any_client.get(stocked.look_path().replace("/look", "/look/mail", 1)).content
    path = stocked.preview_path(stocked.draft().id)
    files = command_shows(stocked)
    assert any_client.get(f"{path}/mail").content == files["issue.html"] == looked
    assert any_client.get(f"{path}/text").content == files["issue.txt"]
    stocked.deliver(stocked.freeze().id)
    for mail in stocked.mails():
        html = mail.get_body(("html",)).get_content().replace("\r\n", "\n").rstrip()
        token = stocked.leave_path(mail["To"].split("@")[0]).removeprefix("/u/")
        assert html.replace(token, "PREVIEW") == files["issue.html"].decode().rstrip()


def test_the_page_tells_what_an_editor_must_know(stocked, any_client):
    issue = stocked.draft()
    page = any_client.get(stocked.preview_path(issue.id)).text
    assert "weekly 2026-W48" in page
    assert "draft" in page
    assert "As things stand 2 readers, in 1 variant" in page
    assert "Also in this issue: Post 2" in page
    assert "new: arrived 2026-11-23" in page
    assert "Note: https." in page
    assert "102 KB" in page
    assert "&lt;b&gt;budget&lt;/b&gt; &amp; &#34;choice&#34;" in page
    assert "<b>budget" not in page
    assert "@example.org" not in page
    stocked.deliver(stocked.freeze().id)
    page = any_client.get(stocked.preview_path(issue.id)).text
    assert "2 recipients = 2 submitted" in page
    assert "Approved" in page
    assert "Maya" in page
    assert "@example.org" not in page


def test_looking_at_a_preview_changes_nothing(stocked, any_client):
    path = stocked.preview_path(stocked.draft().id)
    before = stocked.dump()
    for part in ("", "/mail", "/frame", "/text") * 2:
        assert any_client.get(path + part).status_code == 200
        assert any_client.head(path + part).status_code == 200
    assert stocked.dump() == before


def test_a_look_stores_nothing_and_says_who_would_get_it(stocked, any_client):
    before = stocked.dump()
    page = any_client.get(stocked.look_path())
    assert page.status_code == 200
    assert "not stored" in page.text
    assert "As things stand 2 readers, in 1 variant" in page.text
    assert any_client.get(stocked.look_path(repeat=True)).status_code == 200
    assert stocked.dump() == before
    assert stocked.draft().id == 1


def test_a_look_is_about_all_of_what_was_asked(stocked, any_client):
    series = any_client.get(stocked.look_path(scope=Scope("series", "ipc")))
    assert "weekly series:ipc 2026-W48" in series.text
    post = any_client.get(stocked.look_path(rhythm=Rhythm.EACH_POST, post_id=2, repeat=True))
    assert "post:2" in post.text
    assert "Goes whole" in post.text
    monthly = any_client.get(stocked.look_path(rhythm=Rhythm.MONTHLY, edition=2))
    assert "2026-11.2" in monthly.text


def test_a_look_at_a_period_that_has_its_issue_shows_that_one(stocked, any_client):
    issue = stocked.draft()
    assert f"<dd>{issue.id}</dd>" in any_client.get(stocked.look_path()).text


def test_a_look_without_posts_says_why(any_house, any_client):
    page = any_client.get(any_house.look_path())
    assert page.status_code == 200
    assert "no posts are stored yet" in page.text
    assert any_client.get(any_house.look_path().replace("?", "/mail?")).status_code == 404


def test_an_altered_query_is_no_page(stocked, any_client):
    path = stocked.look_path()
    altered = [
        path.replace("weekly", "other"),
        path.replace("scope=all", "scope=series%3Aipc"),
        path.replace("edition=1", "edition=2"),
        path.replace("repeat=0", "repeat=1"),
        path.replace("08%3A00", "09%3A00"),
        f"{path}&post=1",
        f"{path}&edition=1",
        f"{path}&more=1",
        path.partition("&sig=")[0],
        path[:-1],
        f"{path[:-1]}%ff",
        "/look",
        "/look?sig=",
    ]
    for bad in altered:
        assert bad != path
        assert any_client.get(bad).status_code == 404, bad


def test_a_query_that_was_only_escaped_anew_is_the_same(stocked, any_client):
    path = stocked.look_path()
    base, _, query = path.partition("?")
    turned = "&".join(reversed(query.split("&")))
    for same in (path.replace("%3A", ":"), f"{base}?{turned}"):
        assert same != path
        assert any_client.get(same).status_code == 200


def test_forged_preview_tokens_are_no_pages(house, client):
    house.post()
    house.post()
    house.reader("ann")
    house.draft()
    path = house.preview_path(1)
    for bad in (
        f"{path[:-1]}{'A' if path[-1] != 'A' else 'B'}",
        path[:-1],
        house.leave_path("ann").replace("/u/", "/preview/"),
        f"/preview/{make_token(bytes(32), 'preview', 1)}",
        house.preview_path(99),
        "/preview/1",
    ):
        for part in ("", "/mail", "/frame", "/text"):
            assert client.get(bad + part).status_code == 404, bad


@pytest.mark.parametrize("ended", ["held", "rejected", "cancelled", "skipped"])
def test_every_state_has_its_preview(house, client, ended):
    house.reader("ann")
    if ended != "skipped":
        house.post()
        house.post()
    issue = house.draft()
    app, act = house.app, house.act
    if ended == "held":
        desk.hold(app.store, issue.id, act)
    elif ended == "rejected":
        desk.reject(app.store, issue.id, act)
    elif ended == "cancelled":
        desk.cancel(app.store, house.freeze().id, act)
    page = client.get(house.preview_path(issue.id))
    assert page.status_code == 200
    assert f'<span class="state">{ended}</span>' in page.text
    if ended == "cancelled":
        assert "1 recipients = 1 cancelled" in page.text


def test_a_preview_follows_a_change_of_the_draft(house, client):
    house.post()
    house.post()
    issue = house.draft()
    path = house.preview_path(issue.id)
    changed = "A new <introduction>."
    desk.change(house.app.store, house.app.templates, issue.id, house.act, introduction=changed)
    assert "A new &lt;introduction&gt;." in client.get(f"{path}/mail").text


def test_a_look_is_of_the_moment_it_names(house, client):
    house.post()
    early = house.request.scheduled_at - timedelta(days=7)
    assert "2026-W47" in client.get(house.look_path(scheduled_at=early)).text
