"""What no honest browser sends, at every declared page, so that none can be forgotten."""

from __future__ import annotations

import ast
import logging
import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from selectolax.lexbor import LexborHTMLParser

from digest.web.app import PAGES
from fakes.asgi import GONE
from fakes.site import Site, form_body

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakes.asgi import Answer

SRC = Path(__file__).parents[2] / "src" / "digest"
PREFIXED = "https://letters.example.net/letters"

#: There is no thread in the house.
LOOKED = [page for page in PAGES if page.look and "{thread" not in page.path]
DONE = [page for page in PAGES if page.do]
GUARDED = [page for page in PAGES if page.does]


@pytest.fixture
def site(house: Any) -> Iterator[Site]:
    with closing(Site(house)) as site:
        yield site


@pytest.fixture
def any_site(any_house: Any) -> Iterator[Site]:
    with closing(Site(any_house)) as site:
        yield site


def is_desk(page: Any) -> bool:
    return page.path.startswith("/desk")


def sensible_form(site: Site, page: Any, **changes: str) -> bytes:
    fields = {name: site.sensible.get(name, [""])[0] for name in page.form or ()}
    return form_body({**fields, **changes})


def is_shielded(answer: Answer) -> bool:
    headers = answer.headers
    return (
        answer.status < 500
        and headers["content-security-policy"].startswith("default-src 'none'")
        and headers["x-content-type-options"] == "nosniff"
        and headers["referrer-policy"] in {"no-referrer", "same-origin"}
        and "permissions-policy" in headers
        and ("unsafe-inline" not in headers["content-security-policy"] or is_boxed(headers))
        and "server" not in headers
    )


def is_boxed(headers: Any) -> bool:
    """A mail shown as a page: without scripts, and without our origin."""
    policy = headers["content-security-policy"]
    return "script-src" not in policy and "sandbox allow-popups" in policy


# --- methods -----------------------------------------------------------------------------------

METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "get",
    "X",
)


def test_every_answer_to_every_method_is_shielded(site):
    before = site.dump()
    for page in PAGES:
        allowed = {*page.methods, *(["HEAD"] if page.look else [])}
        for method in METHODS:
            if method == "POST" and page.do:
                continue
            answer = site.ask(method, site.address(page.path), desk=is_desk(page))
            assert is_shielded(answer), (method, page.path)
            assert (answer.status == 405) == (method not in allowed), (method, page.path)
            if answer.status == 405:
                assert set(answer.headers["allow"].split(", ")) == allowed
    assert site.dump() == before


def test_looking_changes_nothing_anywhere(any_site):
    before = any_site.dump()
    for page in LOOKED:
        for _ in range(2):
            answer = any_site.ask("GET", any_site.address(page.path), desk=is_desk(page))
            assert answer.status in {200, 204, 303}, page.path
            assert "set-cookie" not in answer.headers
    assert any_site.dump() == before


# --- the desk from elsewhere -------------------------------------------------------------------

