"""A reader's own settings and data: reached by a mailed link alone, changed by a button alone."""

from __future__ import annotations

import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser
from sqlalchemy import select, update
from starlette.testclient import TestClient

from digest import notices
from digest.readers.tokens import make_token
from digest.settings import load_config
from digest.store import tables
from digest.store.dialect import lock_freezing
from digest.web.app import make_app

from .conftest import build, client_of

SERIES = "series:ipc"


@dataclass
class Mine:
    """Ann's own page."""

    house: Any
    client: Any
    path: str

    def get(self, end: str = "") -> Any:
        return self.client.get(self.path + end)

    def post(self, end: str = "", **fields: Any) -> Any:
        return self.client.post(self.path + end, data=fields)

    def save(self, **changed: Any) -> Any:
        """Send the page's form as a browser would, with some fields changed."""
        return self.client.post(self.path, data=self.fields() | changed)

    def fields(self) -> dict[str, Any]:
        return filled(self.get().text)


def filled(page: str) -> dict[str, Any]:
    """What a browser would send of the settings' form as it stands."""
    form = LexborHTMLParser(page).css_first("main > form")
    assert form is not None
    found: dict[str, Any] = {}
    for field in form.css("input"):
        kind, name = field.attributes.get("type"), field.attributes["name"]
        if kind in {"radio", "checkbox"} and "checked" not in field.attributes:
            continue
        value = field.attributes.get("value") or ""
        if kind == "checkbox" or name == "newsletter":
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    found["cap"] = form.css_first("select option[selected]").attributes["value"]
    return found


def me(house, number: int, at: datetime | None = None) -> str:
    return f"/me/{make_token(house.app.secret, 'settings', number, at or house.app.clock())}"


@pytest.fixture
def ann(any_house, any_client) -> Mine:
    offer(any_house)
    any_house.reader("ann")
    return Mine(any_house, any_client, me(any_house, 1))


@pytest.fixture
def mine(house, client) -> Mine:
    """As `ann`, on SQLite alone."""
    offer(house)
    house.reader("ann")
    return Mine(house, client, me(house, 1))


def offer(house) -> None:
    """Two newsletters more, and a choice of rhythms."""
    path = house.app.home / "config" / "newsletters.toml"
    text = path.read_text(encoding="utf-8")
    one = text.partition("[newsletters.weekly.")[0]
    one = re.sub(r"(?m)^(rhythms|description) = .*\n", "", one)
    for slug, title, more in (
        ("review", "The monthly review", 'description = "Slow & <b>long</b>."\n'),
        ("inner", "The inner letter", 'sign_up = "closed"\n'),
    ):
        added = one.replace("newsletters.weekly", f"newsletters.{slug}")
        added = added.replace("The weekly digest", title) + more
        (path.parent / f"{slug}.toml").write_text(added, encoding="utf-8")
    if "rhythms" not in text:
        house.configure(
            'cadence = "weekly"', 'cadence = "weekly"\nrhythms = ["each-post", "weekly", "monthly"]'
        )


def subscription(house, newsletter: str = "weekly") -> Any:
    query = select(tables.subscriptions).where(tables.subscriptions.c.newsletter == newsletter)
    with house.app.store.read() as c:
        return c.execute(query).one()


def weekly_cap(house) -> int | None:
    with house.app.store.read() as c:
        return c.scalar(select(tables.subscribers.c.weekly_cap))


def history(house) -> list[tuple[str, str, str]]:
    t = tables.consents.c
    with house.app.store.read() as c:
        return [tuple(row) for row in c.execute(select(t.event, t.form, t.text).order_by(t.id))]


# --- the settings ------------------------------------------------------------------------------


def test_the_page_shows_what_is_so(ann):
    page = ann.get().text
    assert "ann@example.org" in page
    fields = ann.fields()
    assert fields["rhythm.weekly"] == "weekly"
    assert fields["what.weekly"] == "everything"
    assert fields["until.weekly"] == ""
    assert fields["cap"] == "none"
    for title in ("Integrated Personal Commissioning", "Social care future", "Integration"):
        assert title in page


