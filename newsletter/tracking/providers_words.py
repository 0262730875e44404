"""What each provider calls a dead address. Only proof makes a bounce hard; everything else is soft, and suppresses nobody at once.

Sources: each provider's webhook documentation, November 2026. An enhanced status code (RFC 3463) 5.1.x says that the address does
not exist; 5.7.x is policy, 5.2.2 a full mailbox: both permanent in form and no proof against the address.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_DEAD_ADDRESS = re.compile(
    r"\b5\.1\.(?:0|1|2|3|6|10)\b|\b5\.2\.1\b|(?:user|recipient|mailbox|address|account)\s+(?:is\s+)?(?:unknown|not found|disabled)"
    r"|no such (?:user|mailbox|recipient|address)|(?:user|recipient|mailbox|account) (?:does not|doesn't) exist",
    re.IGNORECASE,
)
# Permanent in form, but about us, our content or the hour: never proof of a dead address.
_NOT_THE_ADDRESS = re.compile(
    r"\b5\.7\.\d+|\b5\.2\.[23]\b|spam|policy|blocked|blacklist|blocklist|reputation|dmarc|spf|dkim|quota|full|rate limit",
    re.IGNORECASE,
)


def _mailgun(event: Mapping[str, Any]) -> bool:
    return event.get("severity") == "permanent" and event.get("reason") in {"bounce", "suppress-bounce"}


def _postmark(event: Mapping[str, Any]) -> bool:
    return event.get("Type") in {"HardBounce", "BadEmailAddress"}


def _ses(event: Mapping[str, Any]) -> bool:
    bounce = event.get("bounce", {})
    return bounce.get("bounceType") == "Permanent" and bounce.get("bounceSubType") in {"General", "NoEmail"}


def _brevo(event: Mapping[str, Any]) -> bool:
    return event.get("event") in {"hard_bounce", "invalid_email"}


def _mandrill(event: Mapping[str, Any]) -> bool:
    return event.get("event") == "hard_bounce"


def _mailjet(event: Mapping[str, Any]) -> bool:
    return bool(event.get("hard_bounce"))


# Providers whose own word is a proof of its own; for the others the mail server's answer must say it.
_PROOF: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "amazon ses": _ses,
    "brevo": _brevo,
    "mailgun": _mailgun,
    "mailjet": _mailjet,
    "mandrill": _mandrill,
    "postmark": _postmark,
}


def bounce_class(provider: str, raw_event: Any, kind: str, mta_response: str) -> str:
    """hard, soft, or empty for an event that is no bounce. `raw_event` is the provider's own, as Anymail hands it on."""
    if kind not in {"bounced", "rejected", "deferred"}:
        return ""
    if kind == "deferred" or _NOT_THE_ADDRESS.search(mta_response):
        return "soft"
    proof = _PROOF.get(provider.lower())
    event = raw_event.get("event-data", raw_event) if isinstance(raw_event, Mapping) else {}
    if proof is not None and proof(event):
        return "hard"
    return "hard" if _DEAD_ADDRESS.search(mta_response) else "soft"