CROSS_SITE = {
    "another site, said by Origin": [("origin", "https://evil.example")],
    "another port": [("origin", "http://127.0.0.1:8781")],
    "a name that begins like ours": [("origin", "http://127.0.0.1:8780.evil.example")],
    "a name that ends like ours": [("origin", "http://evil.example#127.0.0.1:8780")],
    "a sandbox": [("origin", "null")],
    "an empty Origin": [("origin", "")],
    "no URL": [("origin", "127.0.0.1:8780")],
    "said by the browser": [("sec-fetch-site", "cross-site")],
    "a neighbour": [("sec-fetch-site", "same-site")],
    "a lie of two": [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-origin")],
    "a Host that agrees": [
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("host", "evil.example"),
    ],
}


def test_nothing_is_decided_from_another_site(site):
    before = site.dump()
    for how, headers in CROSS_SITE.items():
        for page in GUARDED:
            address, body = site.address(page.path), sensible_form(site, page)
            answer = site.ask("POST", address, body, desk=True, headers=headers)
            assert answer.status == 403, (how, page.path)
    assert site.dump() == before
    # Not even signing out.
    assert site.ask("GET", "/desk", desk=True).status == 200


NOT_OURS = ("", "f" * 64, "é" * 64, "x" * 10_000)


def test_nothing_is_decided_without_the_sessions_own_field(site):
    before, own = site.dump(), site.sensible["csrf"][0]
    fields = [{}, *({"csrf": wrong} for wrong in (*NOT_OURS, own.upper(), f" {own}x", own[:-1]))]
    for given in fields:
        for page in GUARDED:
            body = form_body({"decision": "cancel", "sure": "yes", **given})
            address = site.address(page.path)
            assert site.ask("POST", address, body, desk=True).status == 403, page.path
            # Nor by the address instead of the form.
            answer = site.ask("POST", f"{address}?csrf={own}", body, desk=True)
            assert answer.status == 403, page.path
    assert site.dump() == before


def test_nobody_gets_in_without_a_session(site):
    before = site.dump()
    for page in PAGES:
        for method, role in (("GET", page.looks), ("POST", page.does)):
            if role is None:
                continue
            address, body = site.address(page.path), sensible_form(site, page)
            for cookie in (
                "",
                "digest-desk=",
                "digest-desk=x",
                f"digest-desk={'A' * 43}",
                "=;;,\x80",
            ):
                headers = [("cookie", cookie)]
                answer = site.ask(
                    method, address, body if method == "POST" else b"", headers=headers
                )
                assert answer.status == (303 if method == "GET" else 403), page.path
                assert "Maya" not in answer.text
                if answer.status == 303:
                    assert answer.headers["location"].startswith("/desk/sign-in?next=/desk")
    assert site.dump() == before


# --- what is said of hosts and clients ---------------------------------------------------------

LIES = [
    ("host", "evil.example"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-prefix", "/evil.example"),
    ("x-forwarded-server", "evil.example"),
    ("x-original-url", "/desk?evil.example"),
    ("x-rewrite-url", "/desk?evil.example"),
    ("x-http-method-override", "DELETE"),
    ("x-forwarded-for", "evil.example"),
    ("forwarded", "for=evil.example;host=evil.example;proto=https"),
    ("referer", "https://evil.example/<script>"),
    ("user-agent", "evil.example"),
    ("accept-language", "evil.example"),
]


def test_what_a_client_says_of_hosts_stands_in_no_page_and_no_redirect(site):
    for page in LOOKED:
        address = site.address(page.path)
        plain = site.ask("GET", address, desk=is_desk(page))
        lied = site.ask("GET", address, desk=is_desk(page), headers=LIES)
        assert lied.status == plain.status, page.path
        assert is_harmless(lied), page.path
        assert "evil.example" not in str(lied.raw_headers), page.path
        # The form in a frame keeps, as evidence, which site it stood in.
        assert ("evil.example" in lied.text) == (page.path == "/embed"), page.path
    for page in DONE:
        if not is_desk(page):
            body = sensible_form(site, page)
            lied = site.ask("POST", site.address(page.path), body, headers=LIES)
            assert is_harmless(lied), page.path
            assert "evil.example" not in str(lied.raw_headers), page.path


# --- text that would be more than text ---------------------------------------------------------

MARKERS = (
    '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    "</title></textarea></style><svg onload=alert(1)>",
    "javascript:alert(1)//",
    "{{ 7*191 }}${7*191}#{7*191}<%= 7*191 %>{% print(7*191) %}",
    "\u202eevil\u2066\u0000"[:-1],
    "x\r\nSet-Cookie: evil=1\r\n\r\n<script>alert(1)</script>",
    "\r\nLocation: https://evil.example/",
    "//evil.example/",
    "/\\evil.example",
    "https://evil.example/",
)


def is_harmless(answer: Answer) -> bool:
    """No markup, no header and no redirect was made of a marker."""
    location = answer.headers.get("location", "/")
    if (
        not re.fullmatch(r"(/(?![/\\])|\?)[^\r\n]*", location)
        or "evil.example" in location.partition("?")[0]
    ):
        return False
    if any(
        b"evil=" in value or b"\r" in value or b"\n" in value for _, value in answer.raw_headers
    ):
        return False
    if "1337" in answer.text:
        return False
    if "html" not in answer.headers.get("content-type", ""):
        return True
    tree = LexborHTMLParser(answer.text)
    for node in tree.css("*"):
        for name, value in node.attributes.items():
            leads = name in {"href", "src", "action", "formaction"}
            runs = (value or "").strip().casefold().startswith("javascript:")
            if name.startswith("on") or (leads and runs):
                return False
            if name in {"src", "action", "formaction"} and "evil.example" in (value or ""):
                return False
    scripts = [
        node
        for node in tree.css("script")
        if not (node.attributes.get("src") or "").startswith("/")
    ]
    return not scripts and not tree.css("svg[onload], img[onerror]")


@pytest.mark.parametrize("marker", MARKERS)
def test_no_field_becomes_markup_or_a_header(site, marker):
    for page in PAGES:
        address, desk = site.address(page.path), is_desk(page)
        for name in page.query if page.look else ():
            asked = f"{address.partition('?')[0]}?{form_body({name: marker}).decode()}"
            answer = site.ask("GET", asked, desk=desk)
            assert answer.status < 500, (page.path, name)
            assert is_harmless(answer), (page.path, name)
        for name in page.form if page.do and page.form else ():
            answer = site.ask(
                "POST", address, sensible_form(site, page, **{name: marker}), desk=desk
            )
            assert answer.status < 500, (page.path, name)
            assert is_harmless(answer), (page.path, name)
            site.sign_in() if page.path == "/desk/sign-out" else None
        for name in re.findall(r"{(\w+)", page.path):
            broken = site.address(page.path, **{name: quote(marker, safe="")})
            for method in page.methods:
                answer = site.ask(method, broken, desk=desk)
                assert answer.status < 500, (method, page.path, name)
                assert is_harmless(answer), (method, page.path, name)


# --- paths -------------------------------------------------------------------------------------

PATHS = (
    "/../../etc/passwd",
    "/..%2f..%2fetc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/%252e%252e/etc/passwd",
    "/..\\..\\etc\\passwd".replace("\\", "%5c"),
    "/style.css/../../../config/site.toml",
    "/config/site.toml",
    "/var/secret.key",
    "/_base.html",
    "/desk/_desk.html",
    "/style.css%00.html",
    "/style.css%2f",
    "//",
    "//evil.example/",
    "///evil.example/%2e%2e",
    "/%5cevil.example",
    "/;/desk",
    "/desk;x=1",
    "/desk/..;/desk",
    "/./desk",
    "/DESK",
    "/desk%20",
    "/desk/",
    "/u//",
    "/u/%00",
    "/u/%c0%ae%c0%ae",
    "/u/%ff%fe",
    "/u/%ed%a0%80",
    "/u/%",
    "/u/%zz",
    "/u/" + "A" * 32,
    "/u/" + "%41" * 2000,
    "/" + "a" * 8000,
    "/" + "a/" * 4000,
    "/desk/issues/" + "9" * 5000,
    "/desk/issues/-1",
    "/desk/issues/1e3",
    "/desk/issues/%D9%A1",
    "/desk/issues/9223372036854775808",
    "/desk/threads/99999999999999999999",
    "*",
    "http://evil.example/desk",
)


def test_odd_paths_lead_nowhere(any_site):
    before = any_site.dump()
    for path in PATHS:
        for method in ("GET", "POST"):
            answer = any_site.ask(method, path, desk=True)
            assert answer.status in {400, 403, 404, 405}, path
            assert is_shielded(answer), path
            assert "root:" not in answer.text
    assert any_site.dump() == before


def test_no_parameter_of_a_path_or_query_upsets_a_store(any_site):
    """PostgreSQL takes no NUL in a text and no number beyond 64 bits."""
    odd = (
        "%00",
        "a%00b",
        "%F0%9F%92%A9",
        "%EF%BF%BD",
        str(2**63),
        str(2**70),
        "-1",
        "9" * 5000,
        "%27%22%3B--",
    )
    for page in PAGES:
        desk = is_desk(page)
        for name in re.findall(r"{(\w+)", page.path):
            for value in odd:
                for method in page.methods:
                    answer = any_site.ask(
                        method, any_site.address(page.path, **{name: value}), desk=desk
                    )
                    assert answer.status < 500, (method, page.path, name, value[:20])
        for name in page.query if page.look else ():
            for value in odd:
                answer = any_site.ask(
                    "GET", f"{any_site.address(page.path)}?{name}={value}", desk=desk
                )
                assert answer.status < 500, (page.path, name, value[:20])


# --- bodies ------------------------------------------------------------------------------------

FORM = "application/x-www-form-urlencoded"
BODIES = {
    "far too large": (FORM, b"x" * 10_000_000),
    "too many fields": (FORM, b"a=1&" * 600),
    "too many fields in parts": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 600 + b"--b--",
    ),
    "a file": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="address"; filename="x"\r\n\r\n1\r\n--b--',
    ),
    "parts without a boundary": ("multipart/form-data", b"--b"),
    "parts that break off": (
        "multipart/form-data; boundary=b",
        b"--b\r\nContent-Disposition: form-da",
    ),
    "a boundary of 10,000": ("multipart/form-data; boundary=" + "b" * 10_000, b"--b"),
    "JSON": ("application/json", b'{"address": "a@example.org", "newsletter": ["weekly"]}'),
    "XML": ("text/xml", b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'),
    "no type": ("", b"address=a@example.org"),
    "an unheard-of charset": (f"{FORM}; charset=nope", b"a=1"),
    "NULs": (FORM, b"address=%00&newsletter=%00&seen=%00&for=%00&sure=%00&name=%00"),
    "no UTF-8": (FORM, b"address=%ff%fe&newsletter=%ed%a0%80&seen=%ff&for=%ff&name=%ff"),
    "raw bytes": (FORM, b"address=\xff\xfe&\x80=\x81"),
    "only signs": (FORM, b"&&==&;=%&%zz=%"),
}


def test_hostile_bodies_are_refused_or_read_as_text(any_site):
    # Leaving takes no form: whatever is posted there is a wish.
    forms = [page for page in DONE if page.form is not None]
    for what, (kind, body) in BODIES.items():
        before = any_site.dump()
        for page in forms:
            answer = any_site.ask(
                "POST",
                any_site.address(page.path),
                body,
                desk=is_desk(page),
                headers=[("content-type", kind)],
            )
            assert is_shielded(answer), (what, page.path)
            assert (answer.status == 413) == (len(body) > 64 * 1024), (what, page.path)
        assert any_site.dump() == before, what


NO_LENGTHS = ("-1", "abc", "1e3", "0x10", " 5", "9" * 5000, "１", "5, 5", "+5", "", "70000")


def test_a_length_that_is_no_number_is_refused(site):
    before = site.dump()
    for declared in NO_LENGTHS:
        headers = [("content-length", declared.encode())]
        answer = site.ask("POST", site.address("/u/{token}"), b"", headers=headers)
        assert answer.status == 413, declared[:9]
        assert is_shielded(answer)
    assert site.dump() == before


def test_a_body_in_pieces_without_a_length_is_read_as_far_as_any(site):
    page = next(page for page in DONE if page.path == "/manage")
    body = sensible_form(site, page)
    pieces = [body[:5], b"", body[5:]]
    assert site.ask("POST", "/manage", pieces, declared=False).status == 303
    assert site.ask("POST", "/manage", [b"x" * 1000] * 100, declared=False).status == 413


def test_a_form_that_breaks_off_does_nothing(site):
    """Half a form would be another wish than the whole."""
    before = site.dump()
    for page in DONE:
        body = sensible_form(site, page)
        for kept in (0, len(body) // 2):
            pieces = [body[:kept], GONE]
            site.ask("POST", site.address(page.path), pieces, desk=is_desk(page))
            assert site.dump() == before, page.path


def test_ten_thousand_headers_and_a_long_one(site):
    many = [(f"x-{number}", "y") for number in range(10_000)]
    long = [
        ("cookie", "a=" + "b" * 100_000),
        ("accept-language", "," * 100_000),
        ("range", "bytes=" + "0-1," * 9999),
    ]
    for page in LOOKED:
        answer = site.ask("GET", site.address(page.path), headers=long, desk=False)
        assert is_shielded(answer), page.path
    assert is_shielded(site.ask("GET", "/", headers=many))


# --- what is kept, and where -------------------------------------------------------------------


def test_personal_pages_are_kept_by_no_browser_and_no_proxy(site):
    for page in PAGES:
        if "{token}" not in page.path and not is_desk(page):
            continue
        for method in page.methods:
            for tokens in ({}, {"token": "A" * 32}):
                answer = site.ask(method, site.address(page.path, **tokens), desk=is_desk(page))
                assert answer.headers["cache-control"] == "no-store", (method, page.path)
                assert "noindex" in answer.headers["x-robots-tag"], (method, page.path)
                assert "etag" not in answer.headers


def test_the_log_holds_no_token_no_address_and_no_form(site, caplog):
    secrets = {*site.tokens.values(), *site.anywhere, *site.sensible["csrf"], site.cookie} - {
        "TEST",
        "PREVIEW",
    }
    with caplog.at_level(logging.DEBUG):
        for page in PAGES:
            for method in page.methods:
                if page.path == "/desk/sign-out":
                    continue
                body = sensible_form(site, page) if method == "POST" else b""
                address = site.address(page.path)
                address += f"{'&' if '?' in address else '?'}who=ann@example.org"
                site.ask(method, address, body, desk=is_desk(page))
    said = caplog.text
    assert "GET /u/{token} 200" in said
    assert not [secret for secret in secrets if secret in said]
    assert not re.findall(r"[\w.]+@(?:example|commonthreads)\S*", said)


def test_only_the_desks_door_leaves_a_cookie(site):
    for page in PAGES:
        for method in page.methods:
            if page.path == "/desk/sign-out":
                # Signing in anew has ended the session before.
                site.sign_in()
            body = sensible_form(site, page) if method == "POST" else b""
            answer = site.ask(method, site.address(page.path), body, desk=is_desk(page))
            if page.path in {"/desk/sign-in", "/desk/sign-out"} and method == "POST":
                cookie = answer.headers["set-cookie"]
                assert "HttpOnly" in cookie
                assert "SameSite=lax" in cookie
            else:
                assert "set-cookie" not in answer.headers, page.path


# --- below a path, behind a proxy --------------------------------------------------------------

OWN_LINK = re.compile(r"(?:href|action|src)=\"(/[^\"]*)")


@pytest.mark.parametrize("stripped", [False, True])
def test_all_of_it_works_below_a_path(house, stripped):
    house.configure("http://127.0.0.1:8780", PREFIXED, "site.toml")
    with closing(Site(house)) as site:
        site.cookie_name = "__Secure-digest-desk"
        for page in LOOKED:
            address = site.address(page.path)
            answer = site.ask(
                "GET", address if stripped else f"/letters{address}", desk=is_desk(page)
            )
            assert answer.status in {200, 204, 303}, page.path
            assert "max-age" in answer.headers["strict-transport-security"]
            if "html" in answer.headers.get("content-type", ""):
                lost = [
                    link
                    for link in OWN_LINK.findall(answer.text)
                    if not link.startswith("/letters")
                ]
                assert not lost, page.path
            location = answer.headers.get("location", "/letters")
            assert location.startswith("/letters"), page.path
            assert "127.0.0.1:8780" not in answer.text, page.path


# --- comparing secrets -------------------------------------------------------------------------

#: What is as secret as what it is made of.
_SECRETS = re.compile(r"csrf|signature|\bmac\b|_mac\b|token\b|password\b|secret\b", re.IGNORECASE)
_PLACES = [
    *SRC.glob("web/*.py"),
    SRC / "readers" / "tokens.py",
    SRC / "links.py",
    SRC / "editors.py",
    SRC / "passwords.py",
]


def compared(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(
            isinstance(op, (ast.Eq, ast.NotEq)) for op in node.ops
        ):
            sides = [ast.unparse(side) for side in (node.left, *node.comparators)]
            if any(isinstance(side, ast.Constant) for side in (node.left, *node.comparators)):
                continue
            if any(side.startswith("len(") for side in sides):
                continue
            if any(_SECRETS.search(side) for side in sides):
                yield ast.unparse(node)


@pytest.mark.parametrize("path", _PLACES, ids=lambda path: path.name)
def test_secrets_are_compared_in_constant_time(path):
    assert not list(compared(ast.parse(path.read_text(encoding="utf-8"))))