def test_what_is_saved_is_shown_again(ann):
    done = ann.save(
        **{
            "rhythm.weekly": "monthly",
            "what.weekly": "chosen",
            "group.weekly": [SERIES, "theme:integration"],
            "until.weekly": "2026-12-24",
            "cap": "3",
        }
    )
    assert done.status_code == 303
    assert done.headers["location"] == f"{ann.path}?done=saved"
    page = ann.client.get(done.headers["location"])
    assert page.status_code == 200
    assert "Saved." in page.text
    assert "paused" in page.text
    fields = filled(page.text)
    assert fields["rhythm.weekly"] == "monthly"
    assert set(fields["group.weekly"]) == {SERIES, "theme:integration"}
    assert fields["until.weekly"] == "2026-12-24"
    assert fields["cap"] == "3"
    row = subscription(ann.house)
    assert row.paused_until == datetime(2026, 12, 24, tzinfo=UTC)
    assert row.consent_at == ann.house.app.clock()
    assert weekly_cap(ann.house) == 3
    assert [event for event, *_ in history(ann.house)] == ["changed", "paused", "changed"]


def test_saving_the_page_as_it_is_changes_nothing(ann):
    ann.save(**{"what.weekly": "chosen", "group.weekly": [SERIES], "until.weekly": "2026-12-24"})
    before = ann.house.dump()
    assert ann.save().status_code == 303
    assert ann.house.dump() == before


def test_consent_is_not_moved_by_a_change(mine):
    before = subscription(mine.house)
    mine.house.turn(hours=5)
    mine.save(**{"rhythm.weekly": "monthly"})
    after = subscription(mine.house)
    assert (after.consent_at, after.consent_source) == (before.consent_at, before.consent_source)


@pytest.mark.parametrize(
    ("changed", "said", "kept"),
    [
        ({"what.weekly": "chosen"}, "Choose at least one", ("what.weekly", "chosen")),
        ({"what.weekly": ""}, "Choose everything, or what you follow", None),
        ({"rhythm.weekly": "hourly"}, "Choose how often", None),
        ({"until.weekly": "soon"}, "2026-12-24", ("until.weekly", "soon")),
        ({"until.weekly": "24/12/2026"}, "2026-12-24", ("until.weekly", "24/12/2026")),
        ({"until.weekly": "2026-11-23"}, "a day after today", ("until.weekly", "2026-11-23")),
        ({"until.weekly": "2027-11-24"}, "A year is the longest", ("until.weekly", "2027-11-24")),
        ({"until.weekly": "9999-12-31"}, "A year is the longest", ("until.weekly", "9999-12-31")),
        ({"cap": "4"}, "Choose one of these", None),
        ({"cap": "-1"}, "Choose one of these", None),
        ({"cap": "9" * 5000}, "Choose one of these", None),
        (
            {"what.weekly": "chosen", "group.weekly": ["series:nope", SERIES]},
            "not published any more",
            ("group.weekly", [SERIES]),
        ),
    ],
)
def test_what_cannot_be_is_said_beside_what_was_typed(mine, changed, said, kept):
    before = mine.house.dump()
    # Something else was changed as well; it is kept in the form and not lost.
    answer = mine.save(**({"rhythm.weekly": "monthly"} | changed))
    assert answer.status_code == 422
    assert said in answer.text
    assert "Nothing was saved yet" in answer.text
    assert mine.house.dump() == before
    wrong = LexborHTMLParser(answer.text).css_first("main p.wrong[id]")
    assert wrong is not None
    assert f'href="#{wrong.attributes["id"]}"' in answer.text
    assert f"{wrong.attributes['id']}" in re.sub(r'id="[^"]*"', "", answer.text)
    fields = filled(answer.text)
    if kept:
        assert fields[kept[0]] == kept[1]
    if "rhythm.weekly" not in changed:
        assert fields["rhythm.weekly"] == "monthly"


def test_two_newsletters_are_saved_together_or_not_at_all(mine):
    mine.post("/add", newsletter="review")
    before = mine.house.dump()
    answer = mine.save(**{"what.weekly": "chosen", "group.weekly": [SERIES], "until.review": "x"})
    assert answer.status_code == 422
    assert mine.house.dump() == before
    assert mine.save(**{"what.weekly": "chosen", "group.weekly": [SERIES]}).status_code == 303
    assert subscription(mine.house).interests == SERIES
    assert subscription(mine.house, "review").interests == "everything"


def test_the_last_of_two_tabs_wins(mine):
    old = mine.fields()
    mine.save(**{"rhythm.weekly": "monthly", "cap": "1"})
    mine.client.post(mine.path, data=old | {"cap": "7"})
    assert subscription(mine.house).rhythm == "weekly"
    assert weekly_cap(mine.house) == 7


