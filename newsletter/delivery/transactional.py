"""Single mails to one person: the confirmation, and an editor's test. They take no part in an issue's accounts."""

from __future__ import annotations

import copy
import logging
import re
import smtplib
from collections.abc import Sequence
from email.charset import BASE64, Charset
from email.utils import make_msgid, parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from newsletter.delivery import breaker
from newsletter.delivery.compose import one_line
from newsletter.delivery.dkim import keys_for, sign_message
from newsletter.delivery.email_url import ProviderSettings
from newsletter.delivery.esp_call import mailbox, send_by_api
from newsletter.delivery.fates import NotTakenError
from newsletter.delivery.providers import open_providers
from newsletter.models import Issue
from newsletter.rendering.inlining import inline_css
from newsletter.rendering.layout import lay_out_confirmation
from newsletter.rendering.merge import fill_slots, subject_template
from newsletter.rendering.render import render_issue
from newsletter.tokens import TOKEN_LENGTH
from subscribers.addresses import normalise_address, wire_address
from subscribers.models import MailingList, Subscription
from subscribers.signup import confirmation_token, mark_confirmation_sent

log = logging.getLogger(__name__)

_SEVEN_BITS = Charset("utf-8")
_SEVEN_BITS.body_encoding = BASE64


def send_confirmation_mail(subscription_id: int) -> bool:
    """Asks a mailbox's owner to confirm; False when no confirmation is due (sent already, confirmed, left, gone).

    Nothing a visitor typed stands in it but the address it goes to. A worker that dies between the server's answer and our note
    sends it once more: a second question is better than none.
    """
    due = Subscription.objects.select_related("mailing_list", "subscriber").filter(
        pk=subscription_id, status=Subscription.Status.PENDING, confirmation_sent_at__isnull=True
    )
    subscription = due.first()
    if subscription is None:
        return False
    mailing_list = subscription.mailing_list
    with translation.override(mailing_list.language):
        confirm_url = f"{settings.SITE_URL}/confirm/{confirmation_token(subscription)}/"
        values = {"mailing_list": mailing_list, "confirm_url": confirm_url, "site_url": settings.SITE_URL}
        subject = _("Please confirm: %(list)s") % {"list": mailing_list.name}
        page = lay_out_confirmation(mailing_list, subject, confirm_url)
        message = SingleMail(
            subject=one_line(subject),
            body=render_to_string("email/confirmation.txt", values),
            from_email=_sender(mailing_list),
            to=[wire_address(subscription.subscriber.email)],
            reply_to=_reply_to(mailing_list),
            headers={"Auto-Submitted": "auto-generated", "Message-ID": _message_id(mailing_list)},
        )
        message.attach_alternative(inline_css(page), "text/html")
    send_single(message)
    log.info("confirmation.submitted subscription=%d", subscription_id)
    return mark_confirmation_sent(subscription_id)


def send_test(issue_id: int, address: str) -> None:
    """Sends the issue as it stands now to one address: [TEST] in the subject, plain links, no pixel, nothing recorded.

    Raises AddressError for an address nobody could have, RenderError for an issue that cannot be rendered.
    """
    recipient = normalise_address(address)
    issue = copy.copy(Issue.objects.select_related("mailing_list").get(pk=issue_id))
    issue.track_opens = issue.track_clicks = False
    rendered = render_issue(issue)
    # A token of the right length that opens nothing: leaving must not work from a test mail.
    values = {**_sample_values(issue.mailing_list), "email": recipient, "token": "0" * TOKEN_LENGTH}
    message = SingleMail(
        subject="[TEST] " + fill_slots(subject_template(issue), values),
        body=fill_slots(rendered.text, values),
        from_email=_sender(issue.mailing_list),
        to=[wire_address(recipient)],
        reply_to=_reply_to(issue.mailing_list),
        headers={"X-Auto-Response-Suppress": "All", "Message-ID": _message_id(issue.mailing_list)},
    )
    message.attach_alternative(fill_slots(rendered.html, values), "text/html")
    send_single(message)
    log.info("test.submitted issue=%d", issue_id)


