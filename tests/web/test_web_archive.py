"""The archive: what went out and nothing else, for readers, feed readers and search engines."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import feedparser
import pytest
from selectolax.lexbor import LexborHTMLParser
from sqlalchemy import insert, select, update
from starlette.testclient import TestClient

from digest.issues import desk
from digest.issues.scope import Scope
from digest.model import Act, DeliveryState, IssueState, Rhythm
from digest.settings import load_config
from digest.store import tables
from digest.web.app import make_app

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
LINKS = "http://127.0.0.1:8780"
WEEK = "/issues/weekly/all/2026-W48"
S = DeliveryState


@pytest.fixture
def web(house, client):
    return archive(house, client, "public")


@pytest.fixture
def any_web(any_house, any_client):
    return archive(any_house, any_client, "public")


def archive(house, client, kind):
    """The pages, with an archive of this kind."""
    path = house.app.home / "config" / "newsletters.toml"
    text = re.sub(r"(?m)^archive = .*\n", "", path.read_text(encoding="utf-8"))
    path.write_text(text.replace("title =", f'archive = "{kind}"\ntitle =', 1), encoding="utf-8")
    house.app = replace(house.app, config=load_config(house.app.home, {}))
    return client


def approved(house, **asked):
    app, request = house.app, replace(house.request, **asked)
    issue = desk.draft_issue(app.store, app.config, app.templates, request, house.act)
    desk.approve(app.store, app.templates, issue.id, house.act)
    return issue


def sent(house, **asked):
    """The number of an issue that went out."""
    issue = approved(house, **asked)
    house.deliver(issue.id)
    return issue.id


def published(house, posts=2):
    """One issue that went out to one reader."""
    for _ in range(posts):
        house.post()
    house.reader("ann")
    return sent(house)


def in_store(house, table, *where, **values):
    with house.app.store.write() as c:
        c.execute(update(table).where(*where).values(**values))


def copies(house, number, count):
    """Earlier issues like the one of that number, a week apart."""
    t = tables
    with house.app.store.write() as c:
        issue = dict(c.execute(select(t.issues).where(t.issues.c.id == number)).one()._mapping)
        made = c.execute(select(t.picks).where(t.picks.c.issue_id == number)).mappings().all()
        for back in range(1, count + 1):
            at = NOW - timedelta(weeks=back)
            year, week, _ = at.isocalendar()
            own = {"id": 1000 + back, "period": f"{year}-W{week:02}", "scheduled_at": at}
            c.execute(insert(t.issues).values(issue | own | {"subject": f"Issue {-back}"}))
            c.execute(insert(t.picks), [{**pick, "issue_id": 1000 + back} for pick in made])
            step = {"before": "frozen", "after": "sending", "actor": "x", "reason": "x"}
            values = {"issue_id": 1000 + back, "at": at, **step}
            c.execute(insert(t.issue_transitions).values(values))


def seen(answer):
    assert answer.status_code == 200, answer.text
    return LexborHTMLParser(answer.text)


def meta(page, name):
    found = page.css_first(f'meta[property="{name}"]') or page.css_first(f'meta[name="{name}"]')
    return found.attributes["content"] if found else None


def hrefs(page, selector="a"):
    return [link.attributes["href"] for link in page.css(selector)]


# --- an issue ----------------------------------------------------------------------------------


def test_an_issue_is_a_page_around_its_mail(house, web):
    house.post("A post & more")
    published(house, posts=1)
    answer = web.get(WEEK)
    page = seen(answer)
    assert "23–29 November 2026" in page.css_first("h1").text()
    assert "Covers 23–29 November 2026" in page.css_first("header").text()
    assert "sent 23 November 2026" in page.css_first("header").text()
    assert {"/archive/weekly", "/"} <= set(hrefs(page, "header a"))
    titles = [title.text() for title in page.css("ol.posts h3")]
    assert sorted(titles) == ["A post & more", "Post 2"]
    assert "http://127.0.0.1:8765/1/" in hrefs(page, "ol.posts a")
    assert "Part 1 of 2 of Integrated Personal Commissioning" in page.css_first("ol.posts").text()
    assert "Unsubscribe" in page.css_first("details pre").text()
    frame = page.css_first("iframe").attributes
    assert frame["src"] == f"{WEEK}/frame"
    assert "allow-same-origin" not in frame["sandbox"]
    assert "allow-scripts" not in frame["sandbox"]
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_no_part_of_an_issue_has_personal_links(any_house, any_web):
    published(any_house)
    for path in (WEEK, f"{WEEK}/mail", f"{WEEK}/frame"):
        shown = any_web.get(path).text
        assert f"{LINKS}/leave" in shown
        assert f"{LINKS}/manage" in shown
        for personal in ("/u/", "/s/", "reader.invalid", "ann@", "mailto:unsubscribe"):
            assert personal not in shown, (path, personal)


def test_the_mail_by_itself_is_as_it_was_sent_and_in_its_frame_links_open_beside_it(house, web):
    published(house)
    mail, framed = web.get(f"{WEEK}/mail"), web.get(f"{WEEK}/frame")
    sent_html = house.mails()[0].get_body(("html",)).get_content()
    own = re.compile(r"https?://127\.0\.0\.1:8780/(u|s|leave|manage)[^\"]*|mailto:[^\"]*")
    assert own.sub("", mail.text).split() == own.sub("", sent_html).split()
    assert framed.text.replace('<base target="_blank">', "", 1) == mail.text
    for answer in (mail, framed):
        assert "sandbox allow-popups" in answer.headers["content-security-policy"]
        assert answer.headers["x-robots-tag"] == "noindex"


@pytest.mark.parametrize(
    ("state", "of_the_first", "is_out"),
    [
        (IssueState.FROZEN, S.PENDING, False),
        (IssueState.SENDING, S.PENDING, False),
        (IssueState.SENDING, S.CLAIMED, False),
        (IssueState.SENDING, S.SUBMITTING, True),
        (IssueState.SENDING, S.SUBMITTED, True),
        (IssueState.SENDING, S.UNCERTAIN, True),
        (IssueState.SENDING, S.REFUSED, False),
        (IssueState.PAUSED, S.PENDING, False),
        (IssueState.PAUSED, S.SUBMITTED, True),
        (IssueState.DONE, S.SUBMITTED, True),
        (IssueState.DONE, S.FAILED, True),
        (IssueState.CANCELLED, S.SUBMITTED, False),
    ],
)
def test_an_issue_is_out_once_a_reader_may_have_it(any_house, any_web, state, of_the_first, is_out):
    any_house.reader("bob")
    number = published(any_house)
    first = tables.deliveries.c.subscriber_id == 1
    leased = {"worker": "w", "lease_until": NOW}
    in_store(any_house, tables.deliveries, state=S.PENDING)
    in_store(any_house, tables.deliveries, first, state=of_the_first, **leased)
    in_store(any_house, tables.issues, tables.issues.c.id == number, state=state)
    for path in (WEEK, f"{WEEK}/mail", f"{WEEK}/frame"):
        assert any_web.get(path).status_code == (200 if is_out else 404)
    assert (WEEK in any_web.get("/archive/weekly").text) == is_out
    assert (WEEK in any_web.get("/archive/weekly/feed.atom").text) == is_out
    assert (WEEK in any_web.get("/sitemap.xml").text) == is_out


def test_what_is_drafted_or_approved_is_not_out(house, web):
    house.post()
    house.post()
    issue = approved(house)
    assert web.get(WEEK).status_code == 404
    desk.cancel(house.app.store, issue.id, Act("Maya", house.app.clock(), "no"))
    assert web.get(WEEK).status_code == 404
    assert "No issue went out yet" in web.get("/archive/weekly").text


def test_before_and_after_are_issues_of_the_same_row(any_house, any_web):
    number = published(any_house)
    copies(any_house, number, 2)
    rhythm = {"rhythm": Rhythm.MONTHLY, "period": "2026-10"}
    in_store(any_house, tables.issues, tables.issues.c.id == 1001, **rhythm)
    page = seen(any_web.get(WEEK))
    assert hrefs(page, 'header a[rel="prev"]') == ["/issues/weekly/all/2026-W46"]
    assert page.css_first('a[rel="next"]') is None
    page = seen(any_web.get("/issues/weekly/all/2026-W46"))
    assert hrefs(page, 'header a[rel="next"]') == [WEEK]
    assert page.css_first('a[rel="prev"]') is None


def test_second_editions_and_issues_of_one_post_have_their_addresses(house, web):
    house.post()
    published(house, posts=1)
    house.post("One more")
    house.post("And another")
    sent(house, edition=2)
    assert "second edition" in seen(web.get(f"{WEEK}.2")).css_first("header").text()
    number = house.post("Alone")
    sent(house, rhythm=Rhythm.EACH_POST, post_id=number)
    page = seen(web.get(f"/issues/weekly/all/post:{number}"))
    assert [title.text() for title in page.css("ol.posts h3")] == ["Alone"]
    assert f"/issues/weekly/all/post:{number}" in hrefs(seen(web.get("/archive/weekly")))


def test_what_came_late_to_some_readers_is_no_part_of_what_all_got(any_house, any_web):
    published(any_house)
    t = tables
    with any_house.app.store.write() as c:
        content = c.execute(select(t.issues.c.content)).scalar_one()
        content["items"][1]["overflow"] = True
        late = content["items"][1]["post"]
        c.execute(update(t.issues).values(content=content))
        of_it = t.picks.c.post_id == late["post_id"]
        c.execute(update(t.picks).where(of_it).values(code="overflow"))
    assert hrefs(seen(any_web.get(WEEK)), "ol.posts a") == ["http://127.0.0.1:8765/1/"]
    assert late["url"] not in any_web.get("/archive/weekly/feed.atom").text
    assert "1 post<" in any_web.get("/archive/weekly").text
    assert late["title"] in any_web.get(f"{WEEK}/mail").text
    rendered = {"subject": "s", "text": "t https://reader.invalid/unsubscribe", "preflight": []}
    mail = "<p>What all got.</p>"
    with any_house.app.store.write() as c:
        c.execute(insert(t.variants).values(issue_id=1, mask=1, html=mail, **rendered))
    assert any_web.get(f"{WEEK}/mail").text == mail


# --- lists -------------------------------------------------------------------------------------


def test_a_newsletters_issues_come_newest_first_by_year_fifty_to_a_page(any_house, any_web):
    number = published(any_house)
    copies(any_house, number, 53)
    page = seen(any_web.get("/archive/weekly"))
    assert [year.text() for year in page.css("section > h2")] == ["2026", "2025"]
    found = [link for link in hrefs(page) if link.startswith("/issues/")]
    assert found[:2] == [WEEK, "/issues/weekly/all/2026-W47"]
    assert len(found) == 50
    assert "2 posts" in page.css_first("ul.list li").text()
    assert hrefs(page, 'a[rel="next"]') == ["/archive/weekly?page=2"]
    older = seen(any_web.get("/archive/weekly?page=2"))
    assert [link.text() for link in older.css("ul.list a")] == [
        f"Issue -{n}" for n in range(50, 54)
    ]
    assert hrefs(older, 'a[rel="prev"]') == ["/archive/weekly"]
    assert older.css_first('a[rel="next"]') is None
    assert hrefs(older, 'link[rel="canonical"]') == [f"{LINKS}/archive/weekly?page=2"]


@pytest.mark.parametrize("page", ["0", "-1", "3", "x", "1.0", "", "٢", "9" * 30, "2&page=2"])
def test_pages_that_are_none(any_house, any_web, page):
    published(any_house)
    assert any_web.get(f"/archive/weekly?page={page}").status_code == 404


def test_a_series_shows_its_parts_and_where_it_appeared(any_house, any_web):
    any_house.configure("cap_per_series = 3", "cap_per_series = 9")
    archive(any_house, any_web, "public")
    for title in ("First", "Second", "Third"):
        any_house.post(title)
    any_house.reader("ann")
    sent(any_house, scope=Scope("series", "ipc"))
    any_house.turn(hours=1)
    any_house.post("Fourth")
    any_house.post("Fifth")
    sent(any_house)
    any_house.post("Sixth")
    with any_house.app.store.write() as c:
        ensure = {"kind": "series", "slug": "ipc", "post_id": 6, "why": "category IPC"}
        c.execute(insert(tables.memberships).values(ensure))
    in_store(any_house, tables.posts, tables.posts.c.id == 2, gone_at=NOW)
    page = seen(any_web.get("/archive/weekly/series-ipc"))
    assert page.css_first("h1").text() == "Integrated Personal Commissioning"
    said = [" ".join(part.text().split()) for part in page.css("ol.parts li")]
    assert said == [
        "1 First In the issue of 23–29 November 2026",
        "2 Part 2 was withdrawn.",
        "3 Third In the issue of 23–29 November 2026",
        "4 Fourth In the issue of 23–29 November 2026",
        "5 Fifth In the issue of 23–29 November 2026",
        "6 Sixth In no issue yet",
    ]
    issues = [link for link in hrefs(page, "ol.parts a") if link.startswith("/issues/")]
    assert issues == ["/issues/weekly/series-ipc/2026-W48"] * 2 + [WEEK] * 2
    assert hrefs(page, "ul.list a") == [WEEK, "/issues/weekly/series-ipc/2026-W48"]
    whole = seen(any_web.get("/archive/weekly"))
    assert hrefs(whole, "nav.others a") == ["/archive/weekly/series-ipc"]
    assert "/archive/weekly/series-ipc" in hrefs(
        seen(any_web.get("/issues/weekly/series-ipc/2026-W48")), "header a"
    )


def test_an_empty_archive_says_so(any_house, any_web):
    assert "No issue went out yet" in any_web.get("/archive").text
    assert "No issue went out yet" in any_web.get("/archive/weekly").text
    assert "No issue brought any of it yet" in any_web.get("/archive/weekly/series-ipc").text
    assert "No issue brought any of it yet" in any_web.get("/archive/weekly/theme-funding").text
    empty = feedparser.parse(any_web.get("/archive/weekly/feed.atom").content)
    assert not empty.bozo
    assert empty.entries == []


@pytest.mark.parametrize(
    "path",
    [
        "/archive/nope",
        "/archive/weekly/all",
        "/archive/weekly/series-nope",
        "/archive/weekly/theme-ipc",
        "/archive/weekly/series:ipc",
        "/archive/weekly/series-ipc/",
        "/archive/weekly/",
        "/archive/weekly/%00",
        "/archive/%ff/feed.atom",
        "/archive/weekly/series-nope/feed.atom",
        "/archive/nope/feed.atom",
        "/issues/nope/all/2026-W48",
        "/issues/weekly/series-nope/2026-W48",
        "/issues/weekly/all/%00/mail",
        "/issues/weekly/all/2026-W48%27/frame",
        "/issues/weekly/..%2f/2026-W48",
        "/issues/weekly/all/" + "9" * 400,
        "/issues/weekly/series:ipc/2026-W48",
        "/issues/%ff/all/x",
    ],
)
def test_odd_addresses_are_no_pages(any_house, any_web, path):
    published(any_house)
    answer = any_web.get(path)
    assert answer.status_code == (400 if "%00" in path else 404)
    assert answer.headers["x-robots-tag"] == "noindex"


# --- search engines and previews ---------------------------------------------------------------

PLACES = (WEEK, "/archive/weekly", "/archive/weekly/series-ipc")
FEEDS = ("/archive/weekly/feed.atom", "/archive/weekly/series-ipc/feed.atom")


def test_a_public_archive_welcomes_search_engines_and_previews(house, web):
    published(house)
    for path in ("/archive", *PLACES):
        answer = web.get(path)
        page = seen(answer)
        assert answer.headers["x-robots-tag"] == "all"
        assert meta(page, "robots") == "index, follow"
        assert hrefs(page, 'link[rel="canonical"]') == [LINKS + path]
        assert meta(page, "og:url") == LINKS + path
        assert meta(page, "og:site_name") == "Common Threads"
        assert meta(page, "og:title")
        assert meta(page, "description") == meta(page, "og:description") != ""
        feeds = hrefs(page, 'link[type="application/atom+xml"]')
        assert feeds
        assert web.get(feeds[0]).status_code == 200
    assert all(web.get(path).headers["x-robots-tag"] == "all" for path in FEEDS)
    assert meta(seen(web.get(WEEK)), "description") == "Post 1 · Post 2"


def test_a_preview_shows_the_issues_own_introduction_and_first_picture(house, web):
    house.post()
    house.post()
    house.post()
    pictures = ("", "https://blog.example/a.png?x=1&y=2", "https://blog.example/b.png")
    for number, picture in enumerate(pictures, 1):
        values = {"image_url": picture or None, "image_alt": 'A "hall"'}
        in_store(house, tables.posts, tables.posts.c.id == number, **values)
    house.reader("ann")
    app, issue = house.app, house.draft()
    words = "Halls, and what\n\nthey cost."
    desk.change(app.store, app.templates, issue.id, house.act, introduction=words)
    desk.approve(app.store, app.templates, issue.id, house.act)
    house.deliver(issue.id)
    page = seen(web.get(WEEK))
    assert meta(page, "og:description") == "Halls, and what they cost."
    assert meta(page, "og:image") == "https://blog.example/a.png?x=1&y=2"
    assert meta(page, "og:image:alt") == 'A "hall"'
    assert meta(page, "twitter:card") == "summary_large_image"


def test_without_a_picture_that_can_be_fetched_a_preview_has_none(house, web):
    published(house)
    page = seen(web.get(WEEK))
    assert (meta(page, "og:image"), meta(page, "twitter:card")) == (None, "summary")


def test_an_unlisted_archive_is_for_those_who_have_its_address(house, client):
    web = archive(house, client, "unlisted")
    published(house)
    for path in (*PLACES, *FEEDS):
        answer = web.get(path)
        assert answer.status_code == 200
        assert answer.headers["x-robots-tag"] == "noindex"
        assert "og:" not in answer.text
        assert "canonical" not in answer.text
    assert all(meta(seen(web.get(path)), "robots") == "noindex" for path in PLACES)
    lists = web.get("/archive")
    assert "weekly" not in lists.text
    assert lists.headers["x-robots-tag"] == "noindex"
    assert web.get("/sitemap.xml").status_code == 404
    assert web.get("/robots.txt").text == "User-agent: *\nDisallow: /\n"


def test_an_archive_that_is_off_has_no_pages_and_leaving_goes_on(house, client):
    web = archive(house, client, "off")
    published(house)
    assert "Read this in a browser" not in house.mails()[0].get_body(("html",)).get_content()
    for path in (*PLACES, *FEEDS, f"{WEEK}/mail", f"{WEEK}/frame"):
        assert web.get(path).status_code == 404, path
    assert web.get("/leave").status_code == 200
    assert web.post(house.leave_path("ann")).status_code == 200
    assert house.state("ann") == "ended"


def test_search_engines_find_the_map_and_not_what_is_personal(any_house, any_web):
    number = published(any_house)
    copies(any_house, number, 1)
    rules = any_web.get("/robots.txt")
    assert rules.headers["content-type"].startswith("text/plain")
    assert f"Sitemap: {LINKS}/sitemap.xml" in rules.text
    for path in ("/u/", "/c/", "/s/", "/me/", "/join/", "/preview/", "/look", "/desk"):
        assert f"Disallow: {path}\n" in rules.text
    root = ET.fromstring(any_web.get("/sitemap.xml").content)
    names = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9"}
    found = [place.text.removeprefix(LINKS) for place in root.iterfind("s:url/s:loc", names)]
    assert found == [
        "/archive",
        "/archive/weekly",
        "/archive/weekly/series-ipc",
        WEEK,
        "/issues/weekly/all/2026-W47",
    ]
    assert all(any_web.get(path).status_code == 200 for path in found)


def test_below_a_path_every_address_has_it(house):
    house.configure("http://127.0.0.1:8780", "https://example.org/letters/", "site.toml")
    archive(house, None, "public")
    published(house)
    base = "https://example.org/letters"
    with TestClient(make_app(house.app)) as client:
        rules = client.get("/letters/robots.txt").text
        assert "Disallow: /letters/u/\n" in rules
        assert f"Sitemap: {base}/sitemap.xml" in rules
        assert f"<loc>{base}{WEEK}</loc>" in client.get("/sitemap.xml").text
        for path in ("/archive", *PLACES):
            page = seen(client.get(f"/letters{path}"))
            assert hrefs(page, 'link[rel="canonical"]') == [base + path]
            inner = [link for link in hrefs(page) if not link.startswith(("http", "#"))]
            assert all(link.startswith("/letters/") for link in inner)
            assert all(client.get(link).status_code == 200 for link in inner)
        feed = feedparser.parse(client.get("/letters/archive/weekly/feed.atom").content)
        assert feed.entries[0].link == base + WEEK


# --- feeds -------------------------------------------------------------------------------------


def test_a_feed_is_read_by_feed_readers(any_house, any_web):
    number = published(any_house)
    copies(any_house, number, 21)
    answer = any_web.get("/archive/weekly/feed.atom")
    assert answer.headers["content-type"] == "application/atom+xml"
    feed = feedparser.parse(answer.content)
    assert not feed.bozo
    assert feed.version == "atom10"
    assert feed.feed.title == "The weekly digest"
    assert feed.feed.id == f"{LINKS}/archive/weekly/feed.atom"
    own = {link.rel: link.href for link in feed.feed.links}
    assert own == {"self": feed.feed.id, "alternate": f"{LINKS}/archive/weekly"}
    assert feed.feed.updated == feed.entries[0].updated
    assert len(feed.entries) == 20
    assert len({entry.id for entry in feed.entries}) == 20
    first = feed.entries[0]
    assert first.id == f"tag:weekly.commonthreads.example,2026-11-23:issue-{number}"
    assert first.link == LINKS + WEEK
    assert first.summary == "Post 1 · Post 2"
    assert first.content[0].type == "text/html"
    assert '<a href="http://127.0.0.1:8765/1/">Post 1</a>' in first.content[0].value
    moment = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
    assert all(moment.fullmatch(entry.updated) for entry in feed.entries)


def test_a_series_feed_has_the_issues_that_brought_it(any_house, any_web):
    for number in (1, 2):
        any_house.post()
        in_store(any_house, tables.posts, tables.posts.c.id == number, categories=[])
    any_house.reader("ann")
    sent(any_house)
    any_house.post()
    sent(any_house, scope=Scope("series", "ipc"))
    feed = feedparser.parse(any_web.get("/archive/weekly/series-ipc/feed.atom").content)
    assert feed.feed.title == "Integrated Personal Commissioning in The weekly digest"
    assert [entry.link for entry in feed.entries] == [f"{LINKS}/issues/weekly/series-ipc/2026-W48"]


@pytest.mark.parametrize("path", ["/archive/weekly/feed.atom", "/archive/weekly", WEEK, "/archive"])
def test_what_did_not_change_is_not_sent_again(house, web, path):
    number = published(house)
    first = web.get(path)
    assert first.headers["cache-control"] == "public, max-age=300"
    etag = first.headers["etag"]
    for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        again = web.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
        assert again.headers["x-robots-tag"] == "all"
        assert "content-type" not in again.headers
    for known in ('"x"', "", etag.strip('"')):
        assert web.get(path, headers={"If-None-Match": known}).status_code == 200
    copies(house, number, 1)
    assert web.get(path, headers={"If-None-Match": etag}).status_code == 200


def test_a_mail_keeps_its_policy_where_it_is_not_sent_again(house, web):
    published(house)
    first = web.get(f"{WEEK}/frame")
    again = web.get(f"{WEEK}/frame", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    policy = "content-security-policy"
    assert again.headers[policy] == first.headers[policy]


def test_a_feed_says_when_it_changed(house, web):
    published(house)
    path = "/archive/weekly/feed.atom"
    modified = web.get(path).headers["last-modified"]
    assert modified == "Mon, 23 Nov 2026 08:00:00 GMT"
    for since, status in (
        (modified, 304),
        ("Mon, 23 Nov 2026 07:59:59 GMT", 200),
        ("Tue, 24 Nov 2026 08:00:00 -0000", 304),
        ("no date", 200),
        ("Mon, 99 Nov 9999 99:00:00 GMT", 200),
    ):
        assert web.get(path, headers={"If-Modified-Since": since}).status_code == status, since
    both = {"If-Modified-Since": modified, "If-None-Match": '"x"'}
    assert web.get(path, headers=both).status_code == 200


# --- hostile words -----------------------------------------------------------------------------

HOSTILE = "\"><script>alert(1)</script> '&amp; ]]> \u202eedoc \x0b\x07 {{ 7 * 7 }} <!--"


def test_hostile_titles_stay_text_everywhere(house, web):
    house.configure('title = "The weekly digest"', "title = '<b>\"weekly\"</b> & <i>'")
    archive(house, web, "public")
    house.post(HOSTILE)
    published(house, posts=1)
    in_store(house, tables.issues, subject=HOSTILE)
    for path in ("/archive", *PLACES):
        answer = web.get(path)
        page = seen(answer)
        assert page.css("script, b, i") == []
        assert "49" not in page.css_first("main").text()
        assert '<b>"weekly"</b> & <i>' in page.text()
        bare = [tag for tag in page.css("*") if any(n.startswith("on") for n in tag.attributes)]
        assert bare == []
    assert "alert(1)" in meta(seen(web.get(WEEK)), "og:title")
    for path in FEEDS:
        content = web.get(path).content
        feed = feedparser.parse(content, sanitize_html=False)
        assert not feed.bozo
        assert "<script>alert(1)</script>" in feed.entries[0].title_detail.value
        html = LexborHTMLParser(feed.entries[0].content[0].value)
        assert html.css("script") == []
        assert b"\x0b" not in content


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//evil.example/", " javascript:x", ""]
)
def test_a_post_whose_address_is_none_of_the_web_is_no_link(house, web, url):
    number = published(house)
    with house.app.store.write() as c:
        issue = c.execute(select(tables.issues)).one()
        content = issue.content
        content["items"][0]["post"]["url"] = url
        image = {"url": url or "x", "alt": "", "width": 1, "height": 1}
        content["items"][0]["post"]["image"] = image
        c.execute(update(tables.issues).values(content=content))
    in_store(house, tables.posts, tables.posts.c.id == 1, url=url)
    assert number
    page = seen(web.get(WEEK))
    assert hrefs(page, "ol.posts a") == ["http://127.0.0.1:8765/2/"]
    assert meta(page, "og:image") is None
    parts = seen(web.get("/archive/weekly/series-ipc"))
    assert hrefs(parts, "ol.parts h3 a") == ["http://127.0.0.1:8765/2/"]
    feed = feedparser.parse(web.get("/archive/weekly/feed.atom").content, sanitize_html=False)
    html = LexborHTMLParser(feed.entries[0].content[0].value)
    assert hrefs(html) == ["http://127.0.0.1:8765/2/"]


def test_looking_changes_nothing_and_posting_is_refused(house, web):
    published(house)
    before = house.dump()
    for path in (*PLACES, *FEEDS, "/archive", "/robots.txt", "/sitemap.xml", f"{WEEK}/mail"):
        assert web.get(path).status_code == 200
        assert web.head(path).status_code == 200
        assert web.post(path).status_code == 405
    assert house.dump() == before


def test_a_series_that_config_forgot_still_has_its_issues(house, web):
    house.post()
    house.reader("ann")
    sent(house, scope=Scope("series", "ipc"))
    in_store(house, tables.issues, scope="series:gone")
    page = seen(web.get("/issues/weekly/series-gone/2026-W48"))
    assert "gone" in page.css_first("header").text()
    assert web.get("/archive/weekly/series-gone").status_code == 404
    assert "/archive/weekly/series-gone" not in hrefs(page)
