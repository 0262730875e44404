"""Simulated readers: what each does with a mail is said by the local part of its address. Time is compressed: minutes are tenths.

    bounce       the provider reports a permanent failure          slow          its server takes half a second to answer
    soft-bounce  a temporary failure first, then the delivery      scanner       fetches every link within seconds, before anybody reads
    complain     marks the mail as spam                            apple-mpp     opens at once through Apple's proxy
    unsubscribe  one click on the mail program's button (RFC 8058) human         opens, and sometimes clicks, after a while

Anything else is human. Links are found in the raw mail by the standard library; only our own site is ever called.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from newsletter.demo.reading import Handles
from newsletter.demo.webhooks import Event

Kind = Literal["bounce", "soft-bounce", "complain", "slow", "scanner", "apple-mpp", "human", "unsubscribe"]
KINDS: tuple[Kind, ...] = ("bounce", "soft-bounce", "complain", "slow", "scanner", "apple-mpp", "unsubscribe", "human")
# Percent of the readers; the rest is human. Real lists: 1-3 % bounces, 0.01-0.1 % complaints, 0.1-1 % unsubscribes a mail.
SHARES_PERCENT: dict[Kind, float] = {
    "bounce": 2,
    "soft-bounce": 2,
    "complain": 0.05,
    "slow": 0.5,
    "scanner": 3,
    "apple-mpp": 15,
    "unsubscribe": 1,
}
MOST_SLOW = 20  # each holds up a connection for SLOW_SECONDS
EVERY_KIND_FROM = 20  # readers from which on each kind is there at least once
SLOW_SECONDS = 0.5
OPEN_PERCENT, CLICK_PERCENT = 60, 25  # of the humans; of those who open

BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
)
BROWSERS = (
    BROWSER,
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 14; SM-S918N) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36",
)
# Gmail's image proxy fetches when a person opens: a person, seen through a cache.
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
PEOPLE = (*BROWSERS, GMAIL)
SCANNERS = ("Barracuda Sentinel (EE)", "Mimecast-URL-Protect/1.0", "python-requests/2.32.3")
APPLE_MPP = "Mozilla/5.0"
# From so many links on, a scanner that calls itself a browser can be told by its haste; with fewer nobody can tell.
CAMOUFLAGE_FROM_LINKS = 4


@dataclass(frozen=True, slots=True)
class Tell:
    """The provider reports an event."""

    event: Event


@dataclass(frozen=True, slots=True)
class Fetch:
    """Somebody requests an address found in the mail; `what` says what that is to count as."""

    method: Literal["GET", "HEAD"]
    address: str
    agent: str
    what: Literal["open", "click", "look"]
    is_machine: bool


@dataclass(frozen=True, slots=True)
class Leave:
    """The one-click POST to the address in List-Unsubscribe."""

    address: str


Step = Tell | Fetch | Leave
Plan = Iterator[tuple[float, Step]]  # seconds after the step before, what to do


def kind_of(address: str) -> Kind:
    """The reader's kind: the beginning of the local part, up to its end, a digit, a dash, a dot or a plus."""
    local = address.rpartition("@")[0].lower()
    for kind in KINDS:
        if re.match(rf"{kind}(?:$|[-+.\d])", local):
            return kind
    return "human"


def smtp_delay(address: str) -> float:
    """Seconds the reader's server takes to accept a mail."""
    return SLOW_SECONDS if kind_of(address) == "slow" else 0.0


def cast_readers(count: int, rng: random.Random) -> list[str]:
    """`count` addresses in random order, mixed as SHARES_PERCENT says."""
    numbers = {kind: int(count * share / 100) for kind, share in SHARES_PERCENT.items()}
    if count >= EVERY_KIND_FROM:
        numbers = {kind: max(1, number) for kind, number in numbers.items()}
    numbers["slow"] = min(numbers["slow"], MOST_SLOW)
    kinds = [kind for kind, number in numbers.items() for _ in range(number)]
    kinds += ["human"] * (count - len(kinds))
    rng.shuffle(kinds)
    return [f"{kind}-{number:06d}@example.{'net' if number % 3 else 'org'}" for number, kind in enumerate(kinds, 1)]


def plan_reaction(address: str, handles: Callable[[], Handles], rng: random.Random, *, camouflage: bool) -> Plan:
    """What happens after a mail has been accepted for `address`; `handles` reads it, and is asked only when a step needs it.

    `camouflage` lets scanners pose as browsers; without it they name themselves.
    """
    kind = kind_of(address)
    if kind == "bounce":
        yield 0.0, Tell("bounced")
        return
    if kind == "soft-bounce":
        yield 0.0, Tell("deferred")
        yield rng.uniform(0.1, 0.3), Tell("delivered")
        return
    yield 0.0, Tell("delivered")
    yield from _REACTIONS[kind](handles, rng, camouflage)


def _read_like_a_person(handles: Callable[[], Handles], rng: random.Random, camouflage: bool) -> Plan:
    del camouflage
    if rng.uniform(0, 100) >= OPEN_PERCENT:
        return
    mail = handles()
    yield rng.uniform(0.2, 3.0), Fetch("GET", mail.pixel, rng.choice(PEOPLE), "open", is_machine=False)
    if mail.tracked and rng.uniform(0, 100) < CLICK_PERCENT:
        for address in rng.sample(mail.tracked, min(len(mail.tracked), rng.randint(1, 3))):
            yield rng.uniform(0.2, 1.5), Fetch("GET", address, BROWSER, "click", is_machine=False)


def _open_by_proxy(handles: Callable[[], Handles], rng: random.Random, camouflage: bool) -> Plan:
    del rng, camouflage
    yield 0.0, Fetch("GET", handles().pixel, APPLE_MPP, "open", is_machine=True)


def _scan(handles: Callable[[], Handles], rng: random.Random, camouflage: bool) -> Plan:
    mail = handles()
    poses = camouflage and len(mail.tracked) >= CAMOUFLAGE_FROM_LINKS
    yield rng.uniform(0.0, 0.3), Fetch("GET", mail.pixel, SCANNERS[0], "open", is_machine=True)
    for address in mail.links:  # the unsubscribe page among them: looking must change nothing
        what: Literal["click", "look"] = "click" if address in mail.tracked else "look"
        yield 0.0, Fetch("HEAD", address, rng.choice(SCANNERS), "look", is_machine=True)
        agent = rng.choice(BROWSERS) if poses else rng.choice(SCANNERS)
        yield 0.0, Fetch("GET", address, agent, what, is_machine=True)


def _complain(handles: Callable[[], Handles], rng: random.Random, camouflage: bool) -> Plan:
    del handles, camouflage
    yield rng.uniform(0.2, 1.0), Tell("complained")


def _unsubscribe(handles: Callable[[], Handles], rng: random.Random, camouflage: bool) -> Plan:
    del camouflage
    yield rng.uniform(0.2, 1.0), Leave(handles().one_click)


_REACTIONS: dict[Kind, Callable[[Callable[[], Handles], random.Random, bool], Plan]] = {
    "human": _read_like_a_person,
    "slow": _read_like_a_person,
    "apple-mpp": _open_by_proxy,
    "scanner": _scan,
    "complain": _complain,
    "unsubscribe": _unsubscribe,
}
