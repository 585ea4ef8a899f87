"""The sample blog's posts as values: loaded from files, dated from an anchor, edited on time.

Dates are not stored but counted back from an *anchor* (the moment the blog was first started),
so that "the last week" of the sample is never empty, whenever it is run.
"""

import os
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

FENCE = "+++\n"


@dataclass(frozen=True, slots=True)
class Edit:
    """A correction its author makes some days after the anchor."""

    after_days: float
    title: str | None
    #: (old, new) pairs of body text; every old text must occur.
    replace: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePost:
    """One post as its author left it; `body` still holds the `{{base}}` placeholders."""

    id: int
    slug: str
    title: str
    author: str
    days_before: float
    categories: tuple[str, ...]
    body: str
    image: str | None = None
    image_alt: str = ""
    comments: int = 0
    edit: Edit | None = None


@cache
def load_posts() -> tuple[SamplePost, ...]:
    """All posts of the blog, oldest first (the order of their file names)."""
    folder = files("digest.sample") / "posts"
    found = sorted((f for f in folder.iterdir() if f.name.endswith(".html")), key=_name)
    return tuple(_load(file) for file in found)


def parse_post(name: str, text: str) -> SamplePost:
    """Read one `NNN-slug.html` file: TOML between two `+++` lines, then the body."""
    before, front, body = text.split(FENCE, 2)
    if before:
        raise ValueError(f"{name}: must begin with a +++ line")
    meta = tomllib.loads(front)
    meta["categories"] = tuple(meta["categories"])
    edited = meta.pop("edited", None)
    slug = name.removesuffix(".html").split("-", 1)[1]
    return SamplePost(slug=slug, body=body.strip(), edit=edited and _edit(edited), **meta)


def published_at(post: SamplePost, anchor: datetime) -> datetime:
    """When the post came out: aware UTC, whole seconds (a feed cannot say more)."""
    if anchor.tzinfo is None:
        raise ValueError("the anchor must know its time zone")
    moment = anchor.astimezone(UTC) - timedelta(days=post.days_before)
    return moment.replace(microsecond=0)


def modified_at(post: SamplePost, anchor: datetime, now: datetime) -> datetime:
    """When the post last changed, as far as `now` can know."""
    if post.edit and _edit_at(post.edit, anchor) <= now:
        return _edit_at(post.edit, anchor)
    return published_at(post, anchor)


def as_of(post: SamplePost, anchor: datetime, now: datetime) -> SamplePost:
    """The post as it reads at `now`: corrected, once the time of its edit has come."""
    if post.edit is None or now < _edit_at(post.edit, anchor):
        return post
    body = post.body
    for old, new in post.edit.replace:
        if old not in body:
            raise ValueError(f"post {post.id}: its edit replaces a text that is not there: {old}")
        body = body.replace(old, new)
    return replace(post, title=post.edit.title or post.title, body=body)


def visible(posts: Iterable[SamplePost], anchor: datetime, now: datetime) -> tuple[SamplePost, ...]:
    """What a visitor sees at `now`: published posts, newest first, with their edits."""
    out = [as_of(p, anchor, now) for p in posts if published_at(p, anchor) <= now]
    return tuple(sorted(out, key=lambda p: (p.days_before, -p.id)))


def path_of(post: SamplePost, anchor: datetime) -> str:
    """The post's permanent path, `/YYYY/MM/DD/slug/`."""
    return f"/{published_at(post, anchor):%Y/%m/%d}/{post.slug}/"


def read_anchor(path: Path, now: datetime) -> datetime:
    """The moment the blog was first started: read from `path`, or `now`, which is then kept.

    Several processes may start at once: all of them get the time that was written first.
    """
    if not path.exists():
        _keep_anchor(path, now.astimezone(UTC))
    anchor = datetime.fromisoformat(path.read_text(encoding="ascii").strip())
    if anchor.tzinfo is None:
        raise ValueError(f"{path}: the time needs a zone, such as 2025-11-03T08:00:00+00:00")
    return anchor.astimezone(UTC)


def _keep_anchor(path: Path, moment: datetime) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as out:
            out.write(moment.isoformat() + "\n")
        # A link is made whole or not at all and never replaces a file, which open("x") then
        # write would not promise: a second process could read the file while it is empty.
        os.link(draft, path)
    except FileExistsError:
        return  # another process came first; its time is the one that counts
    finally:
        Path(draft).unlink()


def _load(file: Traversable) -> SamplePost:
    try:
        return parse_post(file.name, file.read_text(encoding="utf-8"))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"sample post {file.name}: {error}") from error


def _edit(table: Mapping[str, Any]) -> Edit:
    pairs = tuple((pair["old"], pair["new"]) for pair in table.get("replace", ()))
    return Edit(float(table["after_days"]), table.get("title"), pairs)


def _edit_at(edit: Edit, anchor: datetime) -> datetime:
    return (anchor.astimezone(UTC) + timedelta(days=edit.after_days)).replace(microsecond=0)


def _name(file: Traversable) -> str:
    return file.name
