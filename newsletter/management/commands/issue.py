"""`manage.py issue`: look at an issue and move it from a terminal."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError

from newsletter import tasks
from newsletter.content.send_time import SendTimeError, read_send_time
from newsletter.delivery import lifecycle, staging
from newsletter.delivery.transactional import send_test
from newsletter.management.recipient import tell_who
from newsletter.management.standing import as_json, as_text, read_standing, show_time
from newsletter.models import Issue
from newsletter.rendering.errors import RenderError
from subscribers.addresses import AddressError


class Command(BaseCommand):
    """One word says what is done; `manage.py issue WORD --help` explains each."""

    help = "Looks at issues and moves them: list, status, who, test, schedule, send, pause, resume, cancel, unschedule, stages, release."

    def add_arguments(self, parser: CommandParser) -> None:
        words = parser.add_subparsers(dest="word", required=True, metavar="WORD")

        def add(name: str, what: str, act: Callable[[dict[str, Any]], None], *, slug: bool = True) -> CommandParser:
            word: CommandParser = words.add_parser(name, help=what, description=what)
            if slug:
                word.add_argument("slug", metavar="SLUG", help="the issue's name, as `issue list` shows it")
            word.set_defaults(act=act)
            return word

        add("list", "The newest issues and their states.", self.list_issues, slug=False).add_argument(
            "--limit", type=int, default=20, help="how many (20)"
        )
        status = add("status", "Its accounts, and why it does not move.", self.show_status)
        status.add_argument("--json", action="store_true", help="for machines")
        who = add("who", "Whether one person got it, or why not.", self.show_who)
        who.add_argument("address", metavar="ADDRESS")
        test = add("test", "Sends it to one address as a test; nothing is recorded.", self.send_test)
        test.add_argument("address", metavar="ADDRESS")
        schedule = add("schedule", "Closes its text and sets its time.", self.schedule)
        schedule.add_argument("time", metavar="TIME", help='"2026-11-24 09:00", with a zone behind it or in --zone')
        schedule.add_argument("--zone", default="", help="Asia/Seoul or +09:00")
        add("send", "Closes its text and starts it now.", self.send)
        for name, what, act in (
            ("pause", "Stops it within seconds; nothing is lost.", self.pause),
            ("cancel", "Ends it: who has not got it never will.", self.cancel),
        ):
            add(name, what, act).add_argument("--reason", default="", help="shown wherever the issue is")
        add("resume", "Lets a paused one go on.", self.resume)
        add("release", "Lets the next stage of a staged one go now.", self.release).add_argument(
            "--all", action="store_true", help="all of the rest, without further waits"
        )
        add("stages", "Whether it goes in stages: a sample first.", self.set_stages).add_argument(
            "switch", choices=["on", "off"]
        )
        add("unschedule", "Makes it a draft again, if nobody has got it yet.", self.unschedule)

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            options["act"](options)
        except (lifecycle.NotAllowed, RenderError) as error:
            raise CommandError(f"{error.what} {error.advice}") from error
        except AddressError as error:
            raise CommandError(
                _("“%(address)s” is not an email address. Write one like reader@example.org.") % options
            ) from error

    # --- looking ------------------------------------------------------------------------------------------------------

    def list_issues(self, options: dict[str, Any]) -> None:
        """The newest first, one a line."""
        rows = Issue.objects.select_related("mailing_list").defer("body_markdown", "html", "text", "web_html")
        issues = list(rows.order_by("-pk")[: options["limit"]])
        if not issues:
            self.stdout.write(_("There is no issue yet. Publish one: manage.py publish post.md"))
        for issue in issues:
            at = issue.finished_at or issue.sending_at or issue.scheduled_at
            self.stdout.write(f"{issue.status:<10} {show_time(at, issue):<32} {issue.slug}")

    def show_status(self, options: dict[str, Any]) -> None:
        """The balance sheet, its reasons, what is uncertain, what waits."""
        standing = read_standing(_find_issue(options["slug"]))
        if options["json"]:
            self.stdout.write(json.dumps(as_json(standing), ensure_ascii=False, indent=2))
        else:
            self.stdout.write(as_text(standing))

    def show_who(self, options: dict[str, Any]) -> None:
        """One person's delivery."""
        for line in tell_who(_find_issue(options["slug"]), options["address"]):
            self.stdout.write(line)

    # --- moving -------------------------------------------------------------------------------------------------------

    def send_test(self, options: dict[str, Any]) -> None:
        """At once and from here: what goes wrong is seen here."""
        issue = _find_issue(options["slug"])
        try:
            send_test(issue.pk, options["address"])
        except (OSError, smtplib.SMTPException) as error:
            raise CommandError(
                _("The mail server did not take the test: %(error)s. See `manage.py doctor`.") % {"error": error}
            ) from error
        self.stdout.write(_("A test went to %(address)s.") % options)

    def schedule(self, options: dict[str, Any]) -> None:
        """Takes "TIME ZONE", or TIME and --zone; raises CommandError for a time that has passed or does not exist."""
        issue = _find_issue(options["slug"])
        try:
            at, zone = read_send_time(options["time"], options["zone"])
        except SendTimeError as error:
            advice = _('Write it like "2026-11-24 09:00" --zone Asia/Seoul.')
            raise CommandError(f"{error.what % {'key': options['time']}} {advice}") from error
        if at <= timezone.now():
            raise CommandError(
                _("%(time)s has passed. Choose a later time, or: manage.py issue send %(slug)s") % options
            )
        lifecycle.schedule_issue(issue.pk, at, zone)
        issue.refresh_from_db()
        self.stdout.write(_("Scheduled for %(time)s.") % {"time": show_time(issue.scheduled_at, issue)})

    def send(self, options: dict[str, Any]) -> None:
        """Starts with the next tick, or sooner."""
        lifecycle.start_issue_now(_find_issue(options["slug"]).pk)
        self._ring()
        self.stdout.write(_("It starts within seconds. Watch it: manage.py issue status %(slug)s") % options)

    def pause(self, options: dict[str, Any]) -> None:
        """At the next checkpoint of each batch."""
        lifecycle.pause_issue(_find_issue(options["slug"]).pk, options["reason"])
        self.stdout.write(_("Paused. A few mails on the wire at this moment still leave."))

    def resume(self, options: dict[str, Any]) -> None:
        """Where it stopped."""
        lifecycle.resume_issue(_find_issue(options["slug"]).pk)
        self._ring()
        self.stdout.write(_("It goes on."))

    def release(self, options: dict[str, Any]) -> None:
        """The next stage, or everybody."""
        count = staging.release_stage(_find_issue(options["slug"]).pk, everything=options["all"])
        self._ring()
        self.stdout.write(_("Released: %(count)d recipients more may go.") % {"count": count})

    def set_stages(self, options: dict[str, Any]) -> None:
        """Before its audience is frozen."""
        staging.set_stages(_find_issue(options["slug"]).pk, on=options["switch"] == "on")
        self.stdout.write(
            _("It goes in stages: %(stages)s, then the rest.") % {"stages": staging.say_stages()}
            if options["switch"] == "on"
            else _("It goes to everybody at once.")
        )

    def cancel(self, options: dict[str, Any]) -> None:
        """For good, once anybody has got it."""
        lifecycle.cancel_issue(_find_issue(options["slug"]).pk, options["reason"])
        self.stdout.write(_("Cancelled. Who has got it keeps it; nobody else will get it."))

    def unschedule(self, options: dict[str, Any]) -> None:
        """Back to draft."""
        lifecycle.unschedule_issue(_find_issue(options["slug"]).pk)
        self.stdout.write(_("It is a draft again."))

    def _ring(self) -> None:
        """Saves the clock's few seconds; the embedded default has its own clock in another process."""
        if not settings.REDIS_URL:
            return
        try:
            tasks.start_due_issues.delay()
            tasks.ring_batches.delay()
        except OperationalError:
            self.stderr.write(
                _("The queue cannot be reached; the clock will ring once it can. See `manage.py doctor`.")
            )


def _find_issue(slug: str) -> Issue:
    issue = Issue.objects.select_related("mailing_list").filter(slug=slug).first()
    if issue is not None:
        return issue
    alike = Issue.objects.filter(slug__icontains=Path(slug).stem).order_by("-pk").values_list("slug", flat=True)[:3]
    advice = (
        _("Did you mean %(slugs)s?") % {"slugs": ", ".join(alike)}
        if alike
        else _("`manage.py issue list` shows them all.")
    )
    raise CommandError(_("There is no issue “%(slug)s”.") % {"slug": slug} + " " + advice)
