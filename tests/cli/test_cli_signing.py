"""DKIM from config to the mailbox, and what `digest check` says of keys."""

from __future__ import annotations

import pytest

from fakes.signing import is_signed, pem

DECLARED = """
[dkim.main]
domain = "{domain}"
selector = "digest"
key_file = "var/dkim.pem"
"""


@pytest.fixture
def signing(desk):
    """A home folder with a key for the newsletter's sender."""
    (desk.home / "var").mkdir(exist_ok=True)
    (desk.home / "var" / "dkim.pem").write_bytes(pem())
    declare(desk, "dkim.toml", domain="commonthreads.example")
    return desk


def declare(desk, file: str, *, domain: str, name: str = "main") -> None:
    text = DECLARED.format(domain=domain).replace("dkim.main", f"dkim.{name}")
    (desk.home / "config" / file).write_text(text)


def arrived(desk) -> list[bytes]:
    return [path.read_bytes() for path in (desk.home / "var" / "mail" / "new").iterdir()]


def test_every_mail_of_the_declared_sender_is_signed(stocked, signing):
    assert signing.json("check") == {"ok": True, "errors": []}
    issue = signing.send(code=3)["issue"]
    signing.run("test", str(issue), "--to", "editor@example.org")
    account = signing.approve_and_deliver(issue)
    mails = arrived(signing)
    assert len(mails) == account["submitted"] + 1 > 2
    assert all(is_signed(mail, "digest", "commonthreads.example") for mail in mails)


def test_mail_of_other_senders_is_not_signed(stocked):
    (stocked.home / "var" / "dkim.pem").write_bytes(pem())
    declare(stocked, "dkim.toml", domain="news.commonthreads.example")
    issue = stocked.send(code=3)["issue"]
    stocked.run("test", str(issue), "--to", "editor@example.org")
    (mail,) = arrived(stocked)
    assert b"DKIM-Signature" not in mail


def test_keys_that_cannot_sign_are_found_by_check_and_stop_every_command(signing):
    (signing.home / "var" / "dkim.pem").write_bytes(b"no key")
    declare(signing, "more.toml", domain="example.org", name="other")
    first, second = signing.json("check", code=2)["errors"]
    assert (first["file"], first["key"]) == ("config/dkim.toml", "dkim.main.key_file")
    assert (second["file"], second["key"]) == ("config/more.toml", "dkim.other.key_file")
    assert "openssl genrsa 2048" in first["message"]
    assert "dkim.main.key_file" in signing.run("deliver", "1", code=2).err


def test_a_domain_has_one_key(signing):
    declare(signing, "more.toml", domain="commonthreads.example", name="other")
    (fault,) = signing.json("check", code=2)["errors"]
    assert (fault["file"], fault["key"]) == ("config/more.toml", "dkim.other.domain")
    assert "keep one of them" in fault["message"]
