"""Signing up: the answer tells nobody anything, and only the reader's own mail changes something."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Event
from time import sleep
from types import SimpleNamespace

import pytest
from sqlalchemy import delete, select

from digest import notices
from digest.mail.addresses import parse_address
from digest.model import Interests, Rhythm
from digest.readers.erasure import erase_address, erase_reader
from digest.readers.sign_up import Asked, Joined, ask
from digest.readers.sign_up import confirm as confirm_step
from digest.readers.tokens import make_token
from digest.readers.wishes import Wish
from digest.store import tables
from digest.web.sign_up_form import Typed, evidence

FORM = {"address": "ann@example.org", "what": "everything", "consent": "yes", "origin": "page"}
SECOND = """
[newsletters.monthly]
title = "The monthly review"
from_name = "Common Threads"
from_address = "review@commonthreads.example"
bounce_address = "bounces@commonthreads.example"
reply_to = "editors@commonthreads.example"
unsubscribe_mailto = "unsubscribe@commonthreads.example"
list_id = "monthly.commonthreads.example"
mailer = "local"
cadence = "monthly"
picks_from = { series = ["ipc"] }
"""


def rows(house, table):
    with house.app.store.read() as c:
        return c.execute(select(table).order_by(table.c.id)).all()


def sign_ups(house):
    return rows(house, tables.sign_ups)


def subscriptions(house):
    return {row.newsletter: row for row in rows(house, tables.subscriptions)}


def waiting(house):
    """The states of notices, in order."""
    return [row.state for row in rows(house, tables.notices)]


def two(house):
    path = house.app.home / "config" / "newsletters.toml"
    path.write_text(path.read_text() + SECOND)


def send(client):
    """As the thread beside the pages does."""
    return notices.send_due(client.app.state.web.current())


def link_of(mail):
    """The path of the link in a mail."""
    text = mail.get_body(("plain",)).get_content()
    return re.search(r"http://127\.0\.0\.1:8780(/\S+)", text)[1]


def mailed(house, client, **fields):
    """Sign up and return the path of the mailed link."""
    before = {mail["Message-ID"] for mail in house.mails()}
    assert client.post("/sign-up", data=FORM | fields).status_code == 303
    send(client)
    (mail,) = (mail for mail in house.mails() if mail["Message-ID"] not in before)
    return link_of(mail)


def seen(page):
    return re.search(r'name="seen" value="(\w+)"', page.text)[1]


def confirm(client, path):
    return client.post(path, data={"seen": seen(client.get(path))})


# --- asking ------------------------------------------------------------------------------------


def test_signing_up_confirming_and_being_subscribed(any_house, any_client):
    two(any_house)
    fields = {"newsletter": ["weekly", "monthly"], "rhythm": "weekly"}
    fields |= {"what": "chosen", "interest": ["series:ipc", "theme:funding"]}
    asked = any_client.post("/sign-up", data=FORM | fields)
    assert (asked.status_code, asked.headers["location"]) == (303, "/sign-up/inbox")
    assert "Look into your inbox" in any_client.get("/sign-up/inbox").text
    assert not any_house.mails()
    assert not subscriptions(any_house)
    send(any_client)
    (mail,) = any_house.mails()
    assert mail["To"] == "ann@example.org"
    assert "List-Unsubscribe" not in mail
    for kind in ("plain", "html"):
        said = mail.get_body((kind,)).get_content()
        assert "The monthly review" in said
        assert "Integrated Personal Commissioning (#IPC)" in said
        assert "14 days" in said
    path = link_of(mail)
    page = any_client.get(path)
    assert page.status_code == 200
    assert "Integrated Personal Commissioning (#IPC), Funding" in page.text
    assert not subscriptions(any_house)
    any_house.turn(hours=2)
    done = confirm(any_client, path)
    assert "You are subscribed" in done.text
    found = subscriptions(any_house)
    assert {s: (r.state, r.interests, r.rhythm) for s, r in found.items()} == {
        "weekly": ("active", "series:ipc|theme:funding", "weekly"),
        # It picks from this series alone, and comes monthly alone.
        "monthly": ("active", "series:ipc", "monthly"),
    }
    consent, _ = rows(any_house, tables.consents)
    assert consent.event == "confirmed"
    assert consent.form == "sign-up page"
    assert consent.text == any_house.app.config.web.consent
    assert consent.at == any_house.app.clock() == found["weekly"].consent_at
    assert found["weekly"].consent_source == "sign-up page"


def prepared(house, client, name):
    if name in {"subscribed", "pending", "left", "suppressed"}:
        house.reader(name, confirmed=name != "pending")
    if name == "left":
        client.post(house.leave_path(name))
    if name == "suppressed":
        house.suppress(name)
    return f"{name}@example.org"


def test_the_answer_is_the_same_for_every_address_and_so_is_what_is_kept(any_house, any_client):
    names = ["unknown", "subscribed", "pending", "left", "suppressed"]
    addresses = [prepared(any_house, any_client, name) for name in names]
    answers, kept = set(), set()
    for address in addresses:
        before = any_house.dump()
        answer = any_client.post("/sign-up", data=FORM | {"address": address})
        answers.add((answer.status_code, answer.content, tuple(sorted(answer.headers.items()))))
        after = any_house.dump()
        added = {t: len(after[t]) - len(before[t]) for t in after if after[t] != before[t]}
        kept.add(tuple(sorted(added.items())))
    assert len(answers) == 1
    assert kept == {(("notices", 1), ("sign_ups", 1))}
    send(any_client)
    assert {mail["To"] for mail in any_house.mails()} == set(addresses) - {"suppressed@example.org"}
    assert waiting(any_house).count("suppressed") == 1


def test_asking_again_changes_the_wish_and_sends_nothing_more(any_house, any_client):
    path = mailed(any_house, any_client)
    any_house.turn(minutes=30)
    again = FORM | {"what": "chosen", "interest": "series:pbr", "address": "ANN@example.org"}
    any_client.post("/sign-up", data=again)
    send(any_client)
    assert len(any_house.mails()) == len(sign_ups(any_house)) == 1
    assert "PaymentByResults" in any_client.get(path).text


def test_three_mails_a_day_at_most_and_one_an_hour(house, client):
    for _ in range(30):
        client.post("/sign-up", data=FORM)
        client.app.state.web.limiter.forget("sign-up", "testclient")
        send(client)
        house.turn(minutes=59)
    # In 28.5 hours: three on the first day, and three of the second so far.
    assert len(house.mails()) == 6


def test_who_asks_for_more_right_after_confirming_gets_a_mail_when_the_hour_is_over(house, client):
    two(house)
    confirm(client, mailed(house, client, newsletter="weekly"))
    client.post("/sign-up", data=FORM | {"newsletter": "monthly"})
    client.post("/sign-up", data=FORM | {"newsletter": "monthly"})
    send(client)
    assert len(house.mails()) == 1
    house.turn(minutes=61)
    send(client)
    assert len(house.mails()) == 2


def test_many_at_once_make_one_sign_up_and_one_mail_for_each_address(any_house, any_client):
    app = any_client.app.state.web.current()

    def asks(number):
        wish = Wish("weekly", Interests(), Rhythm.WEEKLY)
        asked = Asked(parse_address(f"r{number}@example.org"), (wish,), "sign-up page", "Yes")
        ask(app.store, app.config, app.secret, asked, app.clock())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(asks, [number for number in range(12) for _ in range(8)]))
        list(pool.map(lambda _: send(any_client), range(4)))
    assert len(sign_ups(any_house)) == len(waiting(any_house)) == len(any_house.mails()) == 12


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"address": ""}, "address", "Type your e-mail address."),
        ({"address": "ann"}, "address", "@-sign"),
        ({"address": "a@b.example\r\nBcc: eve@example.org"}, "address", ""),
        ({"address": "x" * 10_000 + "@example.org"}, "address", "254"),
        ({"newsletter": "nope"}, "newsletter", "not offered"),
        ({"newsletter": ["weekly", "'; DROP TABLE--"]}, "newsletter", "not offered"),
        ({"what": "chosen"}, "interest", "Choose at least one"),
        ({"what": "chosen", "interest": "series:nope"}, "interest", "not offered"),
        ({"what": "", "interest": "ipc"}, "interest", "not offered"),
        ({"rhythm": "hourly"}, "rhythm", "how often"),
        ({"consent": ""}, "consent", "consent"),
    ],
)
@pytest.mark.parametrize("place", ["sign-up", "embed"])
def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_kept(
    house, client, *, place, fields, field, said
):
    house.configure('cadence = "weekly"', 'cadence = "weekly"\nrhythms = ["monthly"]')
    before = house.dump()
    answer = client.post(f"/{place}", data=FORM | fields)
    assert answer.status_code == 422
    (wrong,) = re.findall(r'<p class="wrong" id="wrong-(\w+)">(.*)</p>', answer.text)
    assert wrong[0] == field
    assert said in wrong[1]
    assert "<title>Error: " in answer.text
    assert house.dump() == before
    if field != "address":
        assert 'value="ann@example.org"' in answer.text


def test_what_was_typed_is_escaped(client):
    answer = client.post(
        "/sign-up", data=FORM | {"address": '"><script>alert(1)</script>', "origin": '">'}
    )
    assert "<script" not in answer.text
    assert "&lt;script&gt;" in answer.text


def test_a_program_that_fills_in_every_field_is_told_the_same_and_nothing_is_kept(house, client):
    good = client.post("/sign-up", data=FORM | {"address": "bob@example.org"})
    before = house.dump()
    trapped = client.post("/sign-up", data=FORM | {"homepage": "https://spam.example"})
    assert (trapped.status_code, dict(trapped.headers)) == (303, dict(good.headers))
    assert house.dump() == before


def test_a_client_signs_up_twenty_times_an_hour_at_most(house, client):
    for number in range(20):
        client.post("/sign-up", data=FORM | {"address": f"a{number}@example.org"})
    before = house.dump()
    for place in ("sign-up", "embed"):
        refused = client.post(f"/{place}", data=FORM)
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 3600
        assert "too often" in refused.text
    assert house.dump() == before


def test_a_form_on_another_site_needs_two_fields(house, client):
    plain = {"address": "ann@example.org", "consent": "yes"}
    headers = {"Origin": "https://blog.example", "Cookie": "x=y"}
    answer = client.post("/sign-up", data=plain, headers=headers)
    assert answer.status_code == 303
    assert "set-cookie" not in answer.headers
    (kept,) = sign_ups(house)
    assert kept.form == "form on blog.example"
    assert kept.wishes == [{"newsletter": "weekly", "interests": "everything", "rhythm": "weekly"}]


def test_the_frame_is_for_the_sites_that_config_names(house, client):
    usual = client.get("/embed").headers["content-security-policy"]
    assert "frame-ancestors 'self'" in usual.split("; ")
    house.configure("embed_on = []", 'embed_on = ["https://blog.example"]', "site.toml")
    answers = [
        client.get("/embed", headers={"Referer": "https://blog.example/a?b"}),
        client.post("/embed", data=FORM | {"consent": ""}),
        client.post("/embed", data=FORM),
        client.get("/embed/inbox"),
    ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'self' https://blog.example" in policy.split("; ")
        assert "x-frame-options" not in answer.headers
    assert 'name="origin" value="embedded blog.example"' in answers[0].text
    assert answers[2].headers["location"] == "/embed/inbox"
    alone = client.get("/sign-up").headers["content-security-policy"]
    assert "frame-ancestors 'self'" in alone.split("; ")


@pytest.mark.parametrize(
    ("origin", "sent_from", "said"),
    [
        ("page", "null", "sign-up page"),
        ("page", "", "sign-up page"),
        ("page", "https://letters.example", "sign-up page"),
        ("page", "https://BLOG.example:444/x", "form on blog.example"),
        ("embedded blog.example", "null", "form on blog.example"),
        ("embedded", "null", "embedded form"),
        ("embedded <script>", "null", "embedded form"),
        (f"embedded {'a' * 101}", "null", "embedded form"),
        ("", "", "form elsewhere"),
        ("page\r\nX: y", "http://[", "form elsewhere"),
        ("page", f"https://{'a' * 101}.example", "sign-up page"),
    ],
)
def test_which_form_it_was_is_kept_in_so_many_words(origin, sent_from, said):
    typed = Typed(origin=origin)
    assert evidence(typed, sent_from=sent_from, own_hosts={"letters.example"}) == said


def test_a_closed_newsletter_is_on_no_form(house, client):
    house.configure('cadence = "weekly"', 'cadence = "weekly"\nsign_up = "closed"')
    assert "The weekly digest" in client.get("/").text
    for page in ("/", "/sign-up", "/embed"):
        assert "<form" not in client.get(page).text
    assert client.post("/sign-up", data=FORM | {"newsletter": "weekly"}).status_code == 422
    assert not sign_ups(house)


def test_what_a_newsletter_never_brings_cannot_be_chosen_for_it(house, client):
    two(house)
    fields = {"newsletter": "monthly", "what": "chosen", "interest": "theme:funding"}
    answer = client.post("/sign-up", data=FORM | fields)
    assert answer.status_code == 422
    assert "Nothing of this is in The monthly review" in answer.text


@pytest.mark.parametrize(("archive", "robots"), [("public", "all"), ("unlisted", "noindex")])
def test_the_front_page_is_found_where_an_archive_may_be(house, client, archive, robots):
    house.configure('archive = "public"', f'archive = "{archive}"')
    page = client.get("/")
    assert page.headers["X-Robots-Tag"] == robots
    assert ('content="noindex"' in page.text) == (robots == "noindex")
    assert client.get("/sign-up").headers["X-Robots-Tag"] == "noindex"


def test_the_front_page_leads_everywhere(house, client):
    two(house)
    page = client.get("/").text
    assert "Once a month" in page
    for path in ("/archive/weekly", "/manage", "/leave", "/sign-up"):
        assert f'"{path}"' in page
    assert "/archive/monthly" not in page


# --- confirming --------------------------------------------------------------------------------


def test_looking_changes_nothing_however_often(house, client):
    path = mailed(house, client)
    before = house.dump()
    for _ in range(3):
        assert client.get(path).status_code == 200
        assert client.head(path).status_code == 200
    assert house.dump() == before


def test_what_was_not_shown_is_not_confirmed(house, client):
    path = mailed(house, client)
    shown = client.get(path)
    client.post("/sign-up", data=FORM | {"what": "chosen", "interest": "series:pbr"})
    before = house.dump()
    for hidden in (seen(shown), "", "x" * 2000):
        again = client.post(path, data={"seen": hidden})
        assert again.status_code == 409
        assert "has changed" in again.text
        assert "PaymentByResults" in again.text
    assert client.post(path).status_code == 409
    assert house.dump() == before
    assert client.post(path, data={"seen": seen(again)}).status_code == 200
    assert subscriptions(house)["weekly"].interests == "series:pbr"


def test_a_link_used_again_brings_back_nobody(any_house, any_client):
    path = mailed(any_house, any_client)
    hidden = seen(any_client.get(path))
    any_client.post(path, data={"seen": hidden})
    token = make_token(any_house.app.secret, "unsubscribe", subscriptions(any_house)["weekly"].id)
    any_client.post(f"/u/{token}")
    before = any_house.dump()
    for answer in (any_client.post(path, data={"seen": hidden}), any_client.get(path)):
        assert answer.status_code == 200
        assert "confirmed already" in answer.text
    assert any_house.dump() == before


def test_two_confirmations_at_once_count_once(any_house, any_client):
    path = mailed(any_house, any_client)
    hidden = seen(any_client.get(path))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: any_client.post(path, data={"seen": hidden}), range(4)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum("You are subscribed" in answer.text for answer in answers) == 1
    assert len(rows(any_house, tables.consents)) == 1


def test_expired_forged_and_foreign_links_get_a_plain_page(house, client):
    path = mailed(house, client)
    number, at = sign_ups(house)[0].id, house.app.clock()
    secret = house.app.secret
    wrong = [
        make_token(b"x" * 32, "sign-up", number, at),
        make_token(secret, "opt-in", number, at),
        make_token(secret, "settings", number, at),
        make_token(secret, "unsubscribe", number),
        make_token(secret, "sign-up", number, at + timedelta(hours=1)),
        make_token(secret, "sign-up", number + 1, at),
        path.rpartition("/")[2][:-1] + "A",
        "x",
    ]
    before = house.dump()
    hidden = seen(client.get(path))
    for token in wrong:
        for answer in (
            client.get(f"/join/{token}"),
            client.post(f"/join/{token}", data={"seen": hidden}),
        ):
            assert answer.status_code == 404
            assert "does not work any more" in answer.text
    house.turn(days=15)
    assert client.get(path).status_code == 404
    assert client.post(path, data={"seen": hidden}).status_code == 404
    assert house.dump() == before


@pytest.mark.parametrize("before", ["subscribed", "pending", "left"])
def test_the_readers_own_word_counts_whatever_was_before(any_house, any_client, before):
    address = prepared(any_house, any_client, before)
    path = mailed(any_house, any_client, address=address, what="chosen", interest="series:ipc")
    any_house.turn(hours=1)
    confirm(any_client, path)
    found = subscriptions(any_house)["weekly"]
    assert (found.state, found.interests) == ("active", "series:ipc")
    assert (found.ended_at, found.ended_reason, found.paused_until) == (None, None, None)
    assert found.consent_at == any_house.app.clock()
    assert len(rows(any_house, tables.subscribers)) == 1


def test_a_suppressed_address_cannot_confirm(any_house, any_client):
    path = mailed(any_house, any_client)
    any_house.suppress("ann")
    before = any_house.dump()
    answer = confirm(any_client, path)
    assert answer.status_code == 409
    assert "must not be written to" in answer.text
    assert any_house.dump() == before


def test_an_erased_reader_comes_back_by_their_own_mail_unless_suppressed(any_house, any_client):
    confirm(any_client, mailed(any_house, any_client))
    (reader,) = rows(any_house, tables.subscribers)
    erase_reader(
        any_house.app.store,
        any_house.app.secret,
        subscriber_id=reader.id,
        now=any_house.app.clock(),
    )
    any_house.turn(hours=2)
    confirm(any_client, mailed(any_house, any_client))
    _, again = rows(any_house, tables.subscribers)
    assert again.address == "ann@example.org"


def test_an_erasure_takes_who_is_just_confirming(any_house, any_client):
    """Whoever is made a subscriber beside it is forgotten as well."""
    path, app, begun = mailed(any_house, any_client), any_house.app, Event()
    shown = seen(any_client.get(path))

    @contextmanager
    def slow():
        with app.store.write() as c:
            yield c
            begun.set()
            sleep(0.2)

    token, store = path.rpartition("/")[2], SimpleNamespace(write=slow)
    with ThreadPoolExecutor(1) as pool:
        confirming = pool.submit(
            confirm_step, store, app.config, app.secret, token, seen=shown, now=app.clock()
        )
        assert begun.wait(10)
        erase_address(app.store, app.secret, "ann@example.org", app.clock())
        assert confirming.result().outcome is Joined.CONFIRMED
    assert [row.address for row in rows(any_house, tables.subscribers)] == [None]
    assert subscriptions(any_house)["weekly"].state == "ended"


def test_a_newsletter_that_is_gone_is_left_out_and_named(house, client):
    two(house)
    path = mailed(house, client, newsletter=["weekly", "monthly"])
    house.configure(SECOND, "")
    page = client.get(path)
    assert "left out: <bdi>monthly</bdi>" in page.text
    confirm(client, path)
    assert set(subscriptions(house)) == {"weekly"}


def test_series_that_are_gone_are_left_out(house, client):
    two(house)
    fields = {"newsletter": ["weekly", "monthly"], "what": "chosen"}
    path = mailed(house, client, **fields, interest=["series:ipc", "series:pbr"])
    house.configure('series = ["ipc"] }', 'series = ["socialcarefuture"] }')
    page = client.get(path)
    assert "left out: <bdi>The monthly review</bdi>" in page.text
    assert "PaymentByResults" in page.text


def test_nothing_left_of_a_wish_is_said(house, client):
    two(house)
    path = mailed(house, client, newsletter="monthly")
    hidden = seen(client.get(path))
    house.configure(SECOND, "")
    for answer in (client.get(path), client.post(path, data={"seen": hidden})):
        assert answer.status_code == 410
    assert not subscriptions(house)


def test_the_number_of_a_sign_up_that_is_gone_is_never_anothers(any_house, any_client):
    path = mailed(any_house, any_client)
    with any_house.app.store.write() as c:
        c.execute(delete(tables.sign_ups))
    any_house.turn(seconds=1)
    bob = FORM | {"address": "bob@example.org"}
    assert any_client.post("/sign-up", data=bob).status_code == 303
    assert any_client.get(path).status_code == 404
