"""The kept SMTP connections of this process, each driven by a thread of its own while a batch runs."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict

from django.conf import settings

from newsletter.delivery.compose import IssueTemplate, Recipient
from newsletter.delivery.email_url import ProviderSettings
from newsletter.delivery.fates import Fate
from newsletter.delivery.smtp import ConnectionLostError, Envelope, SmtpRefusedError, SmtpServer, SmtpSession
from newsletter.delivery.window import Window
from newsletter.models import Issue

log = logging.getLogger(__name__)

_RECIPIENTS_PER_CONNECTION = 10  # below that a further connection costs more than it brings

_idle: dict[str, list[SmtpSession]] = defaultdict(list)  # by the provider's name
_idle_lock = threading.Lock()


def smtp_server(provider: ProviderSettings) -> SmtpServer:
    """The server that this address of EMAIL_URL names."""
    return SmtpServer(
        host=provider.host,
        port=provider.port,
        user=provider.user,
        password=provider.password,
        starttls=provider.starttls,
        tls=provider.tls,
        timeout_seconds=settings.SMTP_TIMEOUT_SECONDS,
        local_name=settings.SITE_HOST or "localhost",
    )


def start_connections(
    issue: Issue, provider: ProviderSettings, recipients: list[Recipient], window: Window
) -> list[threading.Thread]:
    """Starts as many connections as the batch is worth; each takes from the window until there is nothing left."""
    wanted = min(settings.SMTP_CONNECTIONS, -(-len(recipients) // _RECIPIENTS_PER_CONNECTION))
    threads = []
    for number in range(wanted):
        window.join()
        thread = threading.Thread(
            target=_drive, args=(issue, provider, recipients, window), name=f"smtp-{issue.pk}-{number}", daemon=True
        )
        thread.start()
        threads.append(thread)
    return threads


def close_idle_connections() -> None:
    """Hangs up every kept connection: at the end of the process, and between tests."""
    with _idle_lock:
        sessions = [session for kept in _idle.values() for session in kept]
        _idle.clear()
    for session in sessions:
        session.close()


def template_for(issue: Issue, *, eight_bit: bool) -> IssueTemplate:
    """The issue's MIME template, built once per process and kept while the issue is going out."""
    return _Templates.get(issue, eight_bit)


class _Templates:
    """A handful of templates at a time: an issue's is 50 kB to 200 kB."""

    _kept: dict[tuple[int, object, bool], IssueTemplate] = {}
    _lock = threading.Lock()

    @classmethod
    def get(cls, issue: Issue, eight_bit: bool) -> IssueTemplate:
        key = (issue.pk, issue.rendered_at, eight_bit)
        with cls._lock:
            template = cls._kept.get(key)
            if template is None:
                while len(cls._kept) >= 8:
                    cls._kept.pop(next(iter(cls._kept)))
                template = cls._kept[key] = IssueTemplate(issue, eight_bit=eight_bit)
            return template


def _drive(issue: Issue, provider: ProviderSettings, recipients: list[Recipient], window: Window) -> None:
    """A connection's life during one batch; whatever happens, the window learns of it."""
    error = ""
    try:
        error = _deliver(issue, provider, recipients, window)
    except Exception as broken:  # a thread's last line: its error must reach the batch, not vanish with the thread
        log.exception("smtp.thread_failed issue=%d", issue.pk)
        error = f"{type(broken).__name__}: {broken}"
    finally:
        window.leave(error)


def _deliver(issue: Issue, provider: ProviderSettings, recipients: list[Recipient], window: Window) -> str:
    """Takes, sends, reconnects when a connection that has served breaks; gives the reason it gave up, or an empty text."""
    first = window.take(wait=True)
    while first is not None:
        try:
            session = _open_session(provider)
        except (ConnectionLostError, SmtpRefusedError) as error:
            window.settle(first, Fate.UNSENT, str(error))
            return str(error)
        template = template_for(issue, eight_bit=session.eight_bit)
        served = 0

        def envelope_for(index: int | None) -> Envelope | None:
            while index is not None:
                recipient = recipients[index]
                try:
                    payload = template.message_for(recipient)  # noqa: B023  (used within this turn of the loop only)
                except Exception as error:  # one reader's values must not hold up the others
                    log.exception("delivery.compose_failed issue=%d subscriber=%d", issue.pk, recipient.subscriber_id)
                    window.settle(index, Fate.FAILED, f"could not be composed: {type(error).__name__}")
                    index = window.take(wait=False)
                    continue
                return Envelope(index, template.envelope_sender, recipient.address, payload)  # noqa: B023
            return None

        def settle(index: int, fate: Fate, words: str) -> None:
            nonlocal served
            served += fate is not Fate.UNSENT
            window.settle(index, fate, words)

        try:
            envelope = envelope_for(first)
            while envelope is not None:
                session.deliver(envelope, lambda: envelope_for(window.take(wait=False)), settle)
                envelope = envelope_for(window.take(wait=True))
        except ConnectionLostError as error:
            if not served:
                return str(error)
        except SmtpRefusedError as error:
            return str(error)
        else:
            _keep(session, provider)
            return ""
        first = window.take(wait=True)
    return ""


def _open_session(provider: ProviderSettings) -> SmtpSession:
    while True:
        with _idle_lock:
            kept = _idle[provider.name]
            session = kept.pop() if kept else None
        if session is None:
            return SmtpSession(smtp_server(provider))
        if session.is_alive():
            return session


def _keep(session: SmtpSession, provider: ProviderSettings) -> None:
    with _idle_lock:
        if len(_idle[provider.name]) < settings.SMTP_CONNECTIONS:
            _idle[provider.name].append(session)
            return
    session.close()
