"""The words around a post's own: `templates/social/`, filled in.

What a post says is only ever a value in a template, never a template.
"""

from __future__ import annotations

import re
import traceback
from functools import cache
from typing import TYPE_CHECKING

from jinja2 import FileSystemLoader, StrictUndefined, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from digest.errors import ConfigError, Problem
from digest.social.networks import links_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

#: Joins without a break and shows nothing (U+2060): after it, no network sees a link or mention.
WORD_JOINER = "\N{WORD JOINER}"

_UNDONE_TAG = re.compile(rf"[#\uff03]{WORD_JOINER}(\w+)")
_REFUSED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")


def fill(templates: Path, name: str, **values: object) -> str:
    """One snippet's text, without the blank lines that the template's branches left.

    `templates` is the folder that holds `social/`; `name` such as "thread/root.txt".
    ConfigError where the template is at fault.
    """
    try:
        text = _environment(templates).get_template(name).render(values)
    except Exception as error:
        # Whatever an expression in a template can raise is that template's fault.
        message = f"{type(error).__name__}: {error}"
        where = _line_of(error, templates / "social" / name)
        raise ConfigError([Problem(f"templates/social/{name}", where, message)]) from error
    lines = "\n".join(line.strip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines).strip()


def _line_of(error: Exception, file: Path) -> str:
    """Jinja writes the template's own lines into the traceback."""
    if isinstance(error, TemplateSyntaxError):
        return f"line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    return next((f"line {f.lineno}" for f in reversed(frames) if f.filename == str(file)), "")


def inert(text: str, *, block: Collection[str] = ()) -> str:
    """A post's words as words: what looks like a link or a mention in them stays text.

    X charges for each link and refuses two stock symbols, and a name is somebody else's on
    every network. So do the hashtags of `block`. Line breaks stay; characters that networks
    refuse go: control characters, half surrogates, U+FEFF and the like.
    """
    text = plain(text)
    text = re.sub(r"([@\uff20]|(?<![\w$])\$)(?=\w)", rf"\1{WORD_JOINER}", text)
    text = text.replace("://", f":{WORD_JOINER}//")
    for tag in block:
        text = re.sub(
            rf"([#\uff03])(?={re.escape(tag)}\b)", rf"\1{WORD_JOINER}", text, flags=re.IGNORECASE
        )
    # A link within a link that was undone is a link again.
    while links := links_in(text):
        for link in dict.fromkeys(links):
            text = text.replace(link, link.replace(".", f"{WORD_JOINER}."))
    return text


def capped(texts: Iterable[str], most: int, beside: Collection[str]) -> list[str]:
    """The texts with `most` different hashtags at most, `beside` among them; others stay words."""
    had = {tag.casefold() for tag in beside}

    def mark(found: re.Match[str]) -> str:
        tag = found[2].casefold()
        if tag not in had and len(had) >= most:
            return found[1] + WORD_JOINER
        had.add(tag)
        return found[1]

    return [_any_tag().sub(mark, plain(text)) for text in texts]


@cache
def _any_tag() -> re.Pattern[str]:
    """Whatever some network might make a hashtag of; none does without a letter."""
    import regex  # type: ignore[import-untyped]  # it ships no types

    of_tags = r"\p{L}\p{M}\p{Nd}_"
    found: re.Pattern[str] = regex.compile(
        rf"(?<![{of_tags}])([#\uff03])(?=([{of_tags}]*[\p{{L}}\p{{M}}][{of_tags}]*))"
    )
    return found


def undone_tags(text: str) -> list[str]:
    """What would be hashtags of a text, had `inert` and `capped` not made words of them."""
    return list(dict.fromkeys(f"#{found[1]}" for found in _UNDONE_TAG.finditer(text)))


def undone(text: str) -> list[str]:
    """What `inert` makes no link of, though networks would."""
    return list(dict.fromkeys(links_in(plain(text))))


def plain(text: str) -> str:
    """A text without the characters that networks refuse."""
    return _REFUSED.sub("", text)


@cache
def _environment(templates: Path) -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(templates / "social"),
        undefined=StrictUndefined,
        # .txt is plain text; the preview is the one page.
        autoescape=lambda name: name is None or not name.endswith(".txt"),
        trim_blocks=True,
        lstrip_blocks=True,
    )
