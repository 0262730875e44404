"""Email addresses and network addresses: one spelling of each, and what may be kept of it."""

from __future__ import annotations

import hmac
import ipaddress
import unicodedata

import idna
from django.conf import settings
from django.http import HttpRequest
from email_validator import EmailNotValidError, validate_email

_LONGEST_INPUT = 1000  # characters: more than any address, less than what a parser could be made to chew on


class AddressError(ValueError):
    """What was typed cannot be written to. `reason` says why, in English, and may quote the input: not for logs."""

    def __init__(self, reason: str) -> None:
        super().__init__("not a usable email address")
        self.reason = reason


def normalise_address(raw: str) -> str:
    """The address as we keep it: the local part as typed, the domain in lower case and in its own script.

    Raises AddressError. Nobody is asked over the network. A local part outside ASCII is refused: too few servers take one.
    """
    if len(raw) > _LONGEST_INPUT:
        raise AddressError("The address is too long.")
    typed = unicodedata.normalize("NFC", raw).strip()
    try:
        return validate_email(typed, check_deliverability=False, allow_smtputf8=False).normalized
    except EmailNotValidError as error:
        raise AddressError(str(error)) from None


def wire_address(address: str) -> str:
    """The same address in ASCII, as SMTP wants it: 한국.kr becomes xn--3e0b707e.kr."""
    if address.isascii():
        return address
    local, _, domain = address.rpartition("@")
    return f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}"


def fingerprint(address: str) -> str:
    """32 hexadecimal characters that tell two addresses apart and give neither away; blind to case and to IDN spelling."""
    key = settings.FINGERPRINT_KEY.encode()
    return hmac.digest(key, _folded(address).encode(), "sha256")[:16].hex()


def _folded(address: str) -> str:
    folded = unicodedata.normalize("NFC", address.strip()).lower()
    local, _, domain = folded.rpartition("@")
    if "xn--" not in domain:
        return folded
    try:
        return f"{local}@{idna.decode(domain)}"
    except idna.IDNAError:
        return folded


def ip_prefix(ip: str) -> str:
    """The network a request came from, never the host: 203.0.113.0/24 or 2001:db8::/48; empty for what is no address."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0].strip())
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    length = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network((address, length), strict=False))


def client_ip(request: HttpRequest) -> str:
    """Where the request came from. X-Forwarded-For is believed only behind a proxy, and then only its last entry.

    The last entry is the one the proxy itself wrote; everything before it is the visitor's to invent.
    """
    if settings.BEHIND_PROXY:
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        if forwarded:
            return str(forwarded)
    return str(request.META.get("REMOTE_ADDR", ""))
