"""MJML to HTML through mrml, kept from the inputs that it corrupts, panics or crashes on.

mjml-python 1.4.2 (mrml 6.0.1) writes attribute values in Rust's debug notation
(https://github.com/jdrouet/mrml/blob/main/packages/mrml-core/src/prelude/render/buffer.rs),
panics on some text that is not ASCII, recurses without a limit, and names byte offsets for
line numbers. So it is given plain ASCII, and nothing that is not well formed.
"""

from __future__ import annotations

import re

import mjml

from digest.errors import DigestError

#: Deep enough for any mail; 512 KB of stack, macOS's default for a thread, hold twice as much.
MAX_DEPTH = 64

# C1 controls make Gmail clip a mail; the others are no characters of HTML at all
# (https://html.spec.whatwg.org/multipage/parsing.html#preprocessing-the-input-stream).
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_TOKEN = re.compile(
    r"""(?P<comment> <!--.*?--> )
      | (?P<tag> <(?P<close>/?)(?P<name>[A-Za-z][\w:.-]*+)
            (?P<rest>(?:"[^"]*+"|'[^']*+'|[^"'<>])*+)> )
      | (?P<stray> < )
      | (?P<text> [^<]++ )""",
    re.DOTALL | re.VERBOSE | re.ASCII,
)
_ATTRIBUTE = re.compile(r"""\s+([^\s"'<>/=]++)(?:\s*=\s*("[^"]*"|'[^']*'))?""")
_NUMBERED = re.compile(r"&#(\d{2,7});")
_POSITION = re.compile(r" at position (\d+)[:.]*\d*")
_VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr")
)
# Below stand controls and the characters that markup is made of.
_FIRST_KEPT, _LAST_CHARACTER = 0xA0, 0x10FFFF
_BACKSLASH = ord("\\")
_IN_ATTRIBUTE = str.maketrans({'"': "&quot;", "\t": "&#9;", "\n": "&#10;"})


class MjmlError(DigestError):
    """The MJML cannot be rendered; says what is wrong, and in which line of the filled template."""


def mjml_to_html(source: str) -> str:
    """Render MJML, with the templates' own text filled in, to one HTML document.

    Equal source gives equal HTML. No file is read, no font or icon is linked to. MjmlError
    where the source is not well formed, nests deeper than MAX_DEPTH, or mrml refuses it.
    """
    return _back_from_ascii(_rendered(_to_ascii(_well_formed(_characters(source)))))


def _characters(source: str) -> str:
    return _FORBIDDEN.sub("", source.replace("\r\n", "\n").replace("\r", "\n"))


def _rendered(source: str) -> str:
    try:
        html: str = mjml.mjml2html(source, fonts={}, disable_comments=True)
    except ValueError as error:
        raise MjmlError(_with_line(str(error), source)) from None
    except BaseException as error:
        # PyO3's PanicException is no Exception, and cannot be imported to be named here.
        if type(error).__name__ != "PanicException":
            raise
        raise MjmlError(f"mrml gave up: {error}") from None
    return html


def _with_line(message: str, source: str) -> str:
    found = _POSITION.search(message)
    if not found:
        return message
    return f"{_at(source, int(found[1]))}: {message[: found.start()]}"


def _at(source: str, offset: int) -> str:
    return f"line {source.count(chr(10), 0, offset) + 1} of the filled template"


# --- well formed, or refused -------------------------------------------------------------------


def _well_formed(source: str) -> str:
    """The source with attributes rewritten; MjmlError with line and cure where it is not MJML."""
    opened: list[str] = []
    parts = []
    for token in _TOKEN.finditer(source):
        try:
            parts.append(_checked(token, opened))
        except MjmlError as error:
            raise MjmlError(f"{_at(source, token.start())}: {error}") from None
    if opened:
        raise MjmlError(f"<{opened[-1]}> is never closed")
    return "".join(parts)


def _checked(token: re.Match[str], opened: list[str]) -> str:
    match token.lastgroup:
        case "comment":
            return _comment(token[0])
        case "text":
            return _text(token[0], opened)
        case "tag":
            return _closing(token, opened) if token["close"] else _opening(token, opened)
    raise MjmlError(
        f"write &lt; for a bare <, and CDATA not at all: {token.string[token.start() :][:40]!r}"
    )


def _comment(text: str) -> str:
    if "--" in text.removeprefix("<!--").removesuffix("-->"):
        raise MjmlError("-- inside a comment")
    return text


def _text(text: str, opened: list[str]) -> str:
    if opened and opened[-1].lower() == "mj-title":
        # mrml repeats the title in an attribute (aria-label).
        return " ".join(text.split()).translate(_IN_ATTRIBUTE)
    return text


def _closing(token: re.Match[str], opened: list[str]) -> str:
    name = token["name"]
    if not opened or opened[-1] != name:
        raise MjmlError(f"</{name}> closes nothing" if not opened else _crossed(name, opened[-1]))
    opened.pop()
    return f"</{name}>"


def _crossed(name: str, inner: str) -> str:
    return f"</{name}> stands where </{inner}> is due"


def _opening(token: re.Match[str], opened: list[str]) -> str:
    name, rest = token["name"], token["rest"]
    if name.lower() == "mj-include":
        raise MjmlError("mj-include is not read; use Jinja's include")
    empty = rest.endswith("/")
    attributes = _attributes(name, rest.removesuffix("/"))
    if not empty and name.lower() not in _VOID:
        opened.append(name)
    if len(opened) > MAX_DEPTH:
        raise MjmlError(f"elements nest deeper than {MAX_DEPTH}")
    return f"<{name}{attributes}{' /' if empty else ''}>"


def _attributes(name: str, text: str) -> str:
    if not re.fullmatch(rf"(?:{_ATTRIBUTE.pattern})*+\s*", text):
        raise MjmlError(f"an attribute of <{name}> lacks its quotes, or is none: {text.strip()!r}")
    return _ATTRIBUTE.sub(_attribute, text.rstrip())


def _attribute(found: re.Match[str]) -> str:
    name, quoted = found.groups()
    return f" {name}" if quoted is None else f' {name}="{quoted[1:-1].translate(_IN_ATTRIBUTE)}"'


# --- ASCII and back ----------------------------------------------------------------------------


def _to_ascii(text: str) -> str:
    """Every character that mrml would write in another notation as a numeric reference."""
    return text.replace("\\", "&#92;").encode("ascii", "xmlcharrefreplace").decode("ascii")


def _back_from_ascii(html: str) -> str:
    return _NUMBERED.sub(_character, html)


def _character(found: re.Match[str]) -> str:
    code = int(found[1])
    if code == _BACKSLASH:
        return "\\"
    if not _FIRST_KEPT <= code <= _LAST_CHARACTER or _FORBIDDEN.match(chr(code)):
        return found[0]
    return chr(code)
