"""Reports as mail systems write them, about a mail with a given bounce address and Message-ID."""

from __future__ import annotations

ANN = "ann@example.org"

_DSN = """\
Return-Path: <>
Delivered-To: bounces@commonthreads.example
Received: by mx.commonthreads.example (Postfix) id 4XyZ; Thu, 19 Nov 2026 08:00:02 +0000 (UTC)
Date: Thu, 19 Nov 2026 08:00:02 +0000 (UTC)
From: {sender}
Subject: {subject}
To: {to}
{head}MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=_outer/mx.example"
Message-Id: <20261119080002.4XyZ@mx.commonthreads.example>

This is a MIME-encapsulated message.

--=_outer/mx.example
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

{text}

--=_outer/mx.example
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.commonthreads.example
Arrival-Date: Thu, 19 Nov 2026 08:00:01 +0000 (UTC)

{recipients}

--=_outer/mx.example
Content-Description: Undelivered Message Headers
Content-Type: {returned_as}

{returned}
--=_outer/mx.example--
"""

_RETURNED = """\
Return-Path: <{to}>
Received: from letters.commonthreads.example by mx.example (Postfix) with ESMTPS id 9aBc
From: Common Threads <letters@commonthreads.example>
To: {recipient}
Subject: Five new posts
List-Id: <weekly.commonthreads.example>
Message-ID: {message_id}
Content-Type: multipart/alternative; boundary="==b=="

--==b==
Content-Type: text/plain; charset=utf-8

Part 3 of 5 is out. To leave: unsubscribe@commonthreads.example
--==b==--
"""


def recipient(
    status: str, diagnostic: str = "", *, action: str = "failed", address: str = ANN
) -> str:
    """What a delivery status says of one recipient."""
    lines = [
        f"Original-Recipient: rfc822;{address}",
        f"Final-Recipient: rfc822; {address}",
        f"Action: {action}",
        f"Status: {status}",
    ]
    return "\n".join([*lines, *([f"Diagnostic-Code: {diagnostic}"] if diagnostic else [])])


def dsn(
    *recipients: str,
    to: str = "bounces@commonthreads.example",
    message_id: str = "<0@nowhere.example>",
    sender: str = "MAILER-DAEMON@mx.commonthreads.example (Mail Delivery System)",
    subject: str = "Undelivered Mail Returned to Sender",
    head: str = "Auto-Submitted: auto-replied\n",
    text: str = "I'm sorry to have to inform you that your message could not be delivered.",
    returned_as: str = "text/rfc822-headers",
) -> bytes:
    """A delivery status notification (RFC 3464)."""
    returned = _RETURNED.format(to=to, recipient=ANN, message_id=message_id)
    return _DSN.format(
        to=to,
        sender=sender,
        subject=subject,
        head=head,
        text=text,
        recipients="\n\n".join(recipients),
        returned_as=returned_as,
        returned=returned,
    ).encode(errors="surrogatepass")


def arf(
    *,
    to: str = "abuse@commonthreads.example",
    message_id: str = "<0@nowhere.example>",
    kind: str = "abuse",
    mail_from: str = "",
    sender: str = "complaints@provider.example",
    redacted: str = "redacted@provider.example",
) -> bytes:
    """A complaint (RFC 5965), its reader's address made unreadable."""
    original = f"Original-Mail-From: <{mail_from}>\n" if mail_from else ""
    returned = _RETURNED.format(to="redacted", recipient=redacted, message_id=message_id)
    return f"""\
From: <{sender}>
Date: Thu, 19 Nov 2026 09:00:00 +0000
Subject: FW: Five new posts
To: <{to}>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="part1"

--part1
Content-Type: text/plain; charset="US-ASCII"

This is an email abuse report for an email message received from IP 192.0.2.1.

--part1
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1
{original}Original-Rcpt-To: <{redacted}>
Arrival-Date: Thu, 19 Nov 2026 08:00:02 +0000
Source-IP: 192.0.2.1

--part1
Content-Type: message/rfc822
Content-Disposition: inline

{returned}
--part1--
""".encode(errors="surrogatepass")


def plain(
    text: str,
    *,
    to: str = "bounces@commonthreads.example",
    message_id: str = "",
    sender: str = "MAILER-DAEMON@mx.example.org",
    subject: str = "failure notice",
    head: str = "",
) -> bytes:
    """What a mail system says in its own words, with our mail below where it has a Message-ID."""
    returned = _RETURNED.format(to=to, recipient=ANN, message_id=message_id) if message_id else ""
    return (
        f"Return-Path: <>\nFrom: {sender}\nTo: {to}\nSubject: {subject}\n{head}\n{text}\n{returned}"
    ).encode()


QMAIL = """\
Hi. This is the qmail-send program at mx.example.org.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<ann@example.org>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.
"""

EXIM = """\
This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  ann@example.org
    host mx.example.org [192.0.2.5]
    SMTP error from remote mail server after RCPT TO:<ann@example.org>:
    550 No such user here

------ This is a copy of your message, including all the headers. ------

"""

GMAIL_DELAYED = """\
This is an automatically generated Delivery Status Notification

THIS IS A WARNING MESSAGE ONLY.

YOU DO NOT NEED TO RESEND YOUR MESSAGE.

Delivery to the following recipient has been delayed:

     ann@example.org

Message will be retried for 2 more day(s)
"""
