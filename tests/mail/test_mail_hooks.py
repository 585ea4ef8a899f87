"""What Resend and Postmark tell by HTTP: who may tell it, and what it means."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.mail.feedback import Feedback
from digest.mail.hooks import names, postmark, resend
from digest.mail.hooks.signatures import is_basic, signed_id
from fakes import postmark as told_by_postmark
from fakes.mails import NOW
from fakes.resend import WEBHOOK_SECRET, event, signed

BODY = b'{"type": "email.delivered"}'
MESSAGE_ID = f"<{'0a' * 16}@example.org>"
AT = datetime(2026, 11, 22, 17, 59, 0, 126000, tzinfo=UTC)


# --- signatures --------------------------------------------------------------------------------


def test_a_signature_of_today_is_believed():
    assert signed_id(WEBHOOK_SECRET, signed(BODY, NOW), BODY, NOW) == "msg_1"


def test_the_example_of_the_documents_is_believed():
    headers = {
        "svix-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "svix-timestamp": "1614265330",
        "svix-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    assert signed_id(secret, headers, body, datetime.fromtimestamp(1614265330, UTC))


def test_one_of_several_signatures_is_enough():
    headers = signed(BODY, NOW)
    ours = headers["svix-signature"]
    for given_ in (f"v1,AAAA {ours}", f"{ours} v1,AAAA", f"v2,x v1a,y {ours}"):
        assert signed_id(WEBHOOK_SECRET, headers | {"svix-signature": given_}, BODY, NOW)


OTHER = "whsec_" + base64.b64encode(b"another secret, of 24...").decode()
FORGED = {
    "no headers": {},
    "another secret": signed(BODY, NOW, secret=OTHER),
    "another body": signed(BODY + b" ", NOW),
    "another name": signed(BODY, NOW) | {"svix-id": "msg_2"},
    "another moment": signed(BODY, NOW) | {"svix-timestamp": str(int(NOW.timestamp()) + 1)},
    "too old": signed(BODY, NOW - timedelta(minutes=6)),
    "too new": signed(BODY, NOW + timedelta(minutes=6)),
    "no number": signed(BODY, NOW) | {"svix-timestamp": "now"},
    "digits of another script": signed(BODY, NOW) | {"svix-timestamp": "١٧٩٥٣٧٠٤٠٠"},
    "a number without end": signed(BODY, NOW) | {"svix-timestamp": "9" * 5000},
    "no signature": signed(BODY, NOW) | {"svix-signature": ""},
    "another version": signed(BODY, NOW)
    | {"svix-signature": signed(BODY, NOW)["svix-signature"].replace("v1,", "v2,")},
    "without its version": signed(BODY, NOW)
    | {"svix-signature": signed(BODY, NOW)["svix-signature"].removeprefix("v1,")},
    "too many tries": signed(BODY, NOW)
    | {"svix-signature": "v1,AAAA " * 10 + signed(BODY, NOW)["svix-signature"]},
    "half of it": signed(BODY, NOW) | {"svix-signature": signed(BODY, NOW)["svix-signature"][:20]},
    "no ASCII": signed(BODY, NOW) | {"svix-signature": "v1,é"},
}


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_or_stale_signature_is_not_believed(how):
    assert signed_id(WEBHOOK_SECRET, FORGED[how], BODY, NOW) is None


def test_what_is_signed_cannot_be_cut_into_other_pieces():
    headers = signed(b"2.rest", NOW, name="msg_1")
    moved = headers | {"svix-id": f"msg_1.{headers['svix-timestamp']}", "svix-timestamp": "2"}
    epoch = datetime.fromtimestamp(2, UTC)
    assert signed_id(WEBHOOK_SECRET, moved, b"rest", epoch) is None


@pytest.mark.parametrize(
    ("header", "fits"),
    [
        (told_by_postmark.basic()["authorization"], True),
        (told_by_postmark.basic()["authorization"].replace("Basic", "basic"), True),
        (told_by_postmark.basic("another")["authorization"], False),
        (told_by_postmark.basic(password="")["authorization"], False),
        (told_by_postmark.basic(password="another")["authorization"], False),
        (told_by_postmark.basic()["authorization"].replace("Basic", "Bearer"), False),
        (told_by_postmark.basic()["authorization"] + "!", False),
        ("", False),
        ("Basic", False),
        ("Basic é", False),
        ("Basic ====", False),
    ],
)
def test_a_name_and_password_must_both_fit(header, fits):
    assert is_basic(told_by_postmark.USER, told_by_postmark.PASSWORD, header) is fits


# --- names of mails ----------------------------------------------------------------------------


@given(st.from_regex(r"<[0-9a-f]{32}@[a-z0-9-]{1,20}(\.[a-z0-9-]{1,20}){1,2}>", fullmatch=True))
def test_a_message_id_comes_back_whole(message_id):
    tags = {names.TAG: names.tag_of(message_id)}
    assert names.of_tags(tags) == message_id
    assert names.of_metadata(names.metadata_of(message_id)) == message_id
    assert len(tags[names.TAG]) <= 256


def test_a_message_id_that_was_cut_off_names_no_mail():
    message_id = f"<{'a' * 32}@{'b' * 60}.{'c' * 60}.example.org>"
    assert names.of_metadata(names.metadata_of(message_id)) == ""


@pytest.mark.parametrize("tag", ["", "é", "PGE", "AAAA", names.tag_of("<a@b>\n"), "P" * 600])
def test_a_tag_of_somebody_else_names_no_mail(tag):
    assert names.of_tags({names.TAG: tag}) == ""


# --- Resend ------------------------------------------------------------------------------------

TAGS = {names.TAG: names.tag_of(MESSAGE_ID)}
SAID = "smtp; 550 5.1.1 <reader@example.org>: no such user"


def by_resend(kind, **more):
    return resend.read(event(kind, "the-id", tags=TAGS, **more), "the mailer", NOW)


@pytest.mark.parametrize(
    ("kind", "more", "becomes"),
    [
        ("email.complained", {}, "complained"),
        ("email.delivered", {}, "delivered"),
        ("email.delivery_delayed", {}, "deferred"),
        ("email.failed", {"failed": {"reason": "reached_daily_quota"}}, "rejected"),
        ("email.suppressed", {"suppressed": {"message": "It is on the list"}}, "rejected"),
    ],
)
def test_each_event_of_resend(kind, more, becomes):
    found = by_resend(kind, **more)
    assert (found.event, found.kind, found.at) == (becomes, None, AT)
    assert (found.message_id, found.remote_id) == (MESSAGE_ID, "the-id")
    assert found.mailer == "the mailer"
    assert bool(found.detail) is bool(more)


@pytest.mark.parametrize(
    ("kind", "part", "said", "becomes", "code"),
    [
        ("Permanent", "General", SAID, "hard", "550 5.1.1"),
        ("Permanent", "General", "It bounced.", "hard", "Permanent General"),
        ("Permanent", "Suppressed", "On the list.", "hard", "Permanent Suppressed"),
        ("Permanent", "OnAccountSuppressionList", "", "hard", "Permanent OnAccountSuppressionList"),
        ("Permanent", "General", "smtp; 552 5.2.2 full", "soft", "552 5.2.2"),
        ("Permanent", "General", "smtp; 550 5.7.515 not aligned", "policy", "550 5.7.515"),
        ("Transient", "General", "", "soft", "Transient General"),
        ("Transient", "General", SAID, "soft", "550 5.1.1"),
        ("Transient", "MailboxFull", "smtp; 452 4.2.2 full", "soft", "452 4.2.2"),
        ("Transient", "General", "smtp; 421 4.7.28 rate", "soft", "421 4.7.28"),
        ("Transient", "General", "smtp; 554 5.7.1 blocked", "policy", "554 5.7.1"),
        ("Transient", "ContentRejected", "", "policy", "Transient ContentRejected"),
        ("Transient", "MessageTooLarge", "", "policy", "Transient MessageTooLarge"),
        ("Temporary", "General", "", "soft", "Temporary General"),
        ("Undetermined", "Undetermined", "", "soft", "Undetermined Undetermined"),
        ("", "", "", "soft", ""),
    ],
)
def test_each_bounce_of_resend(kind, part, said, becomes, code):
    for bounce in (
        {"type": kind, "subType": part, "message": said},
        {"type": kind, "subType": part, "message": "It bounced.", "diagnosticCode": [said]},
    ):
        found = by_resend("email.bounced", bounce=bounce)
        assert (found.event, found.kind, found.code) == ("bounced", becomes, code)
        assert "@" not in found.detail


@pytest.mark.parametrize(
    "kind",
    ["email.sent", "email.opened", "email.clicked", "email.scheduled", "contact.created", "", None],
)
def test_what_resend_tells_besides_is_not_kept(kind):
    assert by_resend(kind) is None


def test_a_bounce_without_particulars_is_a_bounce_all_the_same():
    found = resend.read({"type": "email.bounced"}, "the mailer", NOW)
    assert found == Feedback("bounced", NOW, "soft", mailer="the mailer")


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("2026-11-22 17:59:00.126+00", AT),
        ("2026-11-22T12:59:00.1260000-05:00", AT),
        ("2026-11-22T17:59:00.126", AT),
        ("2030-01-01T00:00:00Z", NOW),
        ("1970-01-01T00:00:00Z", NOW),
        ("yesterday", NOW),
        ("", NOW),
        (5, NOW),
        ("0001-01-01T00:00:00+14:00", NOW),
        ("9999-12-31T23:59:59-14:00", NOW),
    ],
)
def test_only_a_moment_that_can_be_true_is_believed(said, at):
    assert by_resend("email.delivered", at=said).at == at


# --- Postmark ----------------------------------------------------------------------------------

METADATA = names.metadata_of(MESSAGE_ID)


def by_postmark(made, *args, **more):
    return postmark.read(made("the-id", *args, Metadata=METADATA, **more), "the mailer", NOW)


@pytest.mark.parametrize(
    ("kind", "becomes"),
    [
        ("HardBounce", ("bounced", "hard")),
        ("BadEmailAddress", ("bounced", "hard")),
        ("SoftBounce", ("bounced", "soft")),
        ("DnsError", ("bounced", "soft")),
        ("Blocked", ("bounced", "policy")),
        ("SpamNotification", ("bounced", "policy")),
        ("DMARCPolicy", ("bounced", "policy")),
        ("VirusNotification", ("bounced", "policy")),
        ("Transient", ("deferred", None)),
        ("SpamComplaint", ("complained", None)),
        ("Unsubscribe", ("unsubscribed", None)),
        ("Subscribe", ("unknown", None)),
        ("AutoResponder", ("autoresponded", None)),
        ("AddressChange", ("autoresponded", None)),
        ("ChallengeVerification", ("autoresponded", None)),
        ("OpenRelayTest", ("unknown", None)),
        ("ManuallyDeactivated", ("rejected", None)),
        ("Unconfirmed", ("rejected", None)),
        ("SMTPApiError", ("rejected", None)),
        ("TemplateRenderingFailed", ("rejected", None)),
        ("InboundError", ("rejected", None)),
        ("Unknown", ("unknown", None)),
        ("SomethingNew", ("unknown", None)),
        ("", ("unknown", None)),
    ],
)
def test_each_bounce_of_postmark(kind, becomes):
    found = by_postmark(told_by_postmark.bounce, kind, Details="It came back.")
    assert (found.event, found.kind) == becomes
    assert found.code == (kind if becomes[0] == "bounced" else "")
    assert (found.message_id, found.remote_id) == (MESSAGE_ID, "the-id")
    assert found.detail == "It came back."


def test_what_the_server_said_weighs_more_than_its_class():
    found = by_postmark(told_by_postmark.bounce)
    assert (found.kind, found.code) == ("hard", "550 5.1.1")
    assert "@" not in found.detail
    found = by_postmark(told_by_postmark.bounce, Details="smtp;550 5.7.1 listed")
    assert (found.kind, found.code) == ("policy", "550 5.7.1")
    found = by_postmark(told_by_postmark.bounce, "SoftBounce", Details="smtp;550 5.1.1 gone")
    assert (found.kind, found.code) == ("soft", "550 5.1.1")


def test_complaints_and_arrivals_of_postmark():
    assert by_postmark(told_by_postmark.complaint).event == "complained"
    found = by_postmark(told_by_postmark.delivery)
    assert (found.event, found.at) == ("delivered", AT.replace(microsecond=0))
    moment = by_postmark(told_by_postmark.bounce, BouncedAt="2026-11-22T12:59:00.126-05:00").at
    assert moment == AT


@pytest.mark.parametrize(
    ("reason", "origin", "becomes"),
    [
        ("HardBounce", "Recipient", ("bounced", "hard")),
        ("SpamComplaint", "Recipient", ("complained", None)),
        ("ManualSuppression", "Recipient", ("unsubscribed", None)),
        ("ManualSuppression", "Customer", None),
        ("ManualSuppression", "Admin", None),
        (None, "Customer", None),
    ],
)
def test_each_change_of_a_subscription(reason, origin, becomes):
    found = by_postmark(told_by_postmark.subscription_change, reason, Origin=origin)
    assert (found and (found.event, found.kind)) == becomes


@pytest.mark.parametrize("kind", ["Open", "Click", "Inbound", "", None, 7, [], {}])
def test_what_postmark_tells_besides_is_not_kept(kind):
    assert postmark.read({"RecordType": kind, "MessageID": "a"}, "the mailer", NOW) is None


def test_an_event_told_twice_has_one_name_and_others_have_others():
    first = told_by_postmark.bounce("a")
    again = json.loads(json.dumps(dict(reversed(first.items()))))
    others = [
        told_by_postmark.bounce("a", ID=5),
        told_by_postmark.bounce("b"),
        told_by_postmark.bounce("a", BouncedAt="2026-11-23T12:59:00Z"),
        told_by_postmark.complaint("a"),
        told_by_postmark.delivery("a"),
        told_by_postmark.delivery("a", Recipient="other@example.org"),
        told_by_postmark.subscription_change("a", "HardBounce"),
        told_by_postmark.subscription_change("a", None),
        None,
        [],
    ]
    found = [postmark.event_id(one) for one in (first, *others)]
    assert postmark.event_id(again) == found[0]
    assert len(set(found)) == len(found) - 1  # the last two say nothing at all
    assert not any("@" in one for one in found)


# --- anything ----------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
WORDS = st.sampled_from(
    [
        *("email.bounced", "email.failed", "email.suppressed", "Bounce", "Delivery", "HardBounce"),
        *("SubscriptionChange", "SpamComplaint", "Permanent", "reader@example.org \x00\ud800"),
    ]
)
KEYS = [
    "type",
    "created_at",
    "data",
    "RecordType",
    "Type",
    "ID",
    "MessageID",
    "Metadata",
    "Details",
]
KEYS += ["bounce", "tags", "email_id", "subType", "message", "diagnosticCode", "SuppressSending"]


def shaped(inner):
    return st.dictionaries(st.sampled_from(KEYS), inner | WORDS | JSON, max_size=8)


@settings(max_examples=300, deadline=None)
@given(st.one_of(JSON, shaped(shaped(shaped(JSON)))))
def test_whatever_is_told_is_read_without_a_surprise(told):
    assert isinstance(postmark.event_id(told), str)
    for read in (resend.read, postmark.read):
        found = read(told, "the mailer", NOW)
        if found is None:
            continue
        assert Feedback.from_json(json.loads(json.dumps(found.to_json()))) == found
        for text in (found.code, found.detail, found.message_id, found.remote_id):
            assert text.isprintable()
            assert len(text) <= 500
        assert "@" not in found.code + found.detail
