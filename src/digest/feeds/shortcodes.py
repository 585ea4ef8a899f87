"""WordPress shortcodes that its feed left in the text."""

from __future__ import annotations

import re

#: Shortcodes that frame words of the post: the frame goes, the words stay.
_FRAMES = r"caption|wp_caption|column|columns|one_half|one_third|su_\w+|vc_\w+|et_pb_\w+|fusion_\w+"
#: Shortcodes that stand for something which cannot be shown in a mail.
_WIDGETS = (
    r"gallery|audio|video|playlist|embed|youtube|vimeo|twitter|tweet|instagram|googlemaps|googleapps"
    r"|soundcloud|slideshow|slideshare|contact-form(?:-7)?|contact-field|polldaddy|poll|crowdsignal"
    r"|subscribe|blog_subscription_form|jetpack[\w-]*|recent_posts|archives|wpvideo|ted|scribd"
    r"|presentation|gravityform|ninja_form|mc4wp_form|more|footnotes?|toc"
)
_VALUE = re.compile(
    r"\w=(?:[\"'\u201c\u201d\u2033\u2032\u2018\u2019]|&(?:quot|#0?3[49]|#82[12][0-9]);)"
)
_WIDGET_PAIR = re.compile(
    rf"\[(?P<name>{_WIDGETS})(?:\s[^\[\]]*)?\](?P<inner>[^\[\]]*)\[/(?P=name)\]", re.IGNORECASE
)
_KNOWN = re.compile(rf"\[/?(?:{_FRAMES}|{_WIDGETS})(?:\s[^\[\]]*)?/?\]", re.IGNORECASE)
#: An unknown name, but written as only shortcodes are: [name key="value" ...].
_WRITTEN = re.compile(r"\[(?P<name>[a-z][\w-]{1,40})(?P<values>\s[^\[\]]*)\]", re.IGNORECASE)
_ESCAPED = re.compile(rf"\[(\[/?(?:{_FRAMES}|{_WIDGETS})(?:\s[^\[\]]*)?\])\]", re.IGNORECASE)
_OPEN, _CLOSE = "\ue000", "\ue001"


def drop_shortcodes(markup: str) -> str:
    """Without shortcodes. Brackets that an author wrote, as in "[1]" or "[sic]", stay.

    `[[gallery]]` is WordPress's way of writing about a shortcode, and becomes `[gallery]`.
    """
    if "[" not in markup:
        return markup
    markup = _ESCAPED.sub(lambda f: _OPEN + f[1][1:-1] + _CLOSE, markup)
    markup = _KNOWN.sub("", _WIDGET_PAIR.sub("", markup))
    names: set[str] = set()
    markup = _WRITTEN.sub(lambda found: _drop_written(found, names), markup)
    markup = re.sub(r"\[/([\w-]+)\]", lambda f: "" if f[1].lower() in names else f[0], markup)
    return markup.replace(_OPEN, "[").replace(_CLOSE, "]")


def _drop_written(found: re.Match[str], names: set[str]) -> str:
    if not _VALUE.search(found["values"]):
        return found[0]
    names.add(found["name"].lower())
    return ""
