"""Which web addresses lead to the public internet: the questions that egress asks before every connection."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import quote, urlsplit

import idna
from django.utils.translation import gettext as _

_UNICAST = IPv6Network("2000::/3")  # all the IPv6 that IANA has given out to anybody
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last 32 bits
_TUNNELS = (IPv6Network("2001::/32"), IPv6Network("2001:db8::/32"), IPv6Network("3fff::/20"))  # Teredo; documentation
# Python's is_global takes these for public, some of its versions at least.
_NOT_FOR_US = (
    IPv4Network("192.0.0.0/24"),  # protocol assignments; Oracle's cloud answers its own machines at 192.0.0.192
    IPv4Network("192.88.99.0/24"),  # 6to4 relays, given up by RFC 7526
    IPv4Network("168.63.129.16/32"),  # Azure answers its own machines there
)
_NUMBER = re.compile(r"(?:0[xX][0-9a-fA-F]*|\d+)")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,253}")
_MAX_URL_LENGTH = 8_000  # characters: what servers take


class WrongTargetError(ValueError):
    """An address that we do not ask for, in words."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address taken apart for one request."""

    host: str  # ASCII, without brackets
    port: int
    path: str  # with its query
    is_tls: bool

    @property
    def host_header(self) -> str:
        """The Host header: the port only where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"

    def check_address(self, address: str, allows: Callable[[IPv4Address | IPv6Address], bool]) -> None:
        """Raises WrongTargetError when this address of the host is not allowed."""
        try:
            allowed = allows(ip_address(address))
        except ValueError:
            allowed = False
        if not allowed:
            raise WrongTargetError(_("“%(host)s” is not on the public internet.") % {"host": self.host})


def read_target(url: str, ports: frozenset[int]) -> Target:
    """The address taken apart. Raises WrongTargetError for what is not plain http(s) to a host on one of these ports."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
        host = (parts.hostname or "").rstrip(".")
    except ValueError as error:
        raise WrongTargetError(_("It is not an address.")) from error
    if parts.scheme not in ("http", "https") or not host or len(url) > _MAX_URL_LENGTH:
        raise WrongTargetError(_("It is not a web address (https://…)."))
    if parts.username is not None or parts.password is not None:
        raise WrongTargetError(_("It holds a user's name or password."))
    port = port if port is not None else (443 if parts.scheme == "https" else 80)
    if port not in ports:
        raise WrongTargetError(_("It asks for port %(port)d; only the web's own ports are asked.") % {"port": port})
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = quote(parts.query, safe="/?%:@!$&'()*+,;=~-._[]")
    return Target(_ascii_host(host), port, f"{path}?{query}" if query else path, parts.scheme == "https")


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Is it an address of the public internet, also where it is wrapped in another?"""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address not in _UNICAST or any(address in network for network in _TUNNELS):
            return False
    elif any(address in network for network in _NOT_FOR_US):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _ascii_host(host: str) -> str:
    with suppress(ValueError):
        address = ip_address(host)
        if isinstance(address, IPv4Address) or address.scope_id is None:
            return str(address)
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        # 2130706433, 0x7f.1, 0177.0.0.1: resolvers take them for 127.0.0.1, each in its own way.
        raise WrongTargetError(_("Its host is a number written in an odd way."))
    try:
        name = host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        name = ""
    if not _NAME.fullmatch(name):
        raise WrongTargetError(_("“%(host)s” is not a host's name.") % {"host": host[:60]})
    return name
