"""What every mailer promises, held against every mailer."""

from __future__ import annotations

import pytest

from digest.model import Receipt
from fakes.mails import NOW, numbered

#: One fixture of conftest.py each, which yields a Bench.
BENCHES = (
    "file_bench",
    "smtp_bench",
    "pipelining_bench",
    "secure_smtp_bench",
    "resend_bench",
    "postmark_bench",
)


@pytest.fixture(params=BENCHES)
def bench(request):
    bench = request.getfixturevalue(request.param)
    yield bench
    bench.mailer.close()


def submitted(bench, mails):
    """The outcomes of these mails, said in requests as large as the mailer takes."""
    batch = bench.mailer.traits.batch
    requests = [mails[start : start + batch] for start in range(0, len(mails), batch)]
    return [
        outcome
        for number, request in enumerate(requests)
        for outcome in bench.mailer.submit(request, f"request {number}")
    ]


def in_any_order(things):
    return sorted(things, key=repr)


def test_an_accepted_mail_arrives_as_it_was_said(bench) -> None:
    mail = numbered(1)
    [receipt] = bench.mailer.submit([mail], "key")
    assert isinstance(receipt, Receipt)
    assert receipt.at == NOW
    assert receipt.remote_id
    assert bench.arrived() == [bench.sent(mail)]


def test_many_mails_all_arrive_and_each_has_its_own_outcome(bench) -> None:
    mails = [numbered(number) for number in range(2 * bench.mailer.traits.batch + 5)]
    receipts = submitted(bench, mails)
    assert [type(receipt) for receipt in receipts] == [Receipt] * len(mails)
    assert len({receipt.remote_id for receipt in receipts}) == len(mails)
    assert in_any_order(bench.arrived()) == in_any_order(bench.sent(mail) for mail in mails)


def test_twice_the_same_is_one_mail_where_the_mailer_can_tell(bench) -> None:
    outcomes = [bench.mailer.submit([numbered(1)], "the same key") for _ in range(2)]
    assert all(isinstance(outcome, Receipt) for [outcome] in outcomes)
    traits = bench.mailer.traits
    once = traits.finds_absence or traits.same_for
    assert len(bench.arrived()) == (1 if once else 2)


def test_find_tells_what_was_accepted_or_refuses_to_say(bench) -> None:
    mail, other = numbered(1), numbered(2)
    traits = bench.mailer.traits
    if not traits.can_find:
        assert not traits.finds_absence
        with pytest.raises(NotImplementedError):
            bench.mailer.find(mail.envelope.message_id)
        return
    assert bench.mailer.find(mail.envelope.message_id) is None
    [receipt] = bench.mailer.submit([mail], "key")
    assert bench.mailer.find(mail.envelope.message_id) == receipt
    assert bench.mailer.find(other.envelope.message_id) is None


def test_a_closed_mailer_opens_again(bench) -> None:
    for number in range(3):
        bench.mailer.close()
        [receipt] = bench.mailer.submit([numbered(number)], f"request {number}")
        assert isinstance(receipt, Receipt)
        bench.mailer.close()
    assert len(bench.arrived()) == 3


def test_what_is_never_used_can_be_closed(bench) -> None:
    bench.mailer.close()
    bench.mailer.close()
    assert bench.arrived() == []