def send_alert(issue: Issue, lines: Sequence[str]) -> None:
    """Tells ALERT_EMAIL that an issue does not move, with the reasons and where to look. Raises as send_single does."""
    page = f"{settings.SITE_URL}/desk/issues/{issue.pk}/watch/"
    subject = _("Sosik: “%(slug)s” does not move") % {"slug": issue.slug}
    message = SingleMail(
        subject=one_line(subject),
        body="\n".join([issue.subject, "", *lines, "", page, f"manage.py issue status {issue.slug}"]),
        from_email=_sender(issue.mailing_list),
        to=[settings.ALERT_EMAIL],
        headers={"Auto-Submitted": "auto-generated", "Message-ID": _message_id(issue.mailing_list)},
    )
    send_single(message)
    log.info("alert.submitted issue=%d", issue.pk)


def send_single(message: EmailMultiAlternatives) -> None:
    """Hands one mail to an open provider, the heaviest first, and to the next if one surely did not take it.

    Raises NotTakenError when none did, and the server's own error when it may have been taken.
    """
    refusals = []
    for provider in sorted(open_providers(), key=lambda one: -one.weight):
        rest = breaker.resting(provider.name)
        if rest is not None:  # a 429 is obeyed by single mails, too; other limits are an issue's
            refusals.append(rest.reason)
            continue
        try:
            _hand_over(message, provider)
            return
        except NotTakenError as error:
            log.warning("single.not_taken provider=%s reason=%s", provider.name, error)
            refusals.append(f"{provider.name}: {error}")
    raise NotTakenError("; ".join(refusals))


def _hand_over(message: EmailMultiAlternatives, provider: ProviderSettings) -> None:
    if provider.kind == "api":
        send_by_api(message, provider, settings.EMAIL_TIMEOUT)
        return
    connection = get_connection(
        host=provider.host,
        port=provider.port,
        username=provider.user,
        password=provider.password,
        use_tls=provider.starttls,
        use_ssl=provider.tls,
        timeout=settings.EMAIL_TIMEOUT,
    )
    try:
        connection.open()
    except (OSError, smtplib.SMTPException) as error:
        raise NotTakenError(str(error)) from error
    try:
        connection.send_messages([message])
    except smtplib.SMTPServerDisconnected:  # also an SMTPException, but it may have been taken
        raise
    except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as error:
        raise NotTakenError(str(error)) from error
    finally:
        connection.close()


class SingleMail(EmailMultiAlternatives):
    """A mail that is signed, where the sender's domain has a key, over the very bytes Django's backend sends."""

    # Django never says BODY=8BITMIME: eight bits could be changed on the way, and the signature with them.
    encoding = _SEVEN_BITS

    def message(self, *args: Any, **kwargs: Any) -> Any:
        """Django's message, whose as_bytes() puts the signature before what it gives."""
        made = super().message(*args, **kwargs)
        keys = keys_for(parseaddr(self.from_email)[1].rpartition("@")[2])
        plain_bytes = made.as_bytes

        def as_bytes(*args: Any, **kwargs: Any) -> bytes:
            raw = plain_bytes(*args, **kwargs)
            on_the_wire = b"\r\n".join(re.split(rb"\r\n|\r|\n", raw))
            signature = sign_message(keys, on_the_wire)
            return (signature if b"\r\n" in raw else signature.replace(b"\r\n", b"\n")) + raw

        if keys:
            made.as_bytes = as_bytes  # type: ignore[method-assign]
        return made


def _sender(mailing_list: MailingList) -> str:
    return mailbox(one_line(mailing_list.from_name), wire_address(mailing_list.from_email))


def _reply_to(mailing_list: MailingList) -> list[str]:
    return [one_line(wire_address(mailing_list.reply_to))] if mailing_list.reply_to else []


def _message_id(mailing_list: MailingList) -> str:
    # In the sender's domain: this machine's own name says nothing to a receiving server.
    return make_msgid(domain=wire_address(mailing_list.from_email).rpartition("@")[2])


def _sample_values(mailing_list: MailingList) -> dict[str, str]:
    # Empty values show each field's default: what most readers without a name will see.
    return dict.fromkeys(["name", *mailing_list.merge_fields], "")
