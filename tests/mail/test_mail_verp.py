"""Bounce addresses: each delivery has its own, and nobody but us makes one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.mail.addresses import Address, parse_address
from digest.mail.verp import LONGEST_LOCAL, has_room, read_verp, verp_address, verp_problems

SECRET = bytes(range(32))
BOUNCES = "bounces@example.org"
numbers = st.integers(min_value=0, max_value=2**40 - 1)


@given(numbers)
def test_a_token_means_its_delivery_however_servers_write_it(number):
    address = verp_address(BOUNCES, SECRET, number)
    assert address == verp_address(BOUNCES, SECRET, number)
    for written in (address, address.upper(), address.lower(), address.replace("example", "mx")):
        assert read_verp(SECRET, written) == number


def test_it_is_an_address_that_every_server_takes():
    address = verp_address(BOUNCES, SECRET, 2**40 - 1)
    assert isinstance(parse_address(address), Address)
    assert address.startswith("bounces+")
    assert address.endswith("@example.org")
    assert read_verp(SECRET, verp_address("bounces+letters@example.org", SECRET, 7)) == 7


@pytest.mark.parametrize("length", [1, LONGEST_LOCAL, LONGEST_LOCAL + 1, 64])
def test_no_part_before_the_at_sign_is_longer_than_smtp_allows(length):
    bounces = f"{'b' * length}@example.org"
    address = verp_address(bounces, SECRET, 7)
    assert len(address.partition("@")[0]) <= 64
    assert has_room(bounces) == (address != bounces)
    assert read_verp(SECRET, address) == (7 if has_room(bounces) else None)


@given(numbers, st.integers(0, 29), st.sampled_from("0123456789abcdef"))
def test_a_changed_token_means_nothing(number, at, digit):
    local, _, domain = verp_address(BOUNCES, SECRET, number).partition("@")
    start, token = local[:-30], local[-30:]
    changed = token[:at] + digit + token[at + 1 :]
    read = read_verp(SECRET, f"{start}{changed}@{domain}")
    assert read == (number if changed == token else None)


def test_a_token_of_another_site_means_nothing():
    assert read_verp(bytes(32), verp_address(BOUNCES, SECRET, 7)) is None


@given(st.text())
def test_any_text_is_read(text):
    assert read_verp(SECRET, text) is None
    assert read_verp(SECRET, f"{text}+{'0' * 30}@example.org") is None


def test_check_tells_of_a_bounce_address_without_room():
    def said(**about):
        newsletter = SimpleNamespace(bounce_address=f"{'b' * 34}@example.org", **about)
        return [str(one) for one in verp_problems({"weekly": newsletter}, "{}.toml".format)]

    [told] = said(verp=True)
    assert told.startswith("weekly.toml: newsletters.weekly.bounce_address: verp needs one")
    assert said(verp=False) == []
