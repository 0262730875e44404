"""`manage.py demo FOLDER`: the whole job without a person, on throw-away data, judged at the receiving end."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from newsletter.content.front_matter import ContentError
from newsletter.delivery.lifecycle import NotAllowed
from newsletter.demo.crowd import Crowd
from newsletter.demo.ground import NoGroundError, borrow_database, borrow_redis
from newsletter.demo.inbox import Inbox, InboxServer
from newsletter.demo.readers import smtp_delay
from newsletter.demo.rehearsal import Rehearsal, StuckError, make_audience
from newsletter.demo.report import Report
from newsletter.demo.sample import find_posts
from newsletter.demo.system import ROOT, System, SystemFailedError, find_free_port, make_environment
from newsletter.demo.views import INBOX_FILE
from newsletter.rendering.errors import RenderError

SITE_URL = "https://news.example.org"  # mails must say https; the readers know where it really is
INSIDE = "SOSIK_DEMO_WEB_PORT"  # set in the second process, which lives on the throw-away data
SMTP_PORT = "SOSIK_DEMO_SMTP_PORT"


class Command(BaseCommand):
    """Starts itself again on throw-away data, so that no setting of this process can reach real data."""

    help = "Sends every post in a folder to simulated readers and checks every account; ends 0 only if all is right."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("posts", type=Path, help="folder with .md, .markdown or .txt files")
        parser.add_argument("--subscribers", type=int, default=200)
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there, too")
        parser.add_argument("--kills", type=int, default=0, help="SIGKILL the sending process so often in mid-issue")
        parser.add_argument("--seed", type=int, default=1, help="the same seed, the same readers, reactions and kills")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["subscribers"] < 1 or options["kills"] < 0:
            raise CommandError("--subscribers must be 1 or more, --kills 0 or more.")
        try:
            posts = find_posts(options["posts"])
        except FileNotFoundError as error:
            raise CommandError(str(error)) from None
        signal.signal(signal.SIGTERM, _leave)
        try:
            if INSIDE in os.environ:
                self.rehearse(posts, options)
            else:
                sys.exit(self.start_inside())
        except (ContentError, NotAllowed, NoGroundError, RenderError, StuckError, SystemFailedError) as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            raise CommandError("Interrupted; nothing is left behind.") from None

    def start_inside(self) -> int:
        """Runs this very command on throw-away data and gives its exit code."""
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sosik-demo-"))
            database_url, redis_url = os.environ.get("DATABASE_URL", ""), os.environ.get("REDIS_URL", "")
            if bool(redis_url) and bool(database_url):
                database_url = stack.enter_context(borrow_database(database_url))
                redis_url = stack.enter_context(borrow_redis(redis_url))
            elif redis_url or database_url:
                raise CommandError("Set both DATABASE_URL and REDIS_URL for a demo on services, or neither.")
            smtp_port = find_free_port()
            environment = make_environment(
                os.environ,
                folder=Path(folder),
                site_url=SITE_URL,
                smtp_port=smtp_port,
                database_url=database_url,
                redis_url=redis_url,
            ) | {INSIDE: str(find_free_port()), SMTP_PORT: str(smtp_port)}
            inside = subprocess.Popen([sys.executable, str(ROOT / "manage.py"), *sys.argv[1:]], env=environment)  # noqa: S603
            try:
                return inside.wait()
            except (KeyboardInterrupt, SystemExit):
                inside.terminate()  # Ctrl-C has reached it already; SIGTERM has not
                inside.wait(30)
                raise

    def rehearse(self, posts: list[Path], options: dict[str, Any]) -> None:
        """The second process: data, inbox, readers, Sosik; the table; SystemExit(1) when anything is wrong."""
        seed: int = options["seed"]
        web_port = int(os.environ[INSIDE])
        logging.getLogger("newsletter").setLevel(logging.WARNING)  # Sosik's own processes log to files
        self.say("Laying out throw-away data.")
        call_command("migrate", verbosity=0, interactive=False)
        mailing_list, readers = make_audience(options["subscribers"], seed)
        system = System(
            {name: value for name, value in os.environ.items() if name not in (INSIDE, SMTP_PORT)}, web_port
        )
        processes = "web, default, issues, beat" if system.is_separate else "one embedded"
        report = Report(subscribers=len(readers), seed=seed, processes=processes)
        with ExitStack() as stack:
            inbox = Inbox(settings.DATA_DIR / INBOX_FILE)
            crowd = Crowd(
                inbox,
                site_url=settings.SITE_URL,
                web_port=web_port,
                signing_key=os.environ["ANYMAIL_MAILGUN_WEBHOOK_SIGNING_KEY"],
                seed=seed,
                # A kill of the embedded web server tears a burst apart, and then nobody could tell it from a person's clicks.
                camouflage=not options["kills"],
            )
            stack.callback(crowd.stop)
            server = InboxServer(inbox, int(os.environ[SMTP_PORT]), on_mail=crowd.note_mail, delay=smtp_delay)
            server.start()
            stack.callback(server.stop)
            stack.enter_context(system)
            rehearsal = Rehearsal(system, inbox, crowd, mailing_list, readers, seed, self.say)
            try:
                rehearsal.rehearse(posts, options["kills"], report)
            except (StuckError, SystemFailedError) as error:
                report.mistakes += [str(error), *self.last_words(system)]
        self.stdout.write("\n" + report.write_table())
        if options["json"]:
            options["json"].write_text(report.write_json(), encoding="utf-8")
        if not report.is_right:
            sys.exit(1)

    def last_words(self, system: System) -> list[str]:
        """The end of each process' log."""
        return [f"Log of {name}:\n{system.read_log(name)}" for name in system.commands()]

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _leave(number: int, frame: FrameType | None) -> None:
    """SIGTERM runs every clean-up, as Ctrl-C does."""
    del frame
    sys.exit(128 + number)
