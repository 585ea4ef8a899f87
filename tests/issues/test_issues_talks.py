"""Where a post is talked about, as its digest says below it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from selectolax.lexbor import LexborHTMLParser
from sqlalchemy import insert, update

from digest.config import Config
from digest.issues import desk
from digest.issues.compose import Request, compose
from digest.issues.content import Talk, from_json, to_json
from digest.issues.freeze import freeze_issue
from digest.issues.render import render
from digest.issues.scope import ALL, parse_scope
from digest.issues.specimen import specimens
from digest.issues.words import line
from digest.model import Act, IssueState, Rhythm, Severity
from digest.store import tables

if TYPE_CHECKING:
    from datetime import datetime

    from digest.issues.compose import Draft
    from digest.issues.content import IssueContent
    from digest.store.engine import Store

TEMPLATES = Path(__file__).parents[2] / "templates"
WEEKLY = specimens("weekly")[0]

MASTODON = {"url": "https://social.example", "access_token": "t"}
BLUESKY = {"identifier": "blog.example", "app_password": "p"}
X = dict.fromkeys(
    ("consumer_key", "consumer_secret", "access_token", "access_token_secret"), "secret"
)
#: Not in the order of their names, so that the order is seen to be config's.
CHANNELS = {
    "toots": {"network": "mastodon", "kind": "account", "mastodon": MASTODON},
    "more-toots": {"network": "mastodon", "kind": "account", "mastodon": MASTODON},
    "skies": {"network": "bluesky", "kind": "account", "bluesky": BLUESKY},
    "birds": {"network": "x", "kind": "account", "x": X},
    "wall": {"network": "bluesky", "kind": "preview"},
}


def a_config(**channels: Any) -> Config:
    newsletter = {
        "title": "Weekly",
        "from_name": "Blog",
        "from_address": "digest@blog.example",
        "bounce_address": "bounces@blog.example",
        "reply_to": "editors@blog.example",
        "unsubscribe_mailto": "unsubscribe@blog.example",
        "list_id": "weekly.blog.example",
        "mailer": "local",
        "utm": {"utm_source": "digest"},
    }
    site = {"name": "Blog", "url": "https://blog.example", "contact": "editors@blog.example"}
    site |= {"postal_address": "1 Example Street", "links_url": "https://blog.example"}
    ipc = {"title": "On IPC", "hashtag": "IPC", "match": {"categories": ["IPC"]}}
    return Config.model_validate(
        {
            "site": site,
            "mailers": {"local": {"kind": "file"}},
            "feeds": {},
            "newsletters": {"weekly": newsletter},
            "series": {"ipc": ipc},
            "channels": channels or CHANNELS,
        }
    )


class Blog:
    """Posts that are out on channels."""

    def __init__(self, store: Store, now: datetime) -> None:
        self.store = store
        self.now = now

    def post(self, number: int) -> int:
        at = self.now - timedelta(days=1, hours=number)
        values = {"id": number, "guid": f"g{number}", "url": f"https://blog.example/{number}/"}
        values |= {"title": f"Post {number}", "author": "Ann", "excerpt": "What it says."}
        values |= dict.fromkeys(("published", "first_seen", "arrived"), at)
        values |= {"categories": ["IPC"], "html": "", "text": "What it says."}
        with self.store.write() as c:
            row = {"reading_minutes": 1, "content_hash": str(number)}
            c.execute(insert(tables.posts).values(**values, **row))
        return number

    def thread(
        self,
        post_id: int,
        channel: str,
        url: str | None = None,
        *,
        state: str = "submitted",
        hours_ago: float = 2,
        repeat: int = 0,
    ) -> int:
        """The thread of a post on a channel, of two snippets; `state` is of the first."""
        at = self.now - timedelta(hours=hours_ago)
        thread = {"channel": channel, "post_id": post_id, "scope": "series:ipc", "repeat": repeat}
        snippet = {"channel": channel, "text": "t", "measured": 1, "slot": at, "state_at": at}
        with self.store.write() as c:
            row = insert(tables.threads).values(**thread, reason="new", planned_at=at)
            thread_id = c.execute(row.returning(tables.threads.c.id)).scalar_one()
            snippet["thread_id"] = thread_id
            urls = (url or f"https://{channel}.example/{post_id}", "https://second.example/")
            for position, address in enumerate(urls, 1):
                values = {"position": position, "url": address, "attempts": 0}
                values["state"] = state if position == 1 else "submitted"
                c.execute(insert(tables.publications).values(**snippet, **values))
        return int(thread_id)

    def delete(self, thread_id: int, *, hours_ago: float = 1, position: int = 1) -> None:
        at = self.now - timedelta(hours=hours_ago)
        p = tables.publications.c
        which = (p.thread_id == thread_id) & (p.position == position)
        with self.store.write() as c:
            c.execute(update(tables.publications).where(which).values(deleted_at=at))

    def draft(
        self, config: Config | None = None, scope: str = "all", *, hours_ago: float = 0
    ) -> Draft:
        as_of = self.now - timedelta(hours=hours_ago)
        asked = ALL if scope == "all" else parse_scope(scope)
        request = Request("weekly", asked, Rhythm.WEEKLY, as_of)
        with self.store.read() as c:
            return compose(c, config or a_config(), TEMPLATES, request)

    def talks(self, config: Config | None = None, **asked: Any) -> list[tuple[str, str]]:
        """The talks about the only post."""
        (item,) = self.draft(config, **asked).content.items
        return [(talk.network_name, talk.url) for talk in item.talks]


@pytest.fixture
def blog(store: Store, now: datetime) -> Blog:
    blog = Blog(store, now)
    blog.post(1)
    return blog


def seen(content: IssueContent) -> tuple[str, str]:
    """What the HTML and the text of an issue say, each as one line."""
    rendered = render(content, TEMPLATES)
    body = LexborHTMLParser(rendered.html).body
    assert body is not None
    return line(body.text(separator="")), line(rendered.text)


# --- what is named -----------------------------------------------------------------------------


def test_each_network_is_named_once_in_the_order_of_config(blog: Blog) -> None:
    for channel in ("wall", "birds", "skies", "more-toots", "toots"):
        blog.thread(1, channel)
    expected = [
        ("Mastodon", "https://toots.example/1"),
        ("Bluesky", "https://skies.example/1"),
        ("X", "https://birds.example/1"),
    ]
    assert blog.talks() == expected
    assert blog.talks(scope="series:ipc") == expected


def test_the_second_account_of_a_network_stands_in_where_the_first_lacks_the_post(
    blog: Blog,
) -> None:
    blog.thread(1, "toots", state="refused")
    blog.thread(1, "more-toots")
    assert blog.talks() == [("Mastodon", "https://more-toots.example/1")]


def test_a_post_without_threads_has_no_line(blog: Blog) -> None:
    draft = blog.draft()
    assert blog.talks() == []
    assert "Talk about" not in draft.rendered.html + draft.rendered.text


def test_posts_have_their_own_threads(blog: Blog) -> None:
    blog.post(2)
    blog.thread(2, "skies")
    talks = {item.post.post_id: item.talks for item in blog.draft().content.items}
    assert talks == {1: (), 2: (Talk("Bluesky", "https://skies.example/2"),)}


@pytest.mark.parametrize(
    "state", ["pending", "uncertain", "refused", "failed", "cancelled", "suppressed"]
)
def test_what_is_not_known_to_be_out_is_not_named(blog: Blog, state: str) -> None:
    blog.thread(1, "skies", state=state)
    assert blog.talks() == []


def test_a_preview_is_not_named_and_a_channel_that_config_lost_neither(blog: Blog) -> None:
    blog.thread(1, "wall", "file:///home/blog/var/social/wall.html#1")
    blog.thread(1, "forgotten")
    assert blog.talks() == []


def test_what_a_channel_showed_while_it_was_a_preview_is_not_linked(blog: Blog) -> None:
    blog.thread(1, "toots", "file:///home/blog/var/social/toots.html#1")
    assert blog.talks() == []
    blog.thread(1, "more-toots")
    assert blog.talks() == [("Mastodon", "https://more-toots.example/1")]


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//social.example/1", "https://[", "https:"]
)
def test_only_addresses_of_the_web_are_linked(blog: Blog, url: str) -> None:
    blog.thread(1, "skies", url)
    assert blog.talks() == []


# --- as of -------------------------------------------------------------------------------------


def test_what_went_out_later_is_not_named_earlier(blog: Blog) -> None:
    blog.thread(1, "skies", hours_ago=3)
    before = blog.draft(hours_ago=2.5)
    blog.thread(1, "birds", hours_ago=2)
    assert blog.draft(hours_ago=2.5).rendered == before.rendered
    assert blog.talks(hours_ago=3.5) == []
    assert [name for name, _ in blog.talks()] == ["Bluesky", "X"]


def test_what_was_taken_down_is_named_no_more(blog: Blog) -> None:
    thread_id = blog.thread(1, "skies", hours_ago=3)
    before = blog.draft(hours_ago=2)
    blog.delete(thread_id, hours_ago=1)
    assert blog.talks() == []
    assert blog.draft(hours_ago=2).rendered == before.rendered


def test_a_thread_is_there_while_its_first_snippet_is(blog: Blog) -> None:
    thread_id = blog.thread(1, "skies")
    blog.delete(thread_id, position=2)
    assert blog.talks() == [("Bluesky", "https://skies.example/1")]


def test_what_is_to_be_taken_down_is_named_no_more(blog: Blog, store: Store) -> None:
    blog.thread(1, "skies", hours_ago=3)
    with store.write() as c:
        c.execute(update(tables.threads).values(undo_at=blog.now - timedelta(hours=1)))
    assert blog.talks() == []
    assert blog.talks(hours_ago=2) == [("Bluesky", "https://skies.example/1")]


def test_of_a_post_that_was_brought_back_the_newest_thread_that_is_there_is_named(
    any_store: Store, now: datetime
) -> None:
    blog = Blog(any_store, now)
    blog.post(1)
    blog.thread(1, "skies", "https://skies.example/first", hours_ago=9)
    again = blog.thread(1, "skies", "https://skies.example/again", hours_ago=2, repeat=1)
    assert blog.talks() == [("Bluesky", "https://skies.example/again")]
    assert blog.talks(hours_ago=5) == [("Bluesky", "https://skies.example/first")]
    blog.delete(again)
    assert blog.talks() == [("Bluesky", "https://skies.example/first")]


# --- approval ----------------------------------------------------------------------------------


def test_what_is_approved_stays_though_a_thread_goes_out_or_down(blog: Blog, store: Store) -> None:
    thread_id = blog.thread(1, "skies")
    config, act = a_config(), Act("Maya", blog.now, "as planned")
    request = Request("weekly", ALL, Rhythm.WEEKLY, blog.now)
    issue = desk.draft_issue(store, config, TEMPLATES, request, act)
    assert "https://skies.example/1" in issue.html
    desk.approve(store, TEMPLATES, issue.id, act)
    blog.delete(thread_id)
    blog.thread(1, "birds")
    frozen = freeze_issue(store, TEMPLATES, issue.id, act, config.site.zone)
    assert frozen.state is IssueState.FROZEN
    assert (frozen.html, frozen.text) == (issue.html, issue.text)


def test_a_draft_that_was_stored_before_there_were_talks_still_loads() -> None:
    stored = to_json(WEEKLY)
    for item in stored["items"]:
        del item["talks"]
    assert all(item.talks == () for item in from_json(stored).items)


def test_a_mail_that_would_be_cut_off_goes_without_and_says_so(blog: Blog, store: Store) -> None:
    config = a_config()
    newsletter = config.newsletters["weekly"].model_copy(update={"cap": 60, "cap_per_series": 60})
    config = config.model_copy(update={"newsletters": {"weekly": newsletter}})
    for number in range(2, 23):
        blog.post(number)
    for number in range(1, 23):
        blog.thread(number, "skies", f"https://skies.example/{'x' * 500}")
    with store.write() as c:
        c.execute(update(tables.posts).values(excerpt="Nobody is paid to look. " * 110))
    draft = blog.draft(config)
    assert len(draft.content.items) == 22
    assert "Talk about it" not in draft.rendered.html + draft.rendered.text
    assert {check.name: check.severity for check in draft.rendered.preflight}["size"] == "note"
    assert render(draft.content, TEMPLATES).html == draft.rendered.html


# --- how it looks ------------------------------------------------------------------------------


@pytest.mark.parametrize("template", ["weekly", "series"])
def test_both_parts_say_where(template: str) -> None:
    html, text = seen(specimens(template)[1])
    for said in ("on Mastodon, Bluesky and X", "on Mastodon and X", "on Bluesky"):
        assert f"Talk about it {said}" in html
    assert "Talk about it on Mastodon: https://mastodon.example/@blog/1 Bluesky: https://" in text


def test_links_say_by_themselves_where_they_lead() -> None:
    content = WEEKLY.variant(1)
    links = LexborHTMLParser(render(content, TEMPLATES).html).css("a[aria-label]")
    assert [(link.text(), link.attributes["aria-label"]) for link in links] == [
        (name, f"Talk about Specimen post 1 on {name}") for name in ("Mastodon", "Bluesky", "X")
    ]


def test_a_talk_is_no_link_of_ours_to_be_counted() -> None:
    html = render(WEEKLY, TEMPLATES).html
    assert 'href="https://mastodon.example/@blog/1"' in html


def test_preflight_has_nothing_against_it(blog: Blog) -> None:
    for channel in ("toots", "skies", "birds"):
        blog.thread(1, channel, f"https://{channel}.example/@blog/{{{{1}}}}?a=1&b=2#c")
    with_talks = blog.draft().rendered
    assert [c for c in with_talks.preflight if c.severity is Severity.ERROR] == []
    assert with_talks.preflight == blog.draft(hours_ago=3).rendered.preflight


def test_hostile_names_and_addresses_are_shown_as_such() -> None:
    url = 'https://social.example/"><script>alert(1)</script>?a=1&b={{ 7*7 }}'
    name = "<b>\"Mastodon'</b>\r\n\r\nUnsubscribe:"
    first, *others = WEEKLY.items
    post = replace(first.post, title='"><i> & {% raw %}')
    first = replace(first, post=post, talks=(Talk(name, url),))
    rendered = render(replace(WEEKLY, items=(first, *others)), TEMPLATES)
    tree = LexborHTMLParser(rendered.html)
    (link,) = tree.css("a[href*=social]")
    assert link.attributes["href"] == url
    assert link.text() == line(name)
    assert link.attributes["aria-label"] == f"Talk about {post.title} on {line(name)}"
    assert tree.css("script, i") == []
    assert f"  {line(name)}: {url}" in rendered.text.splitlines()
    assert rendered.text.count("\nUnsubscribe:\n") == 1