def test_an_older_tab_brings_back_nobody_who_left(mine):
    old = mine.fields()
    mine.post("/stop", newsletter="weekly")
    assert mine.client.post(mine.path, data=old | {"cap": "2"}).status_code == 303
    assert subscription(mine.house).state == "ended"


def test_a_newsletter_is_stopped_and_had_again(ann):
    stopped = ann.post("/stop", newsletter="weekly")
    to = f"{ann.path}?done=stopped&of=weekly"
    assert (stopped.status_code, stopped.headers["location"]) == (303, to)
    assert subscription(ann.house).state == "ended"
    page = ann.get("?done=stopped&of=weekly").text
    assert "Stopped: no more of The weekly digest will be sent to you." in page
    assert "You get no newsletter from us." in page
    assert "Get it again" in page
    ann.house.turn(hours=1)
    ann.post("/add", newsletter="weekly")
    row = subscription(ann.house)
    assert (row.state, row.consent_at, row.ended_at) == ("active", ann.house.app.clock(), None)
    assert [event for event, *_ in history(ann.house)] == ["left", "confirmed"]


def test_another_newsletter_is_added_in_the_readers_own_words(ann):
    page = ann.get().text
    assert "The monthly review" in page
    assert "Slow &amp; &lt;b&gt;long&lt;/b&gt;." in page
    consent = ann.house.app.config.web.consent
    assert consent in page
    assert ann.post("/add", newsletter="review").status_code == 303
    assert subscription(ann.house, "review").state == "active"
    assert history(ann.house) == [("confirmed", "settings page", consent)]


def test_closed_or_unknown_newsletters_are_neither_shown_nor_added(mine):
    assert "The inner letter" not in mine.get().text
    before = mine.house.dump()
    for slug in ("inner", "nope", "", "weekly'; --", "x" * 5000):
        for end in ("/add", "/stop", "/go-on"):
            assert mine.post(end, newsletter=slug).status_code == 400, (end, slug)
    assert mine.house.dump() == before


def test_a_closed_newsletter_that_one_has_can_be_changed_and_left(mine):
    mine.house.configure('title = "The weekly digest"', 'title = "X"\nsign_up = "closed"')
    assert mine.save(**{"rhythm.weekly": "monthly"}).status_code == 303
    mine.post("/stop", newsletter="weekly")
    assert "Get it again: X" not in mine.get().text


def test_a_pause_is_ended_before_its_time(ann):
    assert "Go on now" not in ann.get().text
    ann.save(**{"until.weekly": "2026-12-24"})
    page = ann.get().text
    assert "Go on now" in page
    assert "Paused until" in page
    ann.post("/go-on", newsletter="weekly")
    assert subscription(ann.house).paused_until is None
    assert [event for event, *_ in history(ann.house)] == ["paused", "went on"]


def test_a_pause_that_is_over_is_not_shown(mine):
    mine.save(**{"until.weekly": "2026-11-24"})
    mine.house.turn(hours=16)  # Into the 24th.
    mine.path = me(mine.house, 1)
    assert mine.fields()["until.weekly"] == ""
    assert "Go on now" not in mine.get().text


def test_everything_is_left_from_there(mine):
    assert "/stop-all" not in mine.get().text
    mine.post("/add", newsletter="review")
    assert "/stop-all" in mine.get().text
    mine.post("/stop-all")
    assert {subscription(mine.house, slug).state for slug in ("weekly", "review")} == {"ended"}


def test_enter_in_a_field_saves(mine):
    """The first button of the form is what Enter presses: it must not be the one to stop."""
    form = LexborHTMLParser(mine.get().text).css_first("main > form")
    pressed = [one for one in form.css("button") if "form" not in one.attributes]
    assert [one.text(strip=True) for one in pressed] == ["Save"]


def test_what_left_config_is_said_and_goes_with_the_next_saving(mine):
    with mine.house.app.store.write() as c:
        c.execute(update(tables.subscriptions).values(interests=f"series:old|{SERIES}"))
    page = mine.get().text
    assert "You also chose" in page
    assert ">old<" in page
    mine.save()
    assert subscription(mine.house).interests == SERIES
    assert "You also chose" not in mine.get().text


