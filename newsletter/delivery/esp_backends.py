"""Anymail's backends as Sosik uses them: addresses that are parsed already, each reader's finished text where the provider merges
nothing, and an idempotency key where the provider reads it.

Anymail has no place for the second and third (15.0): what it makes of a message is changed here, at the last moment, in one mixin.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from anymail.backends.base import BasePayload
from django.conf import settings

# The payload class of each backend that takes many readers in one call.
_PAYLOADS = {
    "brevo": "BrevoPayload",
    "mailgun": "MailgunPayload",
    "mailjet": "MailjetPayload",
    "mailtrap": "MailtrapPayload",
    "postmark": "PostmarkPayload",
    "resend": "ResendPayload",
    "sparkpost": "SparkPostPayload",
}
PARSED_TO = frozenset(_PAYLOADS)  # these take a message's `to` parsed, and no other way
# Where a batch's messages stand in the finished data (None: this is some other piece of JSON), and their keys of subject, html, text.
_MESSAGES: dict[str, tuple[Callable[[Any], list[dict[str, Any]] | None], tuple[str, str, str]]] = {
    "mailjet": (lambda data: data.get("Messages"), ("Subject", "HTMLPart", "TextPart")),
    "mailtrap": (lambda data: data.get("requests"), ("subject", "html", "text")),
    "postmark": (lambda data: data if isinstance(data, list) else None, ("Subject", "HtmlBody", "TextBody")),
    "resend": (lambda data: data if isinstance(data, list) else None, ("subject", "html", "text")),
}


class WireAddress:
    """One of our addresses, as Anymail's backends ask an EmailAddress.

    It was parsed when its reader joined and stands in ASCII but for its local part; reading each one again, and formatting it
    anew, is three quarters of the time of a call of 1,000 readers.
    """

    __slots__ = ("addr_spec", "domain", "username")
    display_name = ""

    def __init__(self, addr_spec: str) -> None:
        self.addr_spec = addr_spec
        self.username, _at, self.domain = addr_spec.rpartition("@")

    @property
    def uses_eai(self) -> bool:
        """Whether the local part needs SMTPUTF8."""
        return not self.username.isascii()

    @property
    def address(self) -> str:
        """The whole address; we show no names."""
        return self.addr_spec

    def __str__(self) -> str:
        return self.addr_spec

    def format_addr_spec(self, **_how: Any) -> str:
        """As it stands."""
        return self.addr_spec

    def as_dict(self, *, email: str = "email", **_how: Any) -> dict[str, str]:
        """The address under the provider's key."""
        return {email: self.addr_spec}

    def format(self, **_how: Any) -> str:
        """As it stands: there is no name to write before it."""
        return self.addr_spec


def open_backend(esp: str, timeout_seconds: float) -> Any:
    """Anymail's backend of this provider, its session open: close it. Raises Anymail's configuration errors."""
    module = import_module(f"anymail.backends.{esp}")
    options: dict[str, Any] = {"ignore_recipient_status": True}  # refused readers are read from the status, not raised
    if esp == "amazon_ses":
        options["client_params"] = _ses_client(timeout_seconds)
    else:
        options["timeout"] = timeout_seconds
    backend_class = module.EmailBackend
    if esp in _PAYLOADS:
        payload_class = type("Payload", (_OurPayload, getattr(module, _PAYLOADS[esp])), {"esp": esp})
        backend_class = type("Backend", (_OurBackend, module.EmailBackend), {"payload_class": payload_class})
    backend = backend_class(**options)
    backend.open()
    return backend


def _ses_client(timeout_seconds: float) -> dict[str, Any]:
    """The operator's own parameters, but for this: boto3 would try a call again by itself, and send it twice."""
    given: dict[str, Any] = settings.ANYMAIL.get("AMAZON_SES_CLIENT_PARAMS", {})
    ours = {"retries": {"total_max_attempts": 1}, "read_timeout": timeout_seconds, "connect_timeout": timeout_seconds}
    return {**given, "config": {**given.get("config", {}), **ours}}


class _OurBackend:
    payload_class: Any

    def build_message_payload(self, message: Any, defaults: Any) -> Any:
        return self.payload_class(message, defaults, self)


class _OurPayload:
    """Before Anymail's own payload class in the order of bases."""

    esp: str
    message: Any
    base_message_attrs = tuple(
        ("to", None, None) if attribute[0] == "to" else attribute for attribute in BasePayload.base_message_attrs
    )

    def get_request_params(self, api_url: str) -> dict[str, Any]:
        params: dict[str, Any] = super().get_request_params(api_url)  # type: ignore[misc]
        params["headers"] = {**(params["headers"] or {}), **self.message.http_headers}
        if self.esp == "mailgun":
            _send_as_parts(params)
        return params

    def serialize_json(self, data: Any) -> str:
        if self.message.ready and self.esp in _MESSAGES:
            find, names = _MESSAGES[self.esp]
            for one, texts in zip(find(data) or [], self.message.ready, strict=False):
                one.update(zip(names, texts, strict=True))
        text: str = super().serialize_json(data)  # type: ignore[misc]
        return text


def _send_as_parts(params: dict[str, Any]) -> None:
    """Makes Mailgun's form a multipart one: percent-encoding a Korean text and all the variables takes half of a call's time."""
    form = params.pop("data")
    form["to"] = ", ".join(form["to"])
    values = ((name, value if isinstance(value, list) else [value]) for name, value in form.items())
    params["files"] = [(name, (None, str(one))) for name, several in values for one in several]
