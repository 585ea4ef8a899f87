"""Built-in content that templates are tried on: every branch they may have, and nobody's post."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from digest.issues.content import IssueContent, Item, Talk
from digest.model import Image, Part, PostLink, PostView

_MOMENT = datetime(2026, 11, 19, 9, 30, tzinfo=UTC)
_SITE = "https://blog.example"


def specimens(template: str) -> tuple[IssueContent, ...]:
    """Issues to try a template on: about everything, about one series, with one post, with none."""
    whole = _issue(template)
    series = replace(
        whole,
        scope="series:specimen",
        scope_title="A specimen series",
        scope_hashtag="Specimen",
        scope_description="What the series is about.",
    )
    bare = replace(whole, introduction="", scope_description="", items=(_item(1),))
    return whole, series, bare, series.variant(0b0110), bare.variant(0)


def _issue(template: str) -> IssueContent:
    return IssueContent(
        newsletter="specimen",
        newsletter_title="Specimen newsletter",
        site_name="Specimen blog",
        site_url=_SITE,
        language="en-GB",
        time_zone="Europe/London",
        postal_address="1 Example Street, Exampletown",
        template=template,
        scope="all",
        scope_title="",
        scope_hashtag="",
        scope_description="",
        period="2026-W47",
        scheduled_at=_MOMENT,
        introduction="A first paragraph.\n\nA second one.",
        typed_subject=None,
        items=(
            _item(
                1,
                image=Image(f"{_SITE}/1.png", "A drawing", 1200, 600),
                parts=(_part(1),),
                talks=("Mastodon", "Bluesky", "X"),
            ),
            _item(
                2,
                image=Image(f"{_SITE}/2.png", ""),
                parts=(_part(2), _part(2, "other")),
                talks=("Mastodon", "X"),
            ),
            _item(3, author="", parts=(_part(3),)),
            _item(4, themes=("Funding", "Workforce"), talks=("Bluesky",)),
        ),
        utm=(("utm_source", "specimen"),),
        own_hosts=(),
        browser_url="https://read.example/issues/weekly/all/2026-W47",
    )


def _item(
    position: int,
    *,
    author: str = "An Author",
    image: Image | None = None,
    parts: tuple[Part, ...] = (),
    themes: tuple[str, ...] = (),
    talks: tuple[str, ...] = (),
) -> Item:
    post = PostView(
        post_id=position,
        guid=f"{_SITE}/?p={position}",
        url=f"{_SITE}/{position}/",
        title=f"Specimen post {position}",
        author=author,
        published=_MOMENT,
        excerpt="What the post says, in a sentence or two.",
        image=image,
        reading_minutes=4,
    )
    return Item(
        position,
        post,
        parts,
        themes,
        tuple(f"series:{part.slug}" for part in parts),
        "new",
        tuple(Talk(name, f"https://{name.lower()}.example/@blog/{position}") for name in talks),
    )


def _part(number: int, slug: str = "specimen") -> Part:
    of = 4
    return Part(
        slug=slug,
        title=f"The {slug} series",
        hashtag=slug.capitalize(),
        part=number,
        of=of,
        why="category",
        first=_link(1),
        previous=_link(number - 1) if number > 1 else None,
        next=_link(number + 1) if number < of else None,
    )


def _link(position: int) -> PostLink:
    return PostLink(f"Specimen post {position}", f"{_SITE}/{position}/")