def test_a_newsletter_that_left_config_can_still_be_stopped(mine):
    with mine.house.app.store.write() as c:
        c.execute(update(tables.subscriptions).values(newsletter="gone"))
    assert "It is not published any more." in mine.get().text
    assert mine.client.post(mine.path, data={"cap": "2"}).status_code == 303
    assert weekly_cap(mine.house) == 2
    mine.post("/stop", newsletter="gone")
    assert subscription(mine.house, "gone").state == "ended"


def test_a_suppressed_reader_is_told_plainly(mine):
    mine.house.suppress("ann")
    fields = {"newsletter": "weekly", "rhythm.weekly": "monthly", "what.weekly": "everything"}
    before = mine.house.dump()
    assert "Nothing is sent to you" in mine.get().text
    for answer in (
        mine.client.post(mine.path, data=fields | {"cap": "1"}),
        mine.post("/add", newsletter="review"),
        mine.post("/go-on", newsletter="weekly"),
    ):
        assert answer.status_code == 303
    assert mine.house.dump() == before
    assert mine.get("/data").status_code == 200


def test_what_is_typed_never_becomes_markup(mine):
    evil = '"><script>alert(1)</script>{{7*7}}'
    answer = mine.save(**{"until.weekly": evil, "group.weekly": [evil], "what.weekly": "chosen"})
    assert answer.status_code == 422
    assert "<script" not in answer.text
    assert filled(answer.text)["until.weekly"] == evil
    assert "<script" not in mine.get(f"?done={evil}").text
    with mine.house.app.store.write() as c:
        c.execute(update(tables.subscriptions).values(interests=f"series:{evil}"))
    page = mine.get().text
    assert "<script" not in page
    assert "{{7*7}}" in unescape(page)


_NAMES = st.sampled_from(
    ["newsletter", "rhythm.weekly", "what.weekly", "group.weekly", "until.weekly", "cap", "x"]
)
_VALUES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["weekly", "review", "monthly", "everything", "chosen", SERIES, "2026-12-24", "none", "3"]
    ),
)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(fields=st.dictionaries(_NAMES, st.one_of(_VALUES, st.lists(_VALUES, max_size=3))))
def test_whatever_is_posted_is_saved_whole_or_refused(mine, fields):
    answer = mine.client.post(mine.path, data=fields)
    assert answer.status_code in {303, 400, 422}
    row = subscription(mine.house)
    assert row.state == "active"
    assert row.rhythm in {"each-post", "weekly", "monthly"}
    assert mine.get().status_code == 200


# --- links -------------------------------------------------------------------------------------

ENDS = ("", "/data", "/erase", "/stop", "/stop-all", "/go-on", "/add")


def test_other_tokens_open_nothing(mine):
    house = mine.house
    house.reader("bob")
    now, secret = house.app.clock(), house.app.secret
    token = mine.path.removeprefix("/me/")
    old = now - timedelta(hours=24, seconds=1)
    wrong = [
        f"{token[:-1]}{'A' if token[-1] != 'A' else 'B'}",
        token[:-1],
        f"{token}A",
        token.swapcase(),
        "A" * 40,
        "x" * 3000,
        "%00",
        make_token(secret, "unsubscribe", 1),
        make_token(secret, "opt-in", 1, now),
        make_token(secret, "sign-up", 1, now),
        make_token(bytes(32), "settings", 1, now),
        make_token(secret, "settings", 99, now),
        make_token(secret, "settings", 1, old),
        make_token(secret, "settings", 1, now + timedelta(hours=1)),
    ]
    before = house.dump()
    for each in wrong:
        for end in ENDS:
            answer = mine.client.post(
                f"/me/{each}{end}", data={"sure": "yes", "newsletter": "weekly", "cap": "1"}
            )
            assert answer.status_code in {400, 404, *({405} if end == "/data" else ())}, (each, end)
            if end in ENDS[:3]:
                looked = mine.client.get(f"/me/{each}{end}")
                assert looked.status_code in {400, 404}
                assert "Ann" not in looked.text
                assert "ann@" not in looked.text
    assert house.dump() == before


def test_a_link_works_for_a_day(mine):
    mine.house.turn(hours=23, minutes=59)
    assert mine.get().status_code == 200
    mine.house.turn(minutes=2)
    late = mine.get()
    assert late.status_code == 404
    assert 'href="/manage"' in late.text


