"""The kept SMTP connections of this process, and what a batch gives them to do."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from functools import partial

from django.conf import settings

from newsletter.delivery.compose import IssueTemplate, Recipient
from newsletter.delivery.crew import Crew
from newsletter.delivery.email_url import ProviderSettings
from newsletter.delivery.fates import Fate
from newsletter.delivery.smtp import Envelope, SmtpServer, SmtpSession
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
    """Starts a thread with as many connections as the batch is worth; it takes from the window until nothing is left."""
    wanted = min(settings.SMTP_CONNECTIONS, -(-len(recipients) // _RECIPIENTS_PER_CONNECTION))
    window.join()
    thread = threading.Thread(
        target=_drive, args=(wanted, issue, provider, recipients, window), name=f"smtp-{issue.pk}", daemon=True
    )
    thread.start()
    return [thread]


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


def _drive(wanted: int, issue: Issue, provider: ProviderSettings, recipients: list[Recipient], window: Window) -> None:
    """The connections' life during one batch; whatever happens, the window learns of it."""
    error = ""
    try:
        work = _BatchWork(issue, recipients, window)
        error = Crew(wanted, work, partial(_open_session, provider), partial(_keep, provider)).run()
    except Exception as broken:  # a thread's last line: its error must reach the batch, not vanish with the thread
        log.exception("smtp.thread_failed issue=%d", issue.pk)
        error = f"{type(broken).__name__}: {broken}"
    finally:
        window.leave(error)


class _BatchWork:
    """One batch as the crew sees it: indices of the window become envelopes."""

    def __init__(self, issue: Issue, recipients: list[Recipient], window: Window) -> None:
        self._issue, self._recipients, self._window = issue, recipients, window
        self.wait, self.is_over, self.settle = window.wait_for_room, window.is_over, window.settle

    def take(self, session: SmtpSession) -> Envelope | None:
        """The next reader's mail, composed for what this server takes."""
        while (index := self._window.take()) is not None:
            recipient = self._recipients[index]
            try:
                template = template_for(self._issue, eight_bit=session.eight_bit)
                payload = template.message_for(recipient)
            except Exception as error:  # one reader's values must not hold up the others
                log.exception("delivery.compose_failed issue=%d subscriber=%d", self._issue.pk, recipient.subscriber_id)
                self._window.settle(index, Fate.FAILED, f"could not be composed: {type(error).__name__}")
                continue
            return Envelope(index, template.sender_for(recipient), recipient.address, payload)
        return None


def _open_session(provider: ProviderSettings) -> SmtpSession:
    while True:
        with _idle_lock:
            kept = _idle[provider.name]
            session = kept.pop() if kept else None
        if session is None:
            return SmtpSession(smtp_server(provider))
        if session.is_alive():
            return session


def _keep(provider: ProviderSettings, session: SmtpSession) -> None:
    with _idle_lock:
        if len(_idle[provider.name]) < settings.SMTP_CONNECTIONS:
            _idle[provider.name].append(session)
            return
    session.close()
