"""`manage.py doctor`: asks everything Sosik depends on whether it is there, and says what to do where it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import redis
from celery import current_app
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from kombu.exceptions import OperationalError

from newsletter.delivery.email_url import ProviderSettings
from newsletter.delivery.esp_backends import open_backend
from newsletter.delivery.smtp import ConnectionLostError, SmtpRefusedError, SmtpSession
from newsletter.delivery.smtp_pool import smtp_server
from newsletter.models import Batch, Issue
from subscribers.signup import confirmations_due

_ANSWER_SECONDS = 3
_LATE = timedelta(minutes=3)  # dozens of ticks: nothing healthy is left alone so long


@dataclass(frozen=True, slots=True)
class Answer:
    """What one question brought; `advice` is empty where nothing is wrong."""

    what: str
    advice: str = ""


class Command(BaseCommand):
    """Ends 0 when every answer is good, 1 when one is not. Sends no mail and changes nothing."""

    help = "Checks settings, database, queue, workers, mail server and clock; says what to do about what is wrong."
    requires_system_checks = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        bad = 0
        has_database = True
        for name, ask, needs_database in _QUESTIONS:
            if needs_database and not has_database:
                continue
            for answer in ask():
                mark = self.style.ERROR("BAD ") if answer.advice else self.style.SUCCESS("ok  ")
                self.stdout.write(f"{mark} {name:<9} {answer.what}")
                if answer.advice:
                    self.stdout.write(f"{'':<15}{answer.advice}")
                    bad += 1
                    has_database = has_database and name != "database"
        if bad:
            raise CommandError(_("Something is wrong, or not started: see each BAD above."))


def ask_settings() -> Iterator[Answer]:
    """What a start does not refuse and an operator should know. A wrong value has stopped us before this."""
    names = ", ".join(provider.name for provider in settings.PROVIDERS)
    yield Answer(_("%(site)s, mail by %(provider)s") % {"site": settings.SITE_URL, "provider": names})
    if settings.DEBUG and not settings.SITE_IS_LOCAL:
        yield Answer(
            _("DEBUG is on at a public address: errors show the code and the settings to anybody."),
            _("Remove DEBUG from the environment."),
        )


def ask_database() -> Iterator[Answer]:
    """Reachable, and with every migration."""
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        reason = str(error).strip().partition("\n")[0]
        yield Answer(
            _("%(vendor)s does not answer: %(reason)s") % {"vendor": connection.display_name, "reason": reason},
            _("Start the database, or correct DATABASE_URL."),
        )
        return
    if plan:
        what = ngettext("%(count)d migration is missing.", "%(count)d migrations are missing.", len(plan))
        yield Answer(what % {"count": len(plan)}, _("Run: manage.py migrate"))
        return
    yield Answer(_("%(vendor)s, every migration applied") % {"vendor": connection.display_name})


def ask_queue() -> Iterator[Answer]:
    """Redis, how much waits in each queue, and whether a worker takes from it."""
    if not settings.REDIS_URL:
        yield Answer(_("in memory: workers and clock live inside `manage.py run`"))
        return
    names = [queue.name for queue in current_app.conf.task_queues]
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=_ANSWER_SECONDS) as client:
            waiting: list[Any] = [client.llen(name) for name in names]
    except redis.RedisError as error:
        yield Answer(
            _("Redis does not answer (%(error)s).") % {"error": type(error).__name__},
            _("Start Redis, or correct REDIS_URL. Nothing is lost meanwhile: the database is the truth."),
        )
        return
    yield Answer(_("Redis; waiting: %(waiting)s") % {"waiting": _pairs(names, waiting)})
    yield from _ask_workers(names)


def _ask_workers(names: list[str]) -> Iterator[Answer]:
    try:
        found = current_app.control.inspect(timeout=_ANSWER_SECONDS).active_queues() or {}
    except OperationalError:
        found = {}
    heard = {queue["name"] for queues in found.values() for queue in queues}
    for name in names:
        if name not in heard:
            yield Answer(
                _("No worker takes from the queue “%(name)s”.") % {"name": name},
                _("Start one: celery -A config worker -Q %(name)s -n %(name)s@%%h") % {"name": name},
            )
    if found:
        what = ngettext("%(count)d worker answers", "%(count)d workers answer", len(found))
        yield Answer(what % {"count": len(found)})


def ask_mail() -> Iterator[Answer]:
    """Each SMTP server as the sender would meet it: greeting, EHLO, TLS, login. A provider's API has no such question."""
    for provider in settings.PROVIDERS:
        yield from _ask_provider(provider)


