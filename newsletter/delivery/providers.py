"""The providers Sosik can hand mail to, what each can do, and which of the configured ones a batch goes to.

Facts are from Anymail 15.0's backends and webhooks (`anymail/backends/<name>.py`, read November 2026) unless a page is named beside
them. Where a provider's page and Anymail's code differ, the code is what runs.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum

from django.conf import settings
from django.db.models.functions import Now

from newsletter.delivery.email_url import ProviderSettings
from newsletter.models import Batch

log = logging.getLogger(__name__)


class Way(Enum):
    """How a provider takes a chunk of readers."""

    FIELDS = "fields"  # one call: the text once, with merge fields, and each reader's values
    READY = "ready"  # one call: each reader's finished text
    SINGLE = "single"  # one call a reader: no batch, or none with each reader's own headers


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A provider takes the same call with the same key twice and sends once, for `window_seconds`."""

    window_seconds: int
    http_header: str = ""
    message_header: str = ""  # a pseudo-header of the message, which never leaves


@dataclass(frozen=True, slots=True)
class Profile:
    """What a provider can do. `opening` are the signs that begin its own merge syntax: no text of ours may hold them."""

    esp: str
    way: Way
    most_per_call: int = 1  # recipients
    field: str = ""  # how a merge field is written; {key} is its name
    opening: tuple[str, ...] = ()
    metadata: bool = True  # takes our token and gives it back by webhook
    tag: bool = False  # the token goes as a tag instead
    message_id: bool = False  # sends our own Message-ID, so that it stays the same on every attempt
    tracking_switch: bool = True  # its own open and click tracking can be switched off in the call
    idempotency: Idempotency | None = None


_HANDLEBARS = ("{{", "{%", "{#")

PROFILES: dict[str, Profile] = {
    profile.esp: profile
    for profile in (
        # SendBulkEmail merges stored templates only, so raw messages one by one; SES puts its own Message-ID.
        Profile("amazon_ses", Way.SINGLE, tracking_switch=False),
        # 1,000 versions a call: developers.brevo.com/docs/batch-send-transactional-emails. Values are HTML-escaped unless told
        # otherwise: help.sendinblue.com article 360018252080 (autoescape). The key: a UUID, 30 minutes, a repeat is answered
        # "duplicate_parameter": developers.brevo.com/docs/heterogenous-versions-batch-emails. All read November 2026.
        Profile(
            "brevo",
            Way.FIELDS,
            most_per_call=1000,
            field="{{% autoescape off %}}{{{{ params.{key} }}}}{{% endautoescape %}}",
            opening=_HANDLEBARS,
            tracking_switch=False,
            idempotency=Idempotency(30 * 60, message_header="idempotencyKey"),
        ),
        # "bulk-email" gives no ids and takes no header of each reader's own; no metadata, but tags come back by webhook.
        # Headers need a plan that allows them (docstring of MailerSendPayload.set_extra_headers).
        Profile("mailersend", Way.SINGLE, metadata=False, tag=True),
        # 1,000 a call, %recipient.key%: documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/batch-sending,
        # November 2026. Values are put in as they are.
        Profile(
            "mailgun",
            Way.FIELDS,
            most_per_call=1000,
            field="%recipient.{key}%",
            opening=("%recipient", "%unsubscribe", "%tag_unsubscribe", "%mailing_list"),
            message_id=True,
        ),
        # 50 messages a call: dev.mailjet.com/email/guides/send-api-v31, November 2026. Its template language stays off.
        Profile("mailjet", Way.READY, most_per_call=50),
        # 500 a call: the batch endpoint's page at api-docs.mailtrap.io, November 2026.
        Profile("mailtrap", Way.READY, most_per_call=500, tracking_switch=False),
        # Merge variables, but no header of each reader's own.
        Profile("mandrill", Way.SINGLE),
        # Its webhooks name the message by an id of its own; a tag comes back with them.
        Profile("postal", Way.SINGLE, metadata=False, tag=True, tracking_switch=False),
        # 500 messages and 50 MB a call: postmarkapp.com/developer/user-guide/send-email-with-api/batch-emails, November 2026.
        # Merge fields need a stored template; each message of a batch may have its own text.
        Profile("postmark", Way.READY, most_per_call=500),
        # 100 a call and no merge fields: resend.com/docs/dashboard/emails/batch-sending. The key: an HTTP header, 24 hours, the
        # same answer again: resend.com/docs/dashboard/emails/idempotency-keys. Both read November 2026.
        Profile(
            "resend",
            Way.READY,
            most_per_call=100,
            tracking_switch=False,
            idempotency=Idempotency(24 * 3600, http_header="Idempotency-Key"),
        ),
        Profile("scaleway", Way.SINGLE, tracking_switch=False),
        # Three braces: not HTML-escaped. developers.sparkpost.com/api/template-language. It does not say who of a call was refused.
        Profile("sparkpost", Way.FIELDS, most_per_call=1000, field="{{{{{{{key}}}}}}}", opening=("{{",)),
        # Escaping of its "simple" engine is not documented (godocs.unisender.ru/web-api-ref, November 2026): nothing relies on it.
        Profile("unisender_go", Way.SINGLE),
    )
}


def find_provider(name: str) -> ProviderSettings | None:
    """The configured provider of that name."""
    return next((provider for provider in settings.PROVIDERS if provider.name == name), None)


def choose_provider(batch: Batch) -> ProviderSettings | None:
    """Where the batch goes: to the one that claimed it first, else by weight among those that are open. None: it has to wait."""
    if batch.provider:
        provider = find_provider(batch.provider)
        if provider is None:
            log.error("batch.provider_gone issue=%d batch=%d provider=%s", batch.issue_id, batch.number, batch.provider)
        return provider
    return share_of(batch.key.int, open_providers())


def share_of(number: int, providers: tuple[ProviderSettings, ...]) -> ProviderSettings | None:
    """The provider on whose part of the total weight the number falls: the same number, the same provider."""
    if not providers:
        return None
    place = number % sum(provider.weight for provider in providers)
    for provider in providers:
        place -= provider.weight
        if place < 0:
            return provider
    return providers[-1]


def open_providers() -> tuple[ProviderSettings, ...]:
    """Those to which new mail may go: all, but for one that has just failed while another has not."""
    if len(settings.PROVIDERS) == 1:
        return tuple(settings.PROVIDERS)
    failing = set(
        Batch.objects.filter(status=Batch.Status.PENDING, retry_at__gt=Now())
        .exclude(error="")
        .values_list("provider", flat=True)
        .distinct()
    )
    return tuple(provider for provider in settings.PROVIDERS if provider.name not in failing) or tuple(
        settings.PROVIDERS
    )
