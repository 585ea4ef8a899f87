"""What was found by looking it up is known by the mailer's own id from then on."""

from dataclasses import dataclass

from digest.errors import Uncertain
from digest.mail.proving import Inquiry, prove
from digest.model import MailerTraits, Receipt
from fakes.delivering import MAILER, NOW


@dataclass
class Shelf:
    """Shows what it took, under ids of its own."""

    traits = MailerTraits(can_find=True)
    name: str = MAILER

    def find(self, message_id):
        return Receipt(f"own id of {message_id}", NOW)


def test_a_webhook_can_name_what_was_looked_up(new_engine):
    engine = new_engine(3)
    engine.server.answer = lambda _: Uncertain("no answer")
    engine.deliver()
    inquiry = Inquiry(
        store=engine.store,
        mailer=Shelf(),
        mailer_key=MAILER,
        letters=engine.letters,
        issue_id=engine.issue.id,
        worker="elsewhere:prover",
        clock=engine.clock,
    )
    assert prove(inquiry) == 3
    assert {row.remote_id for row in engine.rows()} == {
        f"own id of {row.message_id}" for row in engine.rows()
    }
