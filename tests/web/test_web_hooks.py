"""What mailers tell at /hooks/NAME: only they may, each thing counts once, nothing is lost."""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from digest import returning
from digest.mail.hooks import resend
from digest.settings import load_config
from digest.store import tables
from digest.store.feedback import take_in
from fakes import postmark as told_by_postmark
from fakes.api import served
from fakes.postmark import PostmarkServer
from fakes.resend import KEY, WEBHOOK_SECRET, ResendServer, event, signed, told

if TYPE_CHECKING:
    from collections.abc import Iterator

DECLARED = """
[mailers.resend]
kind = "resend"
api_key = "{key}"
api_url = "{resend}"
webhook_secret = "{secret}"
timeout_seconds = 5

[mailers.quiet]
kind = "resend"
api_key = "{key}"
api_url = "{resend}"

[mailers.postmark]
kind = "postmark"
server_token = "{token}"
api_url = "{postmark}"
webhook_username = "{user}"
webhook_password = "{password}"
timeout_seconds = 5

[mailers.deaf]
kind = "postmark"
server_token = "{token}"
api_url = "{postmark}"

[mailers.local]
"""


class Post:
    """A site that mails through Resend and Postmark, and is told what became of it."""

    def __init__(self, house: Any, client: Any, resend: ResendServer, postmark: Any) -> None:
        self.house, self.client, self.resend, self.postmark = house, client, resend, postmark
        resend.domains = postmark.senders = {"commonthreads.example"}
        given_ = {
            "key": KEY,
            "resend": resend.url,
            "secret": WEBHOOK_SECRET,
            "token": told_by_postmark.TOKEN,
            "postmark": postmark.url,
            "user": told_by_postmark.USER,
            "password": told_by_postmark.PASSWORD,
        }
        house.configure("\n[mailers.local]\n", DECLARED.format(**given_), "site.toml")

    def send(self, mailer: str, *names: str) -> int:
        """Deliver an issue to these readers through that mailer; its id."""
        self.house.configure('mailer = "local"', f'mailer = "{mailer}"')
        self.house.app = replace(self.house.app, config=load_config(self.house.app.home, {}))
        self.house.post()
        self.house.post()
        for name in names:
            self.house.reader(name)
        issue = self.house.freeze()
        self.house.deliver(issue.id)
        return issue.id

    def told(self, document: object, name: str = "msg_1", **how: Any) -> Any:
        """What is answered to Resend."""
        body, headers = told(document, self.house.app.clock(), name=name, **how)
        return self.client.post("/hooks/resend", content=body, headers=headers)

    def told_by_postmark(self, document: object, **who: str) -> Any:
        headers = told_by_postmark.basic(**who)
        return self.client.post("/hooks/postmark", json=document, headers=headers)

    def rows(self, table: str = "feedback") -> list[Any]:
        with self.house.app.store.read() as c:
            query = select(getattr(tables, table))
            return list(c.execute(query))

    @property
    def suppressed(self) -> dict[str, str]:
        """Reasons by address."""
        return {row.address_key: row.reason for row in self.rows("suppressions")}

    @property
    def events(self) -> Counter:
        return Counter(row.event for row in self.rows("delivery_events"))

    def id_of(self, name: str) -> str:
        """Resend's or Postmark's own name of the mail to that reader."""
        address = f"{name}@example.org"
        return next(row.remote_id for row in self.rows("deliveries") if row.address == address)


@pytest.fixture
def post(house, client) -> Iterator[Post]:
    with served(ResendServer()) as resend, served(PostmarkServer()) as postmark:
        yield Post(house, client, resend, postmark)


@pytest.fixture
def any_post(any_house, any_client) -> Iterator[Post]:
    with served(ResendServer()) as resend, served(PostmarkServer()) as postmark:
        yield Post(any_house, any_client, resend, postmark)


HARD = {"bounce": {"type": "Permanent", "subType": "General", "message": "550 5.1.1 nobody"}}


# --- from a mail to its reader -----------------------------------------------------------------


def test_a_hard_bounce_at_resend_ends_mails_to_that_address(any_post):
    issue = any_post.send("resend", "ann", "bob")
    assert any_post.resend.copies == {"ann@example.org": 1, "bob@example.org": 1}
    assert any_post.told(event("email.bounced", any_post.id_of("ann"), **HARD)).status_code == 200
    assert any_post.suppressed == {"ann@example.org": "no such address: 550 5.1.1"}
    assert any_post.events == {"bounced": 1}
    # The account of the issue tells what was accepted, as before.
    states = Counter(row.state for row in any_post.rows("deliveries") if row.issue_id == issue)
    assert states == {"submitted": 2}


