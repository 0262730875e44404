"""One spelling of an address, a fingerprint that hides it, and a network instead of a host."""

import unicodedata

import pytest
from django.test import RequestFactory

from subscribers.addresses import AddressError, client_ip, fingerprint, ip_prefix, normalise_address, wire_address


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Jane.Doe@Example.NET ", "Jane.Doe@example.net"),
        ("x@한국.kr", "x@한국.kr"),
        ("x@xn--3e0b707e.kr", "x@한국.kr"),
        (unicodedata.normalize("NFD", "x@한국.kr"), "x@한국.kr"),  # taken apart, as macOS types it
        ("o'brien+news@example.co.uk", "o'brien+news@example.co.uk"),
    ],
)
def test_an_address_is_kept_in_one_spelling(typed: str, kept: str) -> None:
    assert normalise_address(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "jane",
        "jane@",
        "@example.net",
        "jane@localhost",
        "a b@example.net",
        "한글@example.net",
        "a@b..net",
        "a" * 5000 + "@example.net",
        "jane@example.net\nBcc: all@example.net",
        "Jane <jane@example.net>",
    ],
)
def test_what_cannot_be_written_to_is_refused_without_the_input_in_the_message(typed: str) -> None:
    with pytest.raises(AddressError) as caught:
        normalise_address(typed)
    assert str(caught.value) == "not a usable email address"
    assert caught.value.reason


def test_smtp_gets_an_international_domain_in_ascii() -> None:
    assert wire_address("x@한국.kr") == "x@xn--3e0b707e.kr"
    assert wire_address("Jane@example.net") == "Jane@example.net"


def test_a_fingerprint_is_blind_to_case_and_spelling_and_tells_addresses_apart() -> None:
    assert fingerprint("Jane@Example.net") == fingerprint("jane@example.NET")
    assert fingerprint("x@xn--3e0b707e.kr") == fingerprint("x@한국.kr")
    assert fingerprint("jane@example.net") != fingerprint("june@example.net")
    assert len(fingerprint("jane@example.net")) == 32


def test_a_fingerprint_depends_on_its_key(settings) -> None:
    before = fingerprint("jane@example.net")
    settings.FINGERPRINT_KEY = "another key"
    assert fingerprint("jane@example.net") != before


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("unknown", ""),
        ("", ""),
    ],
)
def test_only_the_network_of_a_visitor_is_kept(ip: str, network: str) -> None:
    assert ip_prefix(ip) == network


def test_a_forwarding_header_is_believed_only_behind_a_proxy_and_only_its_last_entry(settings) -> None:
    request = RequestFactory().get("/", headers={"X-Forwarded-For": "1.2.3.4, 198.51.100.7"}, REMOTE_ADDR="10.0.0.1")
    assert client_ip(request) == "10.0.0.1"
    settings.BEHIND_PROXY = True
    assert client_ip(request) == "198.51.100.7"