def test_looking_changes_nothing(ann):
    ann.save(**{"until.weekly": "2026-12-24"})
    token = ann.house.leave_path("ann").removeprefix("/u/")
    paths = [ann.path, f"{ann.path}/data", f"{ann.path}/erase", f"{ann.path}?done=left"]
    paths += [f"/s/{token}", "/manage", "/manage/asked"]
    before = ann.house.dump()
    for path in paths * 2:
        for method in ("GET", "HEAD"):
            for headers in ({}, {"User-Agent": "scanner", "Sec-Purpose": "prefetch"}):
                assert ann.client.request(method, path, headers=headers).status_code == 200
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
            assert ann.client.request(method, path).status_code == 405
    for end in ENDS[3:]:
        for method in ("GET", "HEAD", "PUT", "OPTIONS"):
            assert ann.client.request(method, ann.path + end).status_code == 405
    assert ann.house.dump() == before


def test_personal_pages_are_kept_nowhere_and_the_log_names_nobody(mine, caplog):
    with caplog.at_level(logging.INFO):
        for end in ("", "/data", "/erase"):
            answer = mine.get(end)
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "set-cookie" not in answer.headers
        mine.save()
        mine.client.post("/manage", data={"address": "ann@example.org"})
    said = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("digest"))
    assert "POST /me/{token} 303" in said
    assert mine.path.removeprefix("/me/") not in said
    assert "ann@" not in said


def test_below_a_path_all_links_have_it(house):
    house.configure("http://127.0.0.1:8780", "https://example.org/letters/", "site.toml")
    house.app = replace(house.app, config=load_config(house.app.home, {}))
    house.reader("ann")
    token = house.leave_path("ann").removeprefix("/u/")
    with TestClient(make_app(house.app), follow_redirects=False) as client:
        for prefix in ("", "/letters"):
            for path in (me(house, 1), f"{me(house, 1)}/erase", f"/u/{token}", f"/s/{token}"):
                page = client.get(prefix + path).text
                ours = re.findall(r'(?:action|href)="(/[^"]*)"', page)
                assert ours
                assert all(each.startswith("/letters/") for each in ours)
            answer = client.post(f"{prefix}/s/{token}")
            assert answer.headers["location"] == "/letters/manage/asked"
            answer = client.post(f"{prefix}{me(house, 1)}/stop", data={"newsletter": "weekly"})
            assert answer.headers["location"].startswith("/letters/me/")


# --- export and erasure ------------------------------------------------------------------------


def test_the_data_comes_as_a_file(ann):
    ann.save(**{"what.weekly": "chosen", "group.weekly": [SERIES]})
    answer = ann.get("/data")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "ann@example.org" in json.dumps(answer.json())
    assert SERIES in answer.text


def test_being_forgotten_takes_a_tick_and_a_button(ann):
    page = ann.get("/erase").text
    assert "What goes" in page
    assert "What stays" in page
    before = ann.house.dump()
    unsure = ann.post("/erase")
    assert unsure.status_code == 422
    assert "Tick the box" in unsure.text
    assert ann.house.dump() == before
    done = ann.post("/erase", sure="yes")
    assert done.status_code == 200
    assert "You are forgotten" in done.text
    left = {name: rows for name, rows in ann.house.dump().items() if "ann@" in "".join(rows)}
    assert left == {}
    assert subscription(ann.house).state == "ended"


def test_who_is_being_forgotten_while_an_issue_freezes_keeps_nobody_from_leaving(
    new_postgres, tmp_path, monkeypatch
):
    monkeypatch.delenv("DIGEST_LINKS_URL", raising=False)
    house = build(new_postgres("digest"), tmp_path / "home")
    for name in ("ann", "bob"):
        house.reader(name)
    with client_of(house) as client, ThreadPoolExecutor(2) as pool:
        with house.app.store.write() as c:
            lock_freezing(c)
            erasing = pool.submit(client.post, f"{me(house, 1)}/erase", data={"sure": "yes"})
            assert wait([erasing], 0.5).not_done
            leaving = pool.submit(client.post, house.leave_path("bob"))
            assert wait([leaving], 5).done
        assert (erasing.result().status_code, leaving.result().status_code) == (200, 200)
    assert (house.state("ann"), house.state("bob")) == ("ended", "ended")


def test_after_being_forgotten_the_link_opens_nothing(ann):
    ann.post("/erase", sure="yes")
    before = ann.house.dump()
    for end in ENDS[:3]:
        assert ann.get(end).status_code == 404
    for end in ENDS:
        if end != "/data":
            answer = ann.post(end, sure="yes", newsletter="weekly", cap="1")
            assert answer.status_code == 404
    assert ann.house.dump() == before