def _ask_provider(provider: ProviderSettings) -> Iterator[Answer]:
    if provider.kind == "api":
        yield _ask_api(provider)
        return
    server = smtp_server(provider)
    name = f"{server.host}:{server.port}"
    try:
        session = SmtpSession(server)
    except ConnectionLostError as error:
        inbox = _("The built-in inbox lives inside `make run`: start it, or name a mail server in EMAIL_URL.")
        smtp = _("Check host and port in EMAIL_URL, and that no firewall is between.")
        yield Answer(str(error), inbox if provider.kind == "inbox" else smtp)
        return
    except SmtpRefusedError as error:
        yield Answer(str(error), _("Check user, password and ?tls in EMAIL_URL."))
        return
    session.close()
    traits = [("STARTTLS", server.starttls), ("TLS", server.tls), ("PIPELINING", session.pipelining)]
    traits.append(("8BITMIME", session.eight_bit))
    yield Answer(f"{name} {' '.join(trait for trait, has_it in traits if has_it)}".rstrip())


def _ask_api(provider: ProviderSettings) -> Answer:
    """Says what a start can know; that the key is right, only a mail tells."""
    try:
        open_backend(provider.esp, _ANSWER_SECONDS).close()
    except ImproperlyConfigured as error:
        advice = _("Set what is missing; see docs/providers.md.")
        return Answer(f"{provider.name}: {str(error).strip().partition(chr(10))[0]}", advice)
    return Answer(
        _("%(name)s: API of %(esp)s; send a test to see that its key is right")
        % {"name": provider.name, "esp": provider.esp}
    )


def ask_clock() -> Iterator[Answer]:
    """With Redis beat answers as long as it ticks; without, a clock that stands still shows by what it has not done."""
    late = timezone.now() - _LATE
    start = _("Start the clock: `make run`, or celery -A config beat. And see the workers above.")
    overdue = Issue.objects.filter(status=Issue.Status.SCHEDULED, scheduled_at__lt=late).count()
    orphans = Batch.objects.filter(status=Batch.Status.SUBMITTING, lease_until__lt=late).count()
    unasked = confirmations_due(late).filter(requested_at__gt=timezone.now() - timedelta(days=1)).count()
    if overdue:
        what = ngettext(
            "%(count)d issue is overdue and not started.", "%(count)d issues are overdue and not started.", overdue
        )
        yield Answer(what % {"count": overdue}, start)
    if orphans:
        what = ngettext(
            "%(count)d batch of a dead worker is not swept.",
            "%(count)d batches of dead workers are not swept.",
            orphans,
        )
        yield Answer(what % {"count": orphans}, start)
    if unasked:
        what = ngettext(
            "%(count)d confirmation mail is due and has not left.",
            "%(count)d confirmation mails are due and have not left.",
            unasked,
        )
        yield Answer(what % {"count": unasked}, _("See the mail server above.") + " " + start)
    if settings.REDIS_URL:
        yield Answer(_("it ticks")) if _clock_answers() else Answer(_("No clock answers."), start)
    elif not overdue and not orphans and not unasked:
        yield Answer(_("nothing is overdue"))


def _clock_answers() -> bool:
    try:
        found = current_app.control.inspect(timeout=_ANSWER_SECONDS).ping() or {}
    except (OperationalError, OSError):
        return False
    return any(name.startswith("celerybeat@") for name in found)


def _pairs(names: list[str], counts: list[Any]) -> str:
    return " ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True))


# (name, question, whether it reads our tables)
_QUESTIONS: tuple[tuple[str, Callable[[], Iterator[Answer]], bool], ...] = (
    ("settings", ask_settings, False),
    ("database", ask_database, False),
    ("queue", ask_queue, False),
    ("mail", ask_mail, False),
    ("clock", ask_clock, True),
)
