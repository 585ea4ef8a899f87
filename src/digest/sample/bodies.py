"""A post's body in the three forms in which a blog shows it: feed, page, plain words."""

import re
from html import escape
from html.parser import HTMLParser

from digest.sample.archive import SamplePost

BLOG_NAME = "Common Threads"

EXCERPT_WORDS = 55  # WordPress's own length

#: What WordPress's texturizer turns into numeric references on its way out.
_TEXTURE = str.maketrans({c: f"&#{ord(c)};" for c in "\u2018\u2019\u201c\u201d\u2013\u2014\u2026"})

_CAPTION = re.compile(r"\[caption[^\]]*\]\s*(<img[^>]*>)\s*(.*?)\[/caption\]", re.DOTALL)
_FURNITURE = re.compile(
    r'<div class="(?:sharedaddy|wpcnt)[^"]*">.*?</div>(?:\s*</div>)?', re.DOTALL
)


def feed_body(post: SamplePost, base_url: str, link: str) -> str:
    """The body as a feed carries it, with all of WordPress's furniture."""
    footer = (
        f'<p>The post <a href="{link}">{escape(post.title)}</a> appeared first on '
        f'<a href="{base_url}">{BLOG_NAME}</a>.</p>'
    )
    return texturize(_filled(post, base_url, link).replace("{{appeared}}", footer))


def page_body(post: SamplePost, base_url: str, link: str) -> str:
    """The body as the page shows it: captions drawn, share bars and adverts left out."""
    body = _FURNITURE.sub("", _filled(post, base_url, link)).replace("{{appeared}}", "")
    return _CAPTION.sub(r"<figure>\1<figcaption>\2</figcaption></figure>", body)


def words(post: SamplePost) -> list[str]:
    """The words the author wrote: no markup, captions or furniture."""
    reader = _Text()
    reader.feed(_CAPTION.sub("", _FURNITURE.sub("", post.body)).replace("{{appeared}}", ""))
    reader.close()
    return " ".join(reader.parts).split()


def excerpt(post: SamplePost) -> str:
    """The first words as HTML text, cut and marked as WordPress does."""
    text = words(post)
    more = " [&#8230;]" if len(text) > EXCERPT_WORDS else ""
    return texturize(escape(" ".join(text[:EXCERPT_WORDS]), quote=False)) + more


def texturize(html: str) -> str:
    """Curly quotes and dashes as the numeric references that WordPress writes."""
    return html.translate(_TEXTURE)


def _filled(post: SamplePost, base_url: str, link: str) -> str:
    return post.body.replace("{{base}}", base_url).replace("{{link}}", link)


class _Text(HTMLParser):
    """Collects text; a block's end parts words, an inline tag's does not."""

    _INLINE = frozenset({"a", "em", "strong", "b", "i", "span", "cite", "q", "abbr"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = [""]

    def handle_data(self, data: str) -> None:
        self.parts[-1] += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._part(tag)

    def handle_endtag(self, tag: str) -> None:
        self._part(tag)

    def _part(self, tag: str) -> None:
        if tag not in self._INLINE:
            self.parts.append("")
