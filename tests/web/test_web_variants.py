"""Editors see mails that readers get: the variant of most, and every other one by its link."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest

from digest.issues import desk
from digest.issues.freeze import freeze_issue
from digest.issues.preview import preview_of_issue
from digest.issues.scope import Scope
from digest.previews import preview_files
from digest.store import issues as issue_store

SERIES = Scope("series", "ipc")
#: Of three posts just the third, which Ann and Cat have not had.
MOST, WHOLE = 0b100, 0b111


@pytest.fixture
def parted(any_house):
    """Ann and Cat have had two of the three posts; Bob, who came later, none."""
    house, app = any_house, any_house.app
    house.post("Alpha")
    house.post("Beta")
    house.reader("ann")
    house.reader("cat")
    wanted = replace(house.request, scope=SERIES)
    issue = desk.draft_issue(app.store, app.config, app.templates, wanted, house.act)
    desk.approve(app.store, app.templates, issue.id, house.act)
    zone = app.config.site.zone
    frozen = freeze_issue(app.store, app.templates, issue.id, house.act, zone)
    assert frozen.state == "frozen"
    house.post("Gamma")
    house.reader("bob")
    return house


def mail_for(house, issue_id, name):
    """What `digest preview --for` writes, with the sample links."""
    with house.app.store.read() as c:
        issue = issue_store.get_issue(c, issue_id)
        shown = preview_of_issue(c, issue)
    made = preview_files(house.app, shown, f"{name}@example.org", issue.scheduled_at)
    token = house.leave_path(name).removeprefix("/u/").encode()
    return {name: made.files[name].replace(token, b"PREVIEW") for name in made.files}


def rows(page):
    """The links to variants, by what they are called to those who only hear them."""
    found = re.findall(r'<a href="([^"]+)" aria-label="([^"]+)"', page)
    return {unescape(label): unescape(href) for href, label in found}


def frames(page):
    return [unescape(src) for src in re.findall(r'<iframe [^>]*src="([^"]+)"', page)]


def in_frame(client, address):
    """The mail of a frame, less the one thing in which it differs: where its links open."""
    beside = b'<base target="_blank">'
    shown = client.get(address).content
    assert b"<head>" + beside in shown
    return shown.replace(beside, b"")


def whole_of(page):
    found = re.search(r'href="([^"]+)">Show the whole issue', page)
    return unescape(found[1]) if found else None


def test_a_draft_is_shown_as_most_readers_get_it(parted, any_client):
    issue = parted.draft()
    path = parted.preview_path(issue.id)
    page = any_client.get(path).text
    assert "As 2 of 3 readers get it: 1 of 3 posts<" in page
    assert page.count("Not in the mail above.") == 2
    assert page.count('aria-current="true"') == 1
    assert "The findings are those of the whole issue." in page
    (mail, _) = frames(page)
    for name in ("ann", "cat"):
        files = mail_for(parted, issue.id, name)
        assert in_frame(any_client, mail) == files["issue.html"]
        assert any_client.get(f"{path}/mail").content == files["issue.html"]
        assert any_client.get(f"{path}/text").content == files["issue.txt"]


def test_every_row_leads_to_its_own_variant(parted, any_client):
    issue = parted.draft()
    page = any_client.get(parted.preview_path(issue.id)).text
    for label, href in rows(page).items():
        name = "bob" if "3 of 3 posts, 1 reader" in label else "ann"
        shown = any_client.get(href).text
        (mail, _) = frames(shown)
        assert in_frame(any_client, mail) == mail_for(parted, issue.id, name)["issue.html"]
    assert len(rows(page)) == 2
    whole = any_client.get(whole_of(page)).text
    assert "As 1 of 3 readers gets it: 3 of 3 posts<" in whole
    assert "Not in the mail above." not in whole
    assert whole_of(whole) is None


def test_a_look_shows_what_most_readers_would_get(parted, any_client):
    before = parted.dump()
    looked = any_client.get(parted.look_path()).text
    assert "As 2 of 3 readers get it: 1 of 3 posts<" in looked
    (mail, _) = frames(looked)
    small = in_frame(any_client, mail)
    large = in_frame(any_client, frames(any_client.get(whole_of(looked)).text)[0])
    assert parted.dump() == before
    issue = parted.draft()
    assert small == mail_for(parted, issue.id, "ann")["issue.html"]
    assert large == mail_for(parted, issue.id, "bob")["issue.html"]


def test_a_variant_that_nobody_gets_says_so(parted, any_client):
    page = any_client.get(f"{parted.preview_path(parted.draft().id)}?mask=3").text
    assert "A variant: 2 of 3 posts." in page
    assert "no reader gets just this" in page


def test_where_nobody_gets_it_the_whole_issue_is_shown(house, client):
    house.post()
    house.post()
    path = house.preview_path(house.draft().id)
    page = client.get(path).text
    assert "The whole issue: 2 of 2 posts." in page
    assert "no reader gets it whole" in page
    assert rows(page) == {}


def test_a_frozen_issue_shows_what_its_recipients_get(parted, any_client):
    frozen = parted.freeze()
    # Whoever comes or goes now changes nothing of it.
    parted.reader("dan")
    path = parted.preview_path(frozen.id)
    page = any_client.get(path).text
    assert "As 2 of 3 readers get it: 1 of 3 posts<" in page
    for name, mask in (("ann", MOST), ("bob", WHOLE)):
        shown = any_client.get(f"{path}/mail?mask={mask}").content
        assert shown == mail_for(parted, frozen.id, name)["issue.html"]
    unknown = any_client.get(f"{path}?mask=3")
    assert unknown.status_code == 404
    assert "no reader gets that variant" in unknown.text


@pytest.mark.parametrize(
    "bad", ["0", "8", "9", "-1", "+1", "1.0", "", "x", "١", "%ff", "9" * 30, "1&mask=1", "1" * 5000]
)
def test_a_mask_beyond_the_issue_is_no_page(parted, any_client, bad):
    path = parted.preview_path(parted.draft().id)
    look = parted.look_path(scope=SERIES, edition=2)
    for part in ("", "/mail", "/frame", "/text"):
        assert any_client.get(f"{path}{part}?mask={bad}").status_code == 404
        assert any_client.get(look.replace("?", f"{part}?") + f"&mask={bad}").status_code == 404


def test_a_mask_does_not_make_an_altered_look_genuine(parted, any_client):
    path = f"{parted.look_path()}&mask={MOST}"
    assert any_client.get(path).status_code == 200
    assert any_client.get(path.replace("edition=1", "edition=2")).status_code == 404
    assert any_client.get(f"/look?mask={MOST}").status_code == 404
