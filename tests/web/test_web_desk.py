"""The desk: what wants a decision, how far an issue is, the mail in every light, who got it."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, select, update

from digest.issues import desk
from digest.model import Act
from digest.store import tables
from digest.web.desk_issue import VIEWS, in_scheme
from digest.web.desk_who import as_csv

from .conftest import NOW, sign_in

HOSTILE = "<script>alert('x')</script> \"&"


def words(page):
    """What a page says, on one line, without its markup."""
    return " ".join(re.sub(r"<[^>]*>", " ", page.text).split())


@pytest.fixture
def stocked(any_house):
    any_house.post()
    any_house.post()
    for name in ("ann", "bob", "cat"):
        any_house.reader(name)
    return any_house


@pytest.fixture
def maya(stocked):
    return sign_in(stocked)


def deliveries(house, **values):
    """Put the deliveries of issue 1, by name of their readers, into other states."""
    with house.app.store.write() as c:
        for name, changed in values.items():
            d = tables.deliveries
            c.execute(update(d).where(d.c.address == f"{name}@example.org").values(**changed))


def frozen(house, state="sending", **values):
    issue = house.freeze()
    with house.app.store.write() as c:
        c.execute(update(tables.issues).values(state=state))
    deliveries(house, **values)
    return issue


# --- the front and the list --------------------------------------------------------------------


def test_an_empty_desk_says_how_to_begin(house, editor):
    said = words(editor.get("/desk"))
    assert "There is no issue yet" in said
    assert "Nothing waits for a decision" in said


def test_the_front_tells_what_wants_a_decision(stocked, maya):
    issue = stocked.draft()
    said = words(maya.get("/desk"))
    assert "Wants a decision" in said
    assert issue.subject in said
    assert "Wants a decision by Wed 25 Nov, 08:00" in said
    desk.hold(stocked.app.store, issue.id, Act("Tom", NOW, HOSTILE))
    page = maya.get("/desk")
    assert "Held by Tom" in words(page)
    assert "<script>alert" not in page.text


def test_the_front_tells_what_is_on_its_way_and_what_is_in_doubt(stocked, maya):
    frozen(
        stocked,
        ann={"state": "submitted", "state_at": NOW},
        bob={"state": "uncertain", "state_at": NOW},
    )
    said = words(maya.get("/desk"))
    assert "3 recipients = 1 pending + 1 submitted + 1 uncertain" in said
    assert "66 %, no estimate yet" in said
    with stocked.app.store.write() as c:
        c.execute(update(tables.issues).values(state="done"))
    said = words(maya.get("/desk"))
    assert "1 uncertain: decide what becomes of them" in said


def test_the_front_tells_what_is_overdue(stocked, maya):
    stocked.freeze()
    sign_in(stocked)
    stocked.turn(hours=11)
    again = sign_in(stocked)
    said = words(again.get("/desk"))
    assert "Overdue" in said
    assert "What to do: go on: digest deliver 1" in said


@pytest.fixture
def many(any_house):
    """A hundred and twenty issues."""
    rows = [
        {
            "id": number,
            "newsletter": "weekly" if number % 2 else "other",
            "scope": "all",
            "period": f"p{number}",
            "rhythm": "weekly",
            "state": "held" if number % 3 else "rejected",
            "scheduled_at": NOW + timedelta(days=number),
            "created_at": NOW,
            "content": {},
            "subject": f"Subject {number}." if number > 1 else HOSTILE,
            "fallback_subject": "",
            "html": "",
            "text": "",
            "preflight": [],
            "hash": "",
        }
        for number in range(1, 121)
    ]
    steps = [
        {"issue_id": row["id"], "after": row["state"], "at": NOW, "actor": "x", "reason": HOSTILE}
        for row in rows
    ]
    with any_house.app.store.write() as c:
        c.execute(insert(tables.issues), rows)
        c.execute(insert(tables.issue_transitions), steps)
    return any_house


def test_issues_come_in_pages_newest_first(many):
    maya = sign_in(many)
    first = maya.get("/desk/issues").text
    assert "120 issues" in first
    assert "Subject 120." in first
    assert "Subject 71." in first
    assert "Subject 70." not in first
    assert "Page 1 of 3" in first
    last = maya.get("/desk/issues?page=3")
    assert "Subject 20." in last.text
    assert "&lt;script&gt;alert" in last.text
    assert "<script>alert" not in last.text
    assert maya.get("/desk/issues?page=4").status_code == 404
    for bad in ("0", "-1", "x", "1" * 30, "\u0661", ""):
        assert (
            maya.get(
                "/desk/issues",
            ).status_code
            == 200
        )
        assert maya.client.get("/desk/issues", params={"page": bad}).status_code == 404, bad


def test_issues_of_a_newsletter_or_in_a_state(many):
    maya = sign_in(many)
    found = maya.get("/desk/issues?newsletter=weekly&state=held").text
    assert "40 issues" in found
    assert "Subject 119." in found
    assert "Subject 118." not in found
    assert "0 issues" in maya.get("/desk/issues?newsletter=%27%3B--&state=").text
    assert maya.get("/desk/issues?state=nope").status_code == 404
    paged = maya.get("/desk/issues?newsletter=weekly").text
    assert "newsletter=weekly&amp;state=&amp;page=2" in paged


# --- one issue ---------------------------------------------------------------------------------


def test_an_issue_shows_all_that_its_preview_shows_and_more(stocked, maya):
    issue = stocked.draft()
    page = maya.get(f"/desk/issues/{issue.id}")
    said = words(page)
    assert page.status_code == 200
    for expected in (
        "weekly 2026-W48",
        "Wants a decision. Without an answer by Wednesday 25 November 2026, 08:00",
        "As things stand 3 readers, in 1 variant",
        "new: arrived 2026-11-23",
        "102 KB",
        "List-Unsubscribe: <http://127.0.0.1:8780/u/PREVIEW>",
        "To: reader@example.org",
        "Draft , Mon 23 Nov, 08:00 , by Maya",
        "Approve",
    ):
        assert expected.replace("<", "&lt;").replace(">", "&gt;") in said, expected
    stocked.deliver(stocked.freeze().id)
    said = words(maya.get(f"/desk/issues/{issue.id}"))
    assert "3 recipients = 3 submitted" in said
    assert "ann@example.org" not in said


def test_the_mail_is_what_goes_out_and_its_views_are_called_views(stocked, maya):
    issue = stocked.draft()
    path = f"/desk/issues/{issue.id}"
    sent = maya.get(f"{path}/mail")
    preview = maya.get(f"{stocked.preview_path(issue.id)}/mail")
    assert sent.content == preview.content
    assert (
        maya.get(f"{path}/text").content
        == maya.get(f"{stocked.preview_path(issue.id)}/text").content
    )
    for view, rule in (("light", "@media not all"), ("dark", "@media all")):
        shown = maya.get(f"{path}/mail?view={view}")
        assert rule in shown.text
        assert "prefers-color-scheme" not in shown.text
        assert f'<meta name="color-scheme" content="{view}" />' in shown.text
        assert "img-src http:" in shown.headers["content-security-policy"]
    for view in ("plain", "dark-plain"):
        policy = maya.get(f"{path}/mail?view={view}").headers["content-security-policy"]
        assert "img-src 'none'" in policy
        assert "sandbox" in policy
        assert "frame-ancestors 'self'" in policy
    assert maya.get(f"{path}/mail?view=plain").content == sent.content
    for part in ("", "/mail", "/frame"):
        assert maya.get(f"{path}{part}?view=nope").status_code == 404
    page = maya.get(f"{path}?view=dark").text
    assert "not byte for byte what is sent" in page
    assert page.count(f'src="{path}/frame?mask=3&amp;view=dark"') == 2
    assert f'href="{path}/mail?mask=3&amp;view=dark"' in page
    for view in VIEWS:
        alone, framed = (maya.get(f"{path}/{part}?view={view}") for part in ("mail", "frame"))
        assert framed.text.replace('<head><base target="_blank">', "<head>", 1) == alone.text
        assert framed.text != alone.text
        for header in ("content-security-policy", "referrer-policy"):
            assert framed.headers[header] == alone.headers[header]


def test_a_view_changes_no_word_of_a_post():
    html = "<head><style>@media (prefers-color-scheme:dark){a{}}</style></head><p>@media (prefers-color-scheme: dark)</p>"
    dark = in_scheme(html, "dark")
    assert dark == html.replace("@media (prefers-color-scheme:dark)", "@media all")


def test_runs_lead_to_prefect_and_the_ask_is_told(stocked, maya):
    issue = stocked.draft()
    run = "0197b9a2-8f5e-7a53-b2c5-6f3b9c1d2e4f"
    with stocked.app.store.write() as c:
        c.execute(
            insert(tables.runs).values(
                what="weekly-digest",
                parameters={},
                actor=HOSTILE,
                started_at=NOW,
                outcome="partial",
                counts={},
                reason=HOSTILE,
                issue_id=issue.id,
                prefect_run_id=run,
            )
        )
        c.execute(
            insert(tables.asks).values(
                issue_id=issue.id, prefect_run_id=run, hash=issue.hash, asked_at=NOW
            )
        )
    page = maya.get(f"/desk/issues/{issue.id}")
    assert "A run in Prefect asks about it" in words(page)
    assert f'href="http://127.0.0.1:4200/runs/flow-run/{run}"' in page.text
    assert "<script>alert" not in page.text


def test_an_issue_whose_newsletter_is_gone_can_still_be_looked_at(stocked, maya):
    issue = frozen(stocked, "paused")
    with stocked.app.store.write() as c:
        content = {**issue.content, "newsletter": "gone"}
        c.execute(update(tables.issues).values(newsletter="gone", content=content))
    page = maya.get(f"/desk/issues/{issue.id}")
    assert page.status_code == 200
    assert "Its mail cannot be shown" in page.text
    assert "3 recipients = 3 pending" in words(page)
    assert 'value="cancel"' in page.text
    assert maya.get(f"/desk/issues/{issue.id}/mail").status_code == 404


@pytest.mark.parametrize("state", ["skipped", "rejected", "cancelled", "held"])
def test_every_state_has_its_page(house, editor, state):
    house.reader("ann")
    if state != "skipped":
        house.post()
        house.post()
    issue = house.draft()
    if state == "cancelled":
        desk.cancel(house.app.store, house.freeze().id, house.act)
    elif state != "skipped":
        {"rejected": desk.reject, "held": desk.hold}[state](house.app.store, issue.id, house.act)
    page = editor.get(f"/desk/issues/{issue.id}")
    assert page.status_code == 200
    assert state in words(page)


def test_no_issue_no_page(house, editor):
    for number in ("9", "0", "x", "-1", str(2**63), "9" * 400):
        for part in ("", "/account", "/mail", "/frame", "/text", "/who"):
            assert editor.get(f"/desk/issues/{number}{part}").status_code == 404


def test_looking_changes_nothing(stocked, maya):
    issue = stocked.draft()
    before = stocked.dump()
    for part in ("", "/account", "/mail", "/frame", "/text", "/who", "?view=dark"):
        for _ in range(2):
            assert maya.get(f"/desk/issues/{issue.id}{part}").status_code == 200
    assert stocked.dump() == before


def test_a_viewer_sees_the_issue_and_neither_forms_nor_addresses(house, viewer):
    house.post()
    house.post()
    house.reader("ann")
    issue = house.draft()
    page = viewer.get(f"/desk/issues/{issue.id}").text
    assert page.count("<form") == 1
    assert "/sign-out" in page
    house.deliver(house.freeze().id)
    page = viewer.get(f"/desk/issues/{issue.id}").text
    assert "1 recipients = 1 submitted" in page
    assert "/who" not in page
    assert viewer.get(f"/desk/issues/{issue.id}/who").status_code == 403
    assert viewer.post(f"/desk/issues/{issue.id}/who", address="ann@example.org").status_code == 403


# --- the account as it moves -------------------------------------------------------------------


def test_what_moves_is_marked_until_it_is_done(stocked, maya):
    issue = frozen(stocked, ann={"state": "submitted", "state_at": NOW})
    for path in (f"/desk/issues/{issue.id}", f"/desk/issues/{issue.id}/account", "/desk"):
        page = maya.get(path)
        assert "data-live" in page.text
        assert '<progress max="3" value="1"' in page.text
    assert "sending, 30 % through" in maya.get(f"/desk/issues/{issue.id}/account").text
    with stocked.app.store.write() as c:
        c.execute(update(tables.issues).values(state="done"))
    for path in (f"/desk/issues/{issue.id}", f"/desk/issues/{issue.id}/account", "/desk"):
        assert "data-live" not in maya.get(path).text


def test_what_was_approved_is_looked_at_again_until_its_run_goes_on(stocked, maya):
    issue = frozen(stocked, ann={"state": "submitted", "state_at": NOW})
    with stocked.app.store.write() as c:
        c.execute(delete(tables.deliveries))
        c.execute(update(tables.issues).values(state="approved"))
    page = maya.get(f"/desk/issues/{issue.id}").text
    assert 'id="account" data-live' in page
    assert "Its recipients are not drawn yet." in page
    assert "Look again" in page


def test_the_script_is_ours_and_the_only_one(stocked, maya):
    page = maya.get("/desk")
    found = re.findall(r"<script[^>]*>", page.text)
    assert len(found) == 1
    address = re.search(r'src="([^"]+)"', found[0])[1]
    script = maya.get(address)
    assert script.headers["content-type"].startswith("text/javascript")
    assert "innerHTML" not in script.text
    assert "script-src 'self';" in page.headers["content-security-policy"]


def test_an_estimate_by_the_pace_of_the_last_minutes(stocked, maya):
    for number in range(40):
        stocked.reader(f"r{number:02}")
    issue = frozen(stocked)
    ids = select(tables.deliveries.c.id).order_by(tables.deliveries.c.id).limit(20)
    with stocked.app.store.write() as c:
        chosen = list(c.scalars(ids))
        for place, number in enumerate(chosen):
            at = NOW - timedelta(seconds=6 * place)
            c.execute(
                update(tables.deliveries)
                .where(tables.deliveries.c.id == number)
                .values(state="submitted", state_at=at)
            )
    said = words(maya.get(f"/desk/issues/{issue.id}/account"))
    # Twenty in 114 seconds, and 23 to come.
    assert "46 %, about 3 min to go" in said


# --- who got it --------------------------------------------------------------------------------


def test_who_stands_where_and_why(stocked, maya):
    stocked.reader("zoe")
    stocked.suppress("zoe")
    issue = frozen(
        stocked,
        ann={"state": "refused", "code": "550", "reason": HOSTILE, "state_at": NOW},
        bob={
            "state": "uncertain",
            "reason": "the worker ended",
            "mailer": "smtp a:25",
            "message_id": "<m@example.org>",
            "state_at": NOW,
        },
    )
    path = f"/desk/issues/{issue.id}/who"
    refused = maya.get(f"{path}?state=refused")
    assert "ann@example.org" in refused.text
    assert "550" in refused.text
    assert "bob@" not in refused.text
    assert "<script>alert" not in refused.text
    doubtful = words(maya.get(f"{path}?state=uncertain"))
    assert "bob@example.org" in doubtful
    assert "by smtp a:25, Message-ID &lt;m@example.org&gt;" in doubtful
    assert "suppressed" in words(maya.get(f"{path}?state=left-out"))
    assert "zoe@example.org" in words(maya.get(f"{path}?state=left-out"))
    assert maya.get(f"{path}?state=nope").status_code == 404


def test_who_comes_in_pages(stocked, maya):
    for number in range(120):
        stocked.reader(f"r{number:03}")
    issue = stocked.freeze()
    first = maya.get(f"/desk/issues/{issue.id}/who?state=pending").text
    assert "Page 1 of 2" in first
    assert first.count("@example.org</b>") == 100
    second = maya.get(f"/desk/issues/{issue.id}/who?state=pending&page=2").text
    assert second.count("@example.org</b>") == 23
    assert maya.get(f"/desk/issues/{issue.id}/who?state=pending&page=3").status_code == 404


def test_an_address_is_found_and_stands_in_no_address_of_a_page(stocked, maya):
    stocked.reader("zoe")
    stocked.suppress("zoe")
    issue = frozen(stocked, ann={"state": "failed", "reason": "no room", "state_at": NOW})
    path = f"/desk/issues/{issue.id}/who"
    assert "no room" in maya.post(path, address=" ANN@example.org").text
    assert "left out" in words(maya.post(path, address="zoe@example.org"))
    for unknown in ("nobody@example.org", "no address", "", "x" * 1999, HOSTILE, "%"):
        answer = maya.post(path, address=unknown)
        assert answer.status_code == 200
        assert "knows no reader of that address" in answer.text
        assert "<script>alert" not in answer.text
    assert 'method="post"' in maya.get(path).text
    assert "@" not in str(re.findall(r'(?:href|action)="([^"]*)"', maya.get(path).text))


def test_a_table_of_who_runs_nothing_in_a_spreadsheet(stocked, maya):
    issue = frozen(
        stocked,
        ann={"address": "=cmd|' /C calc'!A1", "state": "failed", "reason": "+1"},
        bob={"address": "-b@example.org", "state": "failed", "reason": 'a "quote",\nand more'},
    )
    answer = maya.post(f"/desk/issues/{issue.id}/who.csv", state="failed")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="weekly-1-failed.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert sorted(row["address"] for row in rows) == ["'-b@example.org", "'=cmd|' /C calc'!A1"]
    assert {row["reason"] for row in rows} == {"'+1", 'a "quote",\nand more'}
    everybody = maya.post(f"/desk/issues/{issue.id}/who.csv", state="")
    assert everybody.content.count(b"\r\n") == 4
    assert maya.post(f"/desk/issues/{issue.id}/who.csv", state="nope").status_code == 404
    with stocked.app.store.read() as c:
        runs = c.execute(select(tables.runs.c.what, tables.runs.c.actor)).all()
    assert runs == [("download who", "Maya")] * 2


def test_an_empty_table_has_its_heads():
    assert as_csv([]).startswith(b"\xef\xbb\xbfaddress,state,since")
