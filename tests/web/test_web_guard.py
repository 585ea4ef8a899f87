"""Who may come to the desk, and that what is done there was asked for by one of its pages."""

from __future__ import annotations

import re
import threading
from dataclasses import replace

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from digest import editors, passwords
from digest.settings import load_config
from digest.store import tables
from digest.web import doors, guard
from digest.web.app import PAGES, make_app

from .conftest import LINKS, PASSWORD, client_of, sign_in


def sessions(house):
    with house.app.store.read() as c:
        return c.execute(select(tables.sessions)).all()


def send(client, name="Maya", password=PASSWORD, **fields):
    return client.post("/desk/sign-in", data={"name": name, "password": password, **fields})


# --- signing in --------------------------------------------------------------------------------


def test_signing_in_and_out_on_both_databases(any_house):
    maya = sign_in(any_house)
    page = maya.get("/desk")
    assert page.status_code == 200
    assert "Maya" in page.text
    assert maya.post("/desk/sign-out").headers["location"] == "/desk/sign-in"
    assert maya.get("/desk").headers["location"] == "/desk/sign-in?next=/desk"
    assert sessions(any_house) == []


def test_without_a_session_every_page_of_the_desk_leads_to_the_door(client):
    for page in PAGES:
        path = re.sub(r"{[^}]*}", "1", page.path)
        if page.looks and "{" not in path:
            answer = client.get(f"{path}?a=b")
            assert answer.status_code == 303, path
            assert answer.headers["location"] == f"/desk/sign-in?next={path}%3Fa%3Db"


def test_the_desk_is_all_of_its_pages():
    open_to_all = {page.path for page in PAGES if not (page.looks or page.does)}
    assert {path for path in open_to_all if path.startswith("/desk")} == {"/desk/sign-in"}
    for page in PAGES:
        if page.path.startswith("/desk") and page.path != "/desk/sign-in":
            assert not page.look or page.looks
            assert not page.do or page.does


def test_the_first_account_is_explained(house, client):
    assert "digest editors add" in client.get("/desk/sign-in").text
    sign_in(house)
    assert "digest editors add" not in client.get("/desk/sign-in").text


def test_a_wrong_password_and_an_unknown_name_get_one_answer(house, client):
    sign_in(house)
    wrong = send(client, password="another long password")
    unknown = send(client, name="Mayb")
    assert wrong.status_code == unknown.status_code == 403
    assert wrong.text.replace("Maya", "Mayb") == unknown.text
    assert "set-cookie" not in wrong.headers
    assert "set-cookie" not in unknown.headers


def test_whatever_is_wrong_one_password_is_verified(house, client):
    """The time it takes is that of the verification."""
    sign_in(house)
    sign_in(house, "Gone")
    editors.disable(house.app.store, "Gone", house.app.clock())
    asked = []

    def verify(stored, password):
        asked.append(stored)
        return passwords.verify(stored, password)

    for name in ("Maya", "Nobody", "Gone", "", "x" * 1900):
        found = editors.sign_in(house.app.store, name, "a wrong one", house.app.clock(), verify)
        assert found is None
    assert [stored is None for stored in asked] == [False, True, True, True, True]
    assert send(client, name="Gone").status_code == 403
    assert not passwords.verify(None, "")


def test_a_name_has_one_account_however_it_is_written(house, client):
    sign_in(house)
    assert send(client, name="  MAYA ").status_code == 303


def test_trying_on_is_stopped_by_name_and_by_client(house):
    sign_in(house)
    client = client_of(house)
    for _ in range(5):
        assert send(client, password="no").status_code == 403
    answer = send(client)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "too often" in answer.text
    other = client_of(house)
    for number in range(30):
        assert send(other, name=f"n{number}", password="no").status_code == 403
    assert send(other).status_code == 429


def test_who_signs_in_at_last_begins_anew(house):
    sign_in(house)
    client = client_of(house)
    for _ in range(2):
        for _ in range(4):
            send(client, password="no")
        assert send(client).status_code == 303
        client.cookies.clear()


@pytest.mark.parametrize(
    ("wanted", "led"),
    [
        ("/desk/issues/3?state=uncertain&page=2", "/desk/issues/3?state=uncertain&page=2"),
        ("/desk", "/desk"),
        ("", "/desk"),
        ("/", "/desk"),
        ("/deskx", "/desk"),
        ("//evil.example", "/desk"),
        ("/\\evil.example", "/desk"),
        ("/desk//evil.example", "/desk"),
        ("/desk/../u/x", "/desk"),
        ("/desk/%2e%2e/u", "/desk"),
        ("https://evil.example/desk", "/desk"),
        ("javascript:alert(1)", "/desk"),
        ("/desk\r\nX: y", "/desk"),
        ("/desk\n", "/desk"),
        ("/desk@evil.example", "/desk"),
        ("/desk/issues/\u0661", "/desk"),
    ],
)
def test_after_the_door_one_stays_here(house, client, wanted, led):
    sign_in(house)
    assert send(client, next=wanted).headers["location"] == led
    assert client.get("/desk/sign-in", params={"next": wanted}).headers["location"] == led


