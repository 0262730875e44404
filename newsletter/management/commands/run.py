"""`manage.py run`: Sosik in one process, with an inbox, and with sample data on the first start."""

from __future__ import annotations

import logging
import os
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from celery import current_app
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from wcwidth import wcswidth

from newsletter.content.front_matter import ContentError
from newsletter.delivery.lifecycle import start_issue_now
from newsletter.demo.inbox import InboxPortTakenError, InboxServer
from newsletter.demo.sample import default_posts, get_editor, lay_out_sample
from newsletter.demo.views import open_inbox
from newsletter.desk.entrance import make_login_link
from newsletter.embedded import Embedded, StartError
from newsletter.models import Issue
from subscribers.models import MailingList

FIRST_ISSUE_SECONDS = 60  # fifty mails take less than one; a machine under load gets time


class Command(BaseCommand):
    """Starts everything, says where it is, and waits for Ctrl-C."""

    help = "Runs Sosik in one process: web server, workers, clock, and the built-in inbox when EMAIL_URL is inbox:."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=os.environ.get("WEB_HOST") or "127.0.0.1", help="to listen on")
        parser.add_argument("--port", type=int, default=_default_port(), help="of the web server")
        parser.add_argument("--bare", action="store_true", help="no sample data and no greeting")

    def handle(self, *_args: Any, **options: Any) -> None:
        embedded = Embedded(options["host"], options["port"])
        inbox = InboxServer(open_inbox(), settings.EMAIL.port) if settings.EMAIL.kind == "inbox" else None
        try:
            embedded.claim()
            if inbox:
                inbox.start()
            migrate()
            first = None if options["bare"] else self.lay_out_once()
            embedded.start()
            if not options["bare"]:
                with quiet_logs():
                    self.welcome(first, with_inbox=inbox is not None)
            embedded.wait()
        except KeyboardInterrupt:
            pass
        except InboxPortTakenError as error:
            what = _(
                "Port %(port)d, which the inbox wants for SMTP, is taken by another program. Choose another: %(do)s"
            )
            raise CommandError(
                what % {"port": error.port, "do": f"INBOX_SMTP_PORT={error.port + 1} make run"}
            ) from None
        except StartError as error:
            raise CommandError(str(error)) from None
        finally:
            clean = embedded.stop()
            if inbox:
                inbox.stop()
            connections.close_all()
        if not clean:
            os._exit(1)  # a thread hangs in a call of its own; nothing is lost, for it is the database that knows
        if not options["bare"]:
            self.stdout.write(_("Stopped."))

    def lay_out_once(self) -> Issue | None:
        """The first issue of the sample data just made; None when there is data already."""
        if MailingList.objects.exists():
            return None
        try:
            return lay_out_sample(default_posts())[0]
        except (ContentError, FileNotFoundError) as error:
            raise CommandError(str(error)) from None

    def welcome(self, first: Issue | None, *, with_inbox: bool) -> None:
        """Sends the first issue on the first start; says where everything is on each."""
        if first is not None:
            self.send_first(first)
        self.greet(with_inbox=with_inbox)

    def send_first(self, issue: Issue) -> None:
        """Sends the issue by the very path of every issue, and returns when it is sent or the patience ends."""
        start_issue_now(issue.pk)
        current_app.send_task("newsletter.tasks.start_due_issues")  # the clock would do so within TICK_SECONDS
        deadline = time.monotonic() + FIRST_ISSUE_SECONDS
        while time.monotonic() < deadline:
            issue.refresh_from_db(fields=["status", "recipients_count"])
            if issue.status == Issue.Status.SENT:
                count = issue.recipients_count or 0
                text = ngettext(
                    "“%(subject)s” went to %(count)d sample reader.",
                    "“%(subject)s” went to %(count)d sample readers.",
                    count,
                )
                self.stdout.write("\n" + text % {"subject": issue.subject, "count": count})
                return
            time.sleep(0.1)
        text = _("“%(subject)s” is still on its way: the desk shows how far it is.")
        self.stdout.write("\n" + text % {"subject": issue.subject})

    def greet(self, *, with_inbox: bool) -> None:
        """Prints the links; the desk's logs in once, so every start has a fresh one."""
        links = [
            (_("Public site"), "/", ""),
            (_("Desk"), make_login_link(get_editor()), _("(logs you in, once)")),
        ]
        if with_inbox:
            links.append((_("Inbox"), reverse("inbox:list"), ""))
        self.stdout.write("\n" + _("Sosik is running.") + "\n")
        for name, path, note in links:
            gap = " " * max(2, 14 - wcswidth(name))  # Korean letters are two columns wide
            self.stdout.write(f"  {name}{gap}{settings.SITE_URL}{path}  {note}".rstrip())
        self.stdout.write("\n" + _("Ctrl-C stops it. Your data stays in %(folder)s.") % {"folder": settings.DATA_DIR})
        self.stdout.flush()


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Keeps the log's lines out of the greeting; warnings still come through."""
    logger = logging.getLogger("newsletter")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


def migrate() -> None:
    """Brings the database up to date; quick when it is."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", verbosity=0, interactive=False)


def _default_port() -> int:
    """WEB_PORT; else the port of a SITE_URL on this machine, since links point there; else 8000."""
    site = urlsplit(settings.SITE_URL)
    return int(os.environ.get("WEB_PORT") or (settings.SITE_IS_LOCAL and site.port) or 8000)