def test_a_complaint_at_postmark_ends_mails_to_that_address(any_post):
    any_post.send("postmark", "ann", "bob")
    answer = any_post.told_by_postmark(told_by_postmark.complaint(any_post.id_of("bob")))
    assert answer.status_code == 200
    assert list(any_post.suppressed) == ["bob@example.org"]
    assert any_post.events == {"complained": 1}


def test_who_leaves_at_postmark_has_left(post):
    post.send("postmark", "ann")
    left = told_by_postmark.subscription_change(post.id_of("ann"), "ManualSuppression")
    assert post.told_by_postmark(left).status_code == 200
    assert post.house.state("ann") == "ended"
    assert not post.suppressed


@pytest.mark.parametrize("mailer", ["resend", "postmark"])
def test_what_is_told_before_the_receipt_is_written_down_finds_its_mail(post, mailer):
    """By what was written to the mail itself: the mailer's own name of it is not known here."""
    post.send(mailer, "ann")
    server = getattr(post, mailer)
    [email] = server.accepted.values()
    if mailer == "resend":
        tags = {one["name"]: one["value"] for one in email["tags"]}
        answer = post.told(event("email.bounced", "of-no-receipt", tags=tags, **HARD))
    else:
        bounce = told_by_postmark.bounce("of-no-receipt", Metadata=email["Metadata"])
        answer = post.told_by_postmark(bounce)
    assert answer.status_code == 200
    assert list(post.suppressed) == ["ann@example.org"]


def test_a_soft_bounce_is_counted_and_a_policy_is_left_for_housekeeping_to_tell(post):
    post.send("resend", "ann", "bob")
    full = {"bounce": {"type": "Transient", "subType": "MailboxFull", "message": "452 4.2.2 full"}}
    policy = {"bounce": {"type": "Permanent", "subType": "General", "message": "550 5.7.1 listed"}}
    post.told(event("email.bounced", post.id_of("ann"), **full), "msg_1")
    post.told(event("email.bounced", post.id_of("bob"), **policy), "msg_2")
    assert [row.worked_at for row in post.rows()] == [None, None]
    returned = returning.work_off(post.house.app)
    assert returned.became == {"bounced, soft": 1, "bounced, policy": 1}
    [alarm] = returned.alarms
    assert "550 5.7.1" in alarm
    assert not post.suppressed


@pytest.mark.parametrize("first", ["email.delivered", "email.bounced"])
def test_events_in_any_order_come_to_the_same(post, first):
    post.send("resend", "ann")
    kinds = ["email.delivered", "email.bounced", "email.delivery_delayed"]
    kinds.sort(key=lambda kind: kind != first)
    for kind in kinds:
        more = HARD if kind == "email.bounced" else {}
        assert post.told(event(kind, post.id_of("ann"), **more), kind.replace(".", "_")).is_success
    returning.work_off(post.house.app)
    assert post.events == {"delivered": 1, "bounced": 1, "deferred": 1}
    assert list(post.suppressed) == ["ann@example.org"]


# --- each thing once, and nothing lost ---------------------------------------------------------


def test_the_same_event_told_again_is_answered_alike_and_counts_once(any_post):
    any_post.send("resend", "ann")
    document = event("email.bounced", any_post.id_of("ann"), **HARD)
    answers = [any_post.told(document) for _ in range(3)]
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, "ok\n")}
    assert len(any_post.rows()) == 1
    bounce = told_by_postmark.bounce("another")
    assert [any_post.told_by_postmark(bounce).status_code for _ in range(3)] == [200] * 3
    assert len(any_post.rows()) == 2
    returning.work_off(any_post.house.app)
    assert any_post.events == {"bounced": 1}


def test_what_was_stored_before_a_crash_is_worked_on_by_housekeeping(post):
    post.send("resend", "ann")
    app, document = post.house.app, event("email.bounced", post.id_of("ann"), **HARD)
    with app.store.write() as c:
        feedback = resend.read(document, app.mailer_key("resend"), app.clock())
        take_in(c, "hook:resend", "msg_1", feedback, app.clock())
    # Told again, it is here already.
    assert post.told(document).text == "ok\n"
    assert not post.suppressed
    returning.work_off(app)
    assert list(post.suppressed) == ["ann@example.org"]


def test_a_report_about_no_mail_of_ours_is_kept_and_stops_nobody(post):
    post.send("resend", "ann")
    assert post.told(event("email.bounced", "of somebody else", **HARD)).is_success
    assert post.told_by_postmark(told_by_postmark.complaint("of somebody else")).is_success
    post.house.turn(hours=2)
    returning.work_off(post.house.app)
    assert [row.became for row in post.rows()] == ["unknown", "unknown"]
    assert not post.suppressed


def test_one_mailer_knows_nothing_of_the_mails_of_another(post):
    post.send("resend", "ann")
    bounce = told_by_postmark.bounce(post.id_of("ann"))
    assert post.told_by_postmark(bounce).is_success
    assert not post.suppressed