def test_a_form_of_another_site_signs_nobody_in(house, client):
    sign_in(house)
    fields = {"name": "Maya", "password": PASSWORD}
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        answer = client.post("/desk/sign-in", data=fields, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_a_session_is_a_new_one_at_each_sign_in_and_the_old_one_ends(house):
    """A cookie that somebody else planted is worth nothing."""
    sign_in(house)
    client = client_of(house)
    client.cookies.set("digest-desk", "planted", domain="127.0.0.1", path="/")
    send(client)
    first = client.cookies["digest-desk"]
    assert first != "planted"
    assert len(first) >= 43
    send(client)
    assert client.cookies["digest-desk"] != first
    old = TestClient(make_app(house.app), base_url=LINKS, follow_redirects=False)
    old.cookies.set("digest-desk", first)
    assert old.get("/desk").status_code == 303


def test_the_store_cannot_sign_in(house):
    maya = sign_in(house)
    token = maya.client.cookies["digest-desk"]
    dump = str(house.dump())
    assert token not in dump
    assert PASSWORD not in dump
    assert "$argon2id$" in dump


# --- staying signed in -------------------------------------------------------------------------


def test_twelve_hours_and_two_without_a_look(house):
    maya = sign_in(house)
    for _ in range(7):
        house.turn(hours=1, minutes=40)
        assert maya.get("/desk").status_code == 200
    house.turn(minutes=20)
    assert maya.get("/desk").status_code == 303
    other = sign_in(house)
    house.turn(hours=2)
    assert other.get("/desk").status_code == 303
    sign_in(house)
    assert len(sessions(house)) == 1


def test_a_look_is_noted_once_a_minute(house):
    maya = sign_in(house)
    began = sessions(house)
    house.turn(seconds=59)
    maya.get("/desk")
    assert sessions(house) == began
    house.turn(seconds=1)
    maya.get("/desk")
    assert sessions(house) != began


@pytest.mark.parametrize(
    "change",
    [
        lambda store, now: editors.set_password(store, "maya", "another long password"),
        lambda store, now: editors.set_role(store, "Maya", "viewer"),
        lambda store, now: editors.disable(store, "MAYA", now),
    ],
)
def test_every_change_of_an_account_ends_its_sessions(house, change):
    here, there, vera = sign_in(house), sign_in(house), sign_in(house, "Vera")
    change(house.app.store, house.app.clock())
    assert here.get("/desk").status_code == there.get("/desk").status_code == 303
    assert here.post("/desk/sign-out").status_code == 403
    assert vera.get("/desk").status_code == 200


def test_a_password_changed_while_somebody_signs_in_lets_nobody_in(any_house):
    sign_in(any_house)
    store = any_house.app.store

    def slow(stored, password):
        editors.set_password(store, "Maya", "another long password")
        return passwords.verify(stored, password)

    assert editors.sign_in(store, "Maya", PASSWORD, any_house.app.clock(), slow) is None
    assert sessions(any_house) == []


def test_a_hash_of_older_parameters_is_made_anew(house):
    import argon2

    sign_in(house)
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    with house.app.store.write() as c:
        c.execute(tables.editors.update().values(password_hash=weak))
    client = client_of(house)
    assert send(client).status_code == 303
    stored = editors.list_editors(house.app.store)[0].password_hash
    assert stored != weak
    assert not passwords.is_outdated(stored)
    assert send(client).status_code == 303


def test_many_at_once_sign_in_at_once(house):
    sign_in(house)
    found = []

    def one():
        found.append(
            editors.sign_in(house.app.store, "Maya", PASSWORD, house.app.clock()) is not None
        )

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 8
    assert len(sessions(house)) == 9


# --- the cookie --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("links_url", "begins", "path", "secure"),
    [
        ("http://127.0.0.1:8780", "digest-desk=", "/", False),
        ("http://127.0.0.1:8780/letters", "digest-desk=", "/letters", False),
        ("https://news.example", "__Host-digest-desk=", "/", True),
        ("https://news.example/letters/", "__Secure-digest-desk=", "/letters", True),
    ],
)
def test_the_cookie_is_as_strict_as_the_address_allows(house, links_url, begins, path, secure):
    sign_in(house)
    house.configure("http://127.0.0.1:8780", links_url, "site.toml")
    house.app = replace(house.app, config=load_config(house.app.home, {}))
    base = links_url.split("/letters")[0]
    client = TestClient(make_app(house.app), base_url=base, follow_redirects=False)
    prefix = "" if path == "/" else path
    fields = {"name": "Maya", "password": PASSWORD}
    answer = client.post(f"{prefix}/desk/sign-in", data=fields, headers={"origin": base})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(begins)
    parts = {part.strip() for part in cookie.split(";")[1:]}
    assert {"HttpOnly", "SameSite=lax", f"Path={path}", "Max-Age=43200"} <= parts
    assert ("Secure" in parts) == secure
    assert not any(part.startswith("Domain") for part in parts)
    assert answer.headers["location"] == f"{prefix}/desk"
    page = client.get(f"{prefix}/desk")
    assert page.status_code == 200
    assert f'action="{prefix}/desk/sign-out"' in page.text


