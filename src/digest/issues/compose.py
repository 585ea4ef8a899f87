"""Makes an issue's draft from the posts as they are: candidates, picks, content, rendering.

Reads only, so that the preview and the draft come out of one path (rule 8). The
same store and the same scheduled time give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from digest.errors import UsageError
from digest.issues.content import IssueContent, Item, Rendered
from digest.issues.period import period_before, period_of
from digest.issues.picking import pick_posts
from digest.issues.render import render, subject_for, subjects
from digest.issues.shelf import read_shelf
from digest.issues.talks import talks_of
from digest.links import issue_url
from digest.model import Check, Pick, PostView, Rhythm, Severity
from digest.picks.candidates import OVERFLOW
from digest.store import issues as issue_store
from digest.store.talks import live_roots

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy.engine import Connection

    from digest.config import Config, Newsletter
    from digest.issues.scope import Scope
    from digest.issues.shelf import Shelf
    from digest.model import Post


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for: a newsletter, what it covers, and when it is due (aware)."""

    newsletter: str
    scope: Scope
    rhythm: Rhythm
    scheduled_at: datetime
    repeat: bool = False
    edition: int = 1
    #: For the rhythm each-post, whose periods are posts: which one.
    post_id: int | None = None
    #: Asked for by a schedule: what an editor or a policy ended in this period stays ended.
    by_schedule: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with what follows from it."""

    request: Request
    period: str
    one_period_ago: datetime
    #: What arrived before is archive.
    began: datetime


@dataclass(frozen=True, slots=True)
class Draft:
    """An issue as it would be: nothing of it is stored yet."""

    asked: Asked
    picks: tuple[Pick, ...]
    posts: Mapping[int, Post]
    content: IssueContent
    rendered: Rendered
    fallback_subject: str

    @property
    def nothing(self) -> str:
        """Why there is nothing to send; empty where there is something."""
        return _nothing(self.asked, self.picks, self.posts.values())

    @property
    def hash(self) -> str:
        return issue_hash(
            self.content, self.rendered, self.fallback_subject, repeat=self.asked.request.repeat
        )


def compose(c: Connection, config: Config, templates: Path, request: Request) -> Draft:
    """The draft of the issue that is asked for. Raises UsageError for an unknown newsletter."""
    newsletter = newsletter_of(config, request.newsletter)
    zone = config.zone_of(newsletter)
    period = period_asked(config, request)
    before = period_before(request.rhythm, request.scheduled_at, zone)
    asked = Asked(request, period, before, _began(c, newsletter, request, before))
    shelf = read_shelf(c, config, request.scheduled_at)
    picks = pick_posts(c, config, asked, shelf)
    content = _content(config, newsletter, asked, shelf, picks)
    content = replace(content, items=_with_talks(c, config, content.items, request.scheduled_at))
    content, rendered, fallback = _slimmed(content, templates)
    return Draft(
        asked=asked,
        picks=_without_cut(picks, content),
        posts=shelf.posts,
        content=content,
        rendered=rendered,
        fallback_subject=fallback,
    )


def newsletter_of(config: Config, slug: str) -> Newsletter:
    if slug not in config.newsletters:
        known = ", ".join(sorted(config.newsletters))
        raise UsageError(f"no newsletter {slug!r}; there are: {known}")
    return config.newsletters[slug]


def issue_hash(
    content: IssueContent, rendered: Rendered, fallback_subject: str, *, repeat: bool
) -> str:
    """Over everything an approval is about: subjects, HTML, text, picks, audience rule."""
    approved = {
        "subjects": [rendered.subject, fallback_subject],
        "html": rendered.html,
        "text": rendered.text,
        "picks": [
            [item.position, item.post.guid, *(["overflow"] if item.overflow else [])]
            for item in content.items
        ],
        "audience": [content.newsletter, content.scope, content.period, repeat],
    }
    canonical = json.dumps(approved, ensure_ascii=True, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def render_variant(
    content: IssueContent, mask: int, templates: Path, both: tuple[str, str]
) -> Rendered:
    """The issue with just the items of `mask`, under whichever of its subjects fits them."""
    variant = content.variant(mask)
    return render(variant, templates, subject=subject_for(variant, content, both))


def render_issue(content: IssueContent, templates: Path) -> tuple[Rendered, str]:
    """The whole issue, and its fallback subject.

    Without posts there is nothing to render, only the finding that says so.
    """
    if not content.items:
        empty = Check("empty", Severity.ERROR, "no post is in this issue")
        return Rendered("", "", "", "", (empty,)), ""
    subject, fallback = subjects(content, templates)
    return render(content, templates, subject=subject), fallback


def _slimmed(content: IssueContent, templates: Path) -> tuple[IssueContent, Rendered, str]:
    """What `_fitted` gives; what waited longest alone where the mail would be too large with all.

    Whoever the rest waits for must not keep the issue from its other readers.
    """
    fitted = _fitted(content, templates)
    kept_back = [item for item in content.items if item.overflow]
    if not kept_back or not _is_too_large(fitted[1]):
        return fitted
    kept = len(content.items) - len(kept_back) + len(kept_back) // 2
    return _slimmed(replace(content, items=content.items[:kept]), templates)


def _without_cut(picks: Sequence[Pick], content: IssueContent) -> tuple[Pick, ...]:
    shown = {item.post.post_id for item in content.items}
    return tuple(
        pick
        if pick.post_id in shown or not pick.is_in
        else replace(
            pick,
            is_in=False,
            position=None,
            reason=f"{pick.reason}; the mail would be too large, so it waits on",
        )
        for pick in picks
    )


def _is_too_large(rendered: Rendered) -> bool:
    return any(
        check.name == "size" and check.severity is Severity.ERROR for check in rendered.preflight
    )


def _fitted(content: IssueContent, templates: Path) -> tuple[IssueContent, Rendered, str]:
    """What `render_issue` gives; without talks where the mail would be too large with them."""
    rendered, fallback = render_issue(content, templates)
    bare = replace(content, items=tuple(replace(item, talks=()) for item in content.items))
    if bare == content or not _is_too_large(rendered):
        return content, rendered, fallback
    rendered, fallback = render_issue(bare, templates)
    note = Check("size", Severity.NOTE, "the lines on where to talk about posts are left out")
    return bare, replace(rendered, preflight=(*rendered.preflight, note)), fallback


def period_asked(config: Config, request: Request) -> str:
    """The period that the request is about, before anything is composed."""
    zone = config.zone_of(newsletter_of(config, request.newsletter))
    if request.rhythm is not Rhythm.EACH_POST:
        return period_of(request.rhythm, request.scheduled_at, zone, edition=request.edition)
    if request.post_id is None:
        raise UsageError("an issue of the rhythm each-post is about one post; name it")
    base = f"post:{request.post_id}"
    return base if request.edition == 1 else f"{base}.{request.edition}"


def _began(
    c: Connection, newsletter: Newsletter, request: Request, one_period_ago: datetime
) -> datetime:
    """When the newsletter began, as seen from the scheduled time.

    A first issue, and one rehearsed in the past, reaches back one period: never an archive.
    """
    known = newsletter.begins or issue_store.began_at(c, request.newsletter)
    if known is not None and known <= request.scheduled_at:
        return known
    return one_period_ago


def _content(
    config: Config, newsletter: Newsletter, asked: Asked, shelf: Shelf, picks: Sequence[Pick]
) -> IssueContent:
    scope = asked.request.scope
    declared = scope.declared(config)
    site = config.site
    return IssueContent(
        newsletter=asked.request.newsletter,
        newsletter_title=newsletter.title,
        site_name=site.name,
        site_url=site.url,
        language=site.language,
        time_zone=str(config.zone_of(newsletter)),
        postal_address=site.postal_address,
        template=newsletter.template if scope.is_all else newsletter.series_template,
        scope=str(scope),
        scope_title=declared.title if declared else "",
        scope_hashtag=declared.hashtag if declared else "",
        scope_description=getattr(declared, "description", ""),
        period=asked.period,
        scheduled_at=asked.request.scheduled_at,
        introduction=newsletter.introduction if scope.is_all else "",
        typed_subject=None,
        items=tuple(_item(config, scope, pick, shelf) for pick in picks if pick.is_in),
        utm=tuple(sorted(newsletter.utm.items())),
        own_hosts=tuple(sorted({urlsplit(site.url).hostname or "", *site.own_hosts})),
        browser_url=_browser_url(config, newsletter, asked),
    )


def _browser_url(config: Config, newsletter: Newsletter, asked: Asked) -> str:
    if newsletter.archive == "off":
        return ""
    request = asked.request
    links_url = config.site.links_url
    return issue_url(links_url, request.newsletter, str(request.scope), asked.period)


def _item(config: Config, scope: Scope, pick: Pick, shelf: Shelf) -> Item:
    memberships = shelf.memberships.get(pick.post_id, ())
    parts = shelf.parts.get(pick.post_id, ())
    return Item(
        position=pick.position or 0,
        post=view_of(shelf.posts[pick.post_id]),
        parts=tuple(sorted(parts, key=lambda part: part.slug != scope.slug)),
        themes=tuple(config.themes[m.slug].title for m in memberships if m.kind == "theme"),
        groups=tuple(f"{m.kind}:{m.slug}" for m in memberships),
        reason=pick.reason,
        overflow=pick.code == OVERFLOW,
    )


def _with_talks(
    c: Connection, config: Config, items: Sequence[Item], as_of: datetime
) -> tuple[Item, ...]:
    roots = live_roots(c, [item.post.post_id for item in items], as_of)
    talks = talks_of(roots, config.channels)
    return tuple(replace(item, talks=talks.get(item.post.post_id, ())) for item in items)


def view_of(post: Post) -> PostView:
    """The snapshot of a post that an issue shows."""
    return PostView(
        post_id=post.id,
        guid=post.guid,
        url=post.url,
        title=post.title,
        author=post.author,
        published=post.published,
        excerpt=post.excerpt,
        image=post.image,
        reading_minutes=post.reading_minutes,
    )


def _nothing(asked: Asked, picks: Sequence[Pick], posts: Collection[Post]) -> str:
    if any(pick.is_in for pick in picks):
        return ""
    if len(picks) == 1 and picks[0].code == "excluded":
        return f"the post is {picks[0].reason}"
    wait = [pick for pick in picks if pick.code == "taken" and ", which is " in pick.reason]
    if wait:
        return f"nothing else is new; {len(wait)} posts wait: {wait[0].reason}"
    thin = [pick for pick in picks if pick.code in {"thin", OVERFLOW}]
    taken = [pick for pick in picks if pick.code == "taken"]
    if thin:
        return f"{thin[0].reason} for the next issue"
    if not asked.request.scope.is_all and not taken:
        return f"no post is in {asked.request.scope}"
    if taken:
        return f"nothing else is new: {len(taken)} posts are {taken[-1].reason} or an earlier one"
    return _stale(asked, posts)


def _stale(asked: Asked, posts: Collection[Post]) -> str:
    newest = max(posts, key=lambda post: post.arrived, default=None)
    if newest is None:
        return "no posts are stored yet; run `digest ingest`"
    last = f"the newest of {len(posts)} posts arrived on {newest.arrived:%Y-%m-%d}"
    return f"nothing new since {asked.began:%Y-%m-%d}: {last}"