def test_opens_and_clicks_are_not_kept(post):
    post.send("resend", "ann")
    for kind in ("email.opened", "email.clicked", "email.sent", "something.new"):
        assert post.told(event(kind, post.id_of("ann"))).text == "ok\n"
    for kind in ("Open", "Click", "SomethingNew"):
        assert post.told_by_postmark({"RecordType": kind}).text == "ok\n"
    assert not post.rows()


# --- who may -----------------------------------------------------------------------------------


def test_nobody_else_is_believed(post, caplog):
    post.send("resend", "ann")
    document = event("email.bounced", post.id_of("ann"), **HARD)
    now = post.house.app.clock()
    body, headers = told(document, now)
    other = json.dumps(event("email.bounced", "another", **HARD)).encode()
    stale = told(document, now - timedelta(minutes=6))[1]
    tries = [
        (other, headers),
        (body, stale),
        (body, {}),
        (body, {**headers, "svix-id": "msg_2"}),
        (body, told_by_postmark.basic()),
    ]
    with caplog.at_level(logging.INFO, "digest"):
        for content, given_ in tries:
            answer = post.client.post("/hooks/resend", content=content, headers=given_)
            assert answer.status_code == 401
            assert "www-authenticate" in answer.headers
        bounce = told_by_postmark.bounce(post.id_of("ann"))
        for who in ({"password": "guess"}, {"user": "guess"}):
            assert post.told_by_postmark(bounce, **who).status_code == 401
    assert not post.rows()
    assert not post.suppressed
    assert "told as resend without its signature" in caplog.text
    secrets = (WEBHOOK_SECRET, headers["svix-signature"], told_by_postmark.PASSWORD, "guess")
    assert not any(secret in caplog.text for secret in secrets)
    assert "@" not in caplog.text


def test_a_webhook_that_was_overheard_cannot_be_said_again_later(post):
    post.send("resend", "ann")
    body, headers = told(event("email.delivered", post.id_of("ann")), post.house.app.clock())
    assert post.client.post("/hooks/resend", content=body, headers=headers).is_success
    post.house.turn(minutes=6)
    assert post.client.post("/hooks/resend", content=body, headers=headers).status_code == 401
    assert len(post.rows()) == 1


@pytest.mark.parametrize("name", ["nope", "local", "quiet", "deaf", "Resend", "resend%00", "é"])
def test_who_is_not_listened_to_is_not_there(post, name):
    body, headers = told(event("email.bounced", "a", **HARD), post.house.app.clock())
    for given_ in (headers, told_by_postmark.basic(), told_by_postmark.basic(password="")):
        answer = post.client.post(f"/hooks/{name}", content=body, headers=given_)
        assert answer.status_code in {400, 404}
    assert not post.rows()


def test_nothing_is_told_by_looking(post):
    assert post.client.get("/hooks/resend").status_code == 405
    assert post.client.get("/hooks/nope").status_code == 405


# --- what is no event --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"9" * 10_000, b"type=email.bounced"],
    ids=["nothing", "half", "no text", "without end", "a number", "a form"],
)
def test_what_is_no_json_is_refused(post, body):
    headers = signed(body, post.house.app.clock())
    answers = [
        post.client.post("/hooks/resend", content=body, headers=headers),
        post.client.post("/hooks/postmark", content=body, headers=told_by_postmark.basic()),
    ]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert not post.rows()


def test_a_whole_mail_that_came_back_fits_and_more_does_not(post):
    post.send("postmark", "ann")
    bounce = told_by_postmark.bounce(post.id_of("ann"), Content="x" * 300_000)
    assert post.told_by_postmark(bounce).status_code == 200
    assert list(post.suppressed) == ["ann@example.org"]
    assert post.told_by_postmark({**bounce, "Content": "x" * 600_000}).status_code == 413
    assert len(post.rows()) == 1


def test_no_address_is_stored_with_what_was_told(post):
    said = "smtp;552 5.2.2 <reader@example.org> is full, ask \x00postmaster@example.org\ud800"
    bounce = told_by_postmark.bounce("a", "SoftBounce", Details=said)
    content = json.dumps(bounce).encode()
    headers = told_by_postmark.basic()
    assert post.client.post("/hooks/postmark", content=content, headers=headers).is_success
    [row] = post.rows()
    assert "@" not in json.dumps(row.body)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(
        st.sampled_from(["type", "data", "created_at", "RecordType", "Type", "Metadata", "ID"]),
        st.recursive(
            st.none() | st.integers() | st.text() | st.sampled_from(["email.bounced", "Bounce"]),
            lambda inner: st.dictionaries(st.text(max_size=9), inner, max_size=3),
            max_leaves=5,
        ),
    )
)
def test_whatever_a_mailer_tells_is_answered(post, document):
    post.house.turn(seconds=1)
    assert post.told(document).status_code == 200
    assert post.told_by_postmark(document).status_code == 200