# --- asking for the link -----------------------------------------------------------------------


def asked(house) -> list[str]:
    """To whom a link was queued."""
    t = tables.notices.c
    with house.app.store.read() as c:
        return list(c.scalars(select(t.address_key).where(t.kind == "settings")))


def test_a_forwarded_mail_has_the_link_sent_to_its_first_reader(ann):
    path = ann.house.leave_path("ann").replace("/u/", "/s/")
    page = ann.client.get(path)
    assert "Mail me the link" in page.text
    answer = ann.client.post(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/manage/asked")
    for shown in (page, answer, ann.client.get("/manage/asked")):
        assert "ann@" not in shown.text
    assert asked(ann.house) == ["ann@example.org"]


def test_the_mailed_link_opens_the_settings(house, client):
    house.reader("ann")
    client.post(house.leave_path("ann").replace("/u/", "/s/"))
    notices.send_due(house.app)
    [mail] = house.mails()
    assert mail["To"] == "ann@example.org"
    text = mail.get_body(("plain",)).get_content()
    [link] = set(re.findall(r"http://127\.0\.0\.1:8780(/me/\S+)", text))
    assert "ann@example.org" in client.get(link).text


def test_who_left_can_get_the_link_too_and_come_back(house, client):
    house.reader("ann")
    client.post(house.leave_path("ann"))
    client.post(house.leave_path("ann").replace("/u/", "/s/"))
    notices.send_due(house.app)
    [mail] = house.mails()
    [link] = set(re.findall(r"/me/[\w-]+", mail.get_body(("plain",)).get_content()))
    client.post(f"{link}/add", data={"newsletter": "weekly"})
    assert house.state("ann") == "active"


def test_the_answer_is_the_same_for_everyone(any_house, any_client):
    any_house.reader("ann")
    any_house.reader("bob", confirmed=False)
    any_house.reader("cid")
    any_house.suppress("cid")
    any_house.reader("dan")
    any_client.post(f"{me(any_house, 4)}/erase", data={"sure": "yes"})
    known = [f"{name}@example.org" for name in ("ann", "bob", "cid", "dan")]
    answers = set()
    for address in (*known, "nobody@example.org", "  ANN@example.org "):
        answer = any_client.post("/manage", data={"address": address})
        answers.add((answer.status_code, answer.headers["location"], answer.text))
    token = any_house.leave_path("dan").replace("/u/", "/s/")
    answer = any_client.post(token)
    answers.add((answer.status_code, answer.headers["location"], answer.text))
    assert answers == {(303, "/manage/asked", "")}


def test_only_a_reader_gets_a_mail(house, client):
    house.reader("ann")
    for address in ("ann@example.org", "nobody@example.org"):
        client.post("/manage", data={"address": address})
    notices.send_due(house.app)
    assert [mail["To"] for mail in house.mails()] == ["ann@example.org"]


@pytest.mark.parametrize(
    "address",
    ["", "ann", "a@b@c", "ann@example.org\r\nBcc: x@example.org", "x" * 10_000, "<b>@x</b>"],
)
def test_what_is_no_address_is_said_and_kept(house, client, address):
    answer = client.post("/manage", data={"address": address})
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert "<b>@" not in answer.text
    assert asked(house) == []


def test_a_program_that_fills_in_every_field_asks_for_nothing(house, client):
    house.reader("ann")
    data = {"address": "ann@example.org", "website": "http://spam.example"}
    answer = client.post("/manage", data=data)
    assert (answer.status_code, answer.headers["location"]) == (303, "/manage/asked")
    assert asked(house) == []


def test_one_client_cannot_ask_for_ever(house, client):
    house.reader("ann")
    path = house.leave_path("ann").replace("/u/", "/s/")
    for number in range(20):
        client.post("/manage", data={"address": f"r{number}@example.org"})
    for answer in (client.post("/manage", data={"address": "ann@example.org"}), client.post(path)):
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
    assert "ann@example.org" not in asked(house)


def test_unknown_links_of_mails_ask_for_nothing(house, client):
    house.reader("ann")
    for token in ("nope", make_token(house.app.secret, "unsubscribe", 99), "A" * 32):
        for method in ("GET", "POST"):
            assert client.request(method, f"/s/{token}").status_code == 404
    for token in ("PREVIEW", "TEST"):
        for method in ("GET", "POST"):
            assert "Nothing was changed" in client.request(method, f"/s/{token}").text
    assert asked(house) == []
