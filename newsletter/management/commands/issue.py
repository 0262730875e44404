"""`manage.py issue`: look at an issue and move it from a terminal."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from kombu.exceptions import OperationalError

from newsletter import tasks
from newsletter.delivery import lifecycle, staging
from newsletter.delivery.transactional import send_test
from newsletter.management import deciding, listing, scheduling
from newsletter.management.standing import as_json, as_text, read_standing
from newsletter.models import Issue
from newsletter.rendering.errors import RenderError
from newsletter.tracking.recipients import explain, who_is_missing
from newsletter.tracking.words import show_time
from subscribers.addresses import AddressError


class Command(BaseCommand):
    """One word says what is done; `manage.py issue WORD --help` explains each."""

    help = "Looks at issues and moves them."

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
        for name in ("why", "who"):  # who: its name until the first release
            why = add(name, "Whether one person got it, or why not, and what came back.", self.show_why)
            why.add_argument("address", metavar="ADDRESS")
            why.add_argument("--json", action="store_true", help="for machines")
        missing = add("missing", "Everyone who did not get it, each with the reason.", self.show_missing)
        missing.add_argument("--json", action="store_true", help="an array, one person a line")
        test = add("test", "Sends it to one address as a test; nothing is recorded.", self.send_test)
        test.add_argument("address", metavar="ADDRESS")
        schedule = add("schedule", "Closes its text and sets its time.", self.schedule)
        schedule.add_argument("time", metavar="TIME", help='"2026-11-24 09:00", with a zone behind it or in --zone')
        schedule.add_argument("--zone", default="", help="Asia/Seoul or +09:00")
        schedule.add_argument("--local", action="store_true", help="at this time of each reader's own clock")
        schedule.add_argument("--preview", action="store_true", help="tells who would get it when; schedules nothing")
        add("send", "Closes its text and starts it now, after the time in which it can be undone.", self.send)
        add("undo", "Takes a start or a schedule back, before the first mail.", self.undo)
        for name, what, act in (
            ("pause", "Stops it within seconds; nothing is lost.", self.pause),
            ("cancel", "Ends it: who has not got it never will.", self.cancel),
        ):
            add(name, what, act).add_argument("--reason", default="", help="shown wherever the issue is")
        add("resume", "Lets a paused one go on.", self.resume)
        retry = add("retry", "Sends again to those whose delivery failed, and to nobody else.", self.retry)
        retry.add_argument("--rejected", action="store_true", help="also to those whom a server refused")
        for name, what, act in (
            ("accept", "Calls uncertain deliveries submitted, by your decision; no mail leaves.", self.accept),
            ("resend", "Sends again to people of whom it is uncertain; some may get it twice.", self.resend),
        ):
            word = add(name, what, act)
            word.add_argument("address", metavar="ADDRESS", nargs="*", help="whom, as `issue status` lists them")
            word.add_argument("--all", action="store_true", help="everyone of whom it is uncertain")
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

    def show_why(self, options: dict[str, Any]) -> None:
        """One person's delivery."""
        answer = explain(_find_issue(options["slug"]), options["address"])
        if options["json"]:
            self.stdout.write(json.dumps(asdict(answer), ensure_ascii=False, indent=2))
        else:
            self.stdout.write("\n".join(answer.sentences))

    def show_missing(self, options: dict[str, Any]) -> None:
        """A line a person; a million of them never stand in memory."""
        people = who_is_missing(_find_issue(options["slug"]))
        write = listing.write_json if options["json"] else listing.write_lines
        write(people, self.stdout.write)

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
        """Takes "TIME ZONE", or TIME and --zone, or TIME --local."""
        scheduling.schedule(
            _find_issue(options["slug"]),
            options["time"],
            zone=options["zone"],
            is_local=options["local"],
            is_preview=options["preview"],
            say=self.stdout.write,
        )

    def send(self, options: dict[str, Any]) -> None:
        """Starts with the next tick, or sooner."""
        lifecycle.start_issue_now(_find_issue(options["slug"]).pk)
        self._ring()
        seconds = settings.UNDO_SECONDS
        if seconds:
            undo = ngettext(
                "It starts in %(seconds)d second. Until then: manage.py issue undo %(slug)s",
                "It starts in %(seconds)d seconds. Until then: manage.py issue undo %(slug)s",
                seconds,
            )
            self.stdout.write(undo % {"seconds": seconds, "slug": options["slug"]})
        else:
            self.stdout.write(_("It starts within seconds. Watch it: manage.py issue status %(slug)s") % options)

    def undo(self, options: dict[str, Any]) -> None:
        """Back to draft, with nothing sent; too late is said."""
        lifecycle.undo_issue(_find_issue(options["slug"]).pk)
        self.stdout.write(_("Undone. Nobody has got anything, and it is a draft again."))

    def pause(self, options: dict[str, Any]) -> None:
        """At the next checkpoint of each batch."""
        lifecycle.pause_issue(_find_issue(options["slug"]).pk, options["reason"])
        self.stdout.write(_("Paused. A few mails on the wire at this moment still leave."))

    def resume(self, options: dict[str, Any]) -> None:
        """Where it stopped."""
        lifecycle.resume_issue(_find_issue(options["slug"]).pk)
        self._ring()
        self.stdout.write(_("It goes on."))

    def retry(self, options: dict[str, Any]) -> None:
        """To the failed."""
        self.stdout.write(deciding.retry(_find_issue(options["slug"]), with_rejected=options["rejected"]))
        self._ring()

    def accept(self, options: dict[str, Any]) -> None:
        """The uncertain are submitted."""
        self.stdout.write(deciding.accept(_find_issue(options["slug"]), options["address"], everybody=options["all"]))

    def resend(self, options: dict[str, Any]) -> None:
        """To the uncertain."""
        self.stdout.write(deciding.resend(_find_issue(options["slug"]), options["address"], everybody=options["all"]))
        self._ring()

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
