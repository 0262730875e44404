"""Single mails to one person: the confirmation, and an editor's test. They take no part in an issue's accounts."""

from __future__ import annotations

import copy
import logging
import smtplib
from email.utils import formataddr, make_msgid

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from newsletter.delivery.compose import one_line
from newsletter.delivery.email_url import ProviderSettings
from newsletter.delivery.esp_call import send_by_api
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
        message = EmailMultiAlternatives(
            subject=one_line(subject),
            body=render_to_string("email/confirmation.txt", values),
            from_email=_sender(mailing_list),
            to=[wire_address(subscription.subscriber.email)],
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
    message = EmailMultiAlternatives(
        subject="[TEST] " + fill_slots(subject_template(issue), values),
        body=fill_slots(rendered.text, values),
        from_email=_sender(issue.mailing_list),
        to=[wire_address(recipient)],
        headers={"X-Auto-Response-Suppress": "All", "Message-ID": _message_id(issue.mailing_list)},
    )
    message.attach_alternative(fill_slots(rendered.html, values), "text/html")
    send_single(message)
    log.info("test.submitted issue=%d", issue_id)


def send_single(message: EmailMultiAlternatives) -> None:
    """Hands one mail to an open provider, the heaviest first, and to the next if one surely did not take it.

    Raises NotTakenError when none did, and the server's own error when it may have been taken.
    """
    refusals = []
    for provider in sorted(open_providers(), key=lambda one: -one.weight):
        try:
            _hand_over(message, provider)
            return
        except NotTakenError as error:
            log.warning("single.not_taken provider=%s reason=%s", provider.name, error)
            refusals.append(f"{provider.name}: {error}")
    raise NotTakenError("; ".join(refusals))


def _hand_over(message: EmailMultiAlternatives, provider: ProviderSettings) -> None:
    if provider.kind == "api":
        send_by_api(message, provider.esp, settings.EMAIL_TIMEOUT)
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


def _sender(mailing_list: MailingList) -> str:
    return formataddr((one_line(mailing_list.from_name), wire_address(mailing_list.from_email)))


def _message_id(mailing_list: MailingList) -> str:
    # In the sender's domain: this machine's own name says nothing to a receiving server.
    return make_msgid(domain=wire_address(mailing_list.from_email).rpartition("@")[2])


def _sample_values(mailing_list: MailingList) -> dict[str, str]:
    # Empty values show each field's default: what most readers without a name will see.
    return dict.fromkeys(["name", *mailing_list.merge_fields], "")