def test_pages_of_the_desk_are_framed_by_nobody_and_kept_by_nobody(house, client):
    maya = sign_in(house)
    for page in (maya.get("/desk"), client.get("/desk/sign-in"), client.get("/desk")):
        policy = page.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-inline" not in policy
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "same-origin"


def test_nothing_public_leads_to_the_desk(house, client):
    for path in ("/", "/leave", "/nope"):
        assert "/desk" not in client.get(path).text


# --- forms -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("csrf", "headers", "passes"),
    [
        ("right", {}, True),
        ("right", {"origin": LINKS, "sec-fetch-site": "same-origin"}, True),
        ("right", {"sec-fetch-site": "none"}, True),
        ("right", {"sec-fetch-site": "same-site"}, False),
        ("right", {"sec-fetch-site": "cross-site"}, False),
        ("right", {"origin": "https://evil.example"}, False),
        ("right", {"origin": "null"}, False),
        ("right", {"origin": ""}, False),
        ("right", {"origin": "http://127.0.0.1:8780.evil.example"}, False),
        ("right", {"origin": "http://127.0.0.1:8781"}, False),
        ("", {}, False),
        ("0" * 64, {}, False),
        ("é", {}, False),
        ("another's", {}, False),
    ],
)
def test_a_form_must_be_ours(house, csrf, headers, passes):
    maya, other = sign_in(house), sign_in(house, "Otto")
    given = {"right": maya.csrf, "another's": other.csrf}.get(csrf, csrf)
    answer = maya.client.post("/desk/sign-out", data={"csrf": given}, headers=headers)
    assert answer.status_code == (303 if passes else 403)
    assert maya.get("/desk").status_code == (303 if passes else 200)


def test_a_form_behind_a_proxy_that_names_itself_is_ours(house):
    """The browser was at `site.links_url`; the proxy asks for its own name of us."""
    maya = sign_in(house)
    headers = {"origin": LINKS, "host": "inner:8000"}
    answer = maya.client.post("/desk/sign-out", data={"csrf": maya.csrf}, headers=headers)
    assert answer.status_code == 303


def test_hostile_cookies_are_no_sessions(client):
    for value in ("", "x", "é" * 50, "a" * 3000, "'; drop table sessions; --", '"quoted"'):
        answer = client.get("/desk", headers={"cookie": f"digest-desk={value}".encode()})
        assert answer.status_code == 303


def test_words_on_the_desk_are_put_there_by_nobody_else(house):
    maya = sign_in(house)
    for value in ("aGVsbG8=.", "aGVsbG8=." + "0" * 64, ".", "%%%.x", "é.é", "aGVsbG8"):
        headers = {
            "cookie": f"digest-desk={maya.client.cookies['digest-desk']}; digest-told={value}".encode()
        }
        page = client_of(house).get("/desk", headers=headers)
        assert page.status_code == 200
        assert "hello" not in page.text


def test_a_viewer_looks_and_does_nothing(house, viewer):
    assert viewer.get("/desk").status_code == 200
    for page in PAGES:
        if page.path.startswith("/desk") and page.do and page not in doors.PAGES:
            assert page.does == "editor", page.path
            answer = viewer.post(re.sub(r"{[^}]*}", "1", page.path))
            assert answer.status_code == 403, page.path
            assert "That is for editors" in answer.text


def test_the_field_follows_from_the_session_alone():
    assert guard.csrf_of("a") == guard.csrf_of("a") != guard.csrf_of("b")


def test_halves_of_characters_and_nul_are_no_form(house, client):
    sign_in(house)
    for coding in ("utf-7", "unicode_escape", "utf-16-le"):
        body = (
            b'--x\r\ncontent-disposition: form-data; name="name"\r\n\r\n'
            + {"utf-7": b"+2AA-", "unicode_escape": b"\\ud800", "utf-16-le": b"\x00\xd8"}[coding]
            + b"\r\n--x--\r\n"
        )
        headers = {"content-type": f"multipart/form-data; boundary=x; charset={coding}"}
        answer = client.post("/desk/sign-in", content=body, headers=headers)
        assert answer.status_code in {400, 403}, coding
    assert client.post("/desk/sign-in", data={"name": "a\x00b"}).status_code == 400
