"""A world for one journey: Sosik's processes, the inbox they send to, and the door the world knocks at."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from email.policy import compat32
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from newsletter.demo.door import Answer, Door
from newsletter.demo.inbox import Inbox, InboxServer, KeptMail
from newsletter.demo.reading import ReadMail, read_message
from newsletter.demo.system import System, find_free_port, make_environment
from newsletter.demo.webhooks import PATH, Event, write_event
from tests.journeys.services import Services

SITE_URL = "https://news.example.org"
PATIENCE_SECONDS = 90.0  # for anything to happen, on a machine that does other things too
PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"


class World:
    """What a journey may touch, and nothing else: commands, HTTP, and the mails that arrived."""

    def __init__(self, system: System, inbox: Inbox) -> None:
        self.system = system
        self.inbox = inbox
        self.door = Door(SITE_URL, system.web_port)
        self.received: Counter[tuple[str, str]] = Counter()  # (recipient, list of the issue); confirmations have none
        self._arrived = threading.Condition()

    def note_mail(self, mail: KeptMail, raw: bytes) -> None:
        """The inbox calls this for every mail it accepts."""
        del raw
        with self._arrived:
            list_slug = mail.feedback_id.split(":")[1] if mail.feedback_id else ""
            self.received[mail.recipient, list_slug] += 1
            self._arrived.notify_all()

    # --- commands -----------------------------------------------------------------------------------------------------

    def run(self, *arguments: str) -> str:
        """What a management command prints."""
        return self.system.run_command(*arguments)

    def publish(self, post: Path, list_slug: str) -> str:
        """Publishes a post on a list, which is made if it is missing; gives the issue's slug."""
        said = self.run("publish", str(post), "--list", list_slug, "--create-list", "아침 소식")
        found = re.search(r": created (\S+)", said)
        assert found, said
        return found[1]

    def report(self, slug: str) -> dict[str, Any]:
        """`issue status --json`."""
        standing: dict[str, Any] = json.loads(self.run("issue", "status", slug, "--json"))
        return standing

    def wait_for_report(self, slug: str, is_there: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first report that satisfies `is_there`; each look takes about a second."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            self.system.check()
            report = self.report(slug)
            if is_there(report):
                return report
            assert time.monotonic() < deadline, f"{report}\n{self.tell_logs()}"

    # --- mail ---------------------------------------------------------------------------------------------------------

    def wait_for_mails(self, is_there: Callable[[Counter[tuple[str, str]]], bool]) -> None:
        """Returns once what has arrived satisfies `is_there`."""
        with self._arrived:
            came = self._arrived.wait_for(lambda: is_there(self.received), timeout=PATIENCE_SECONDS)
        assert came, f"arrived so far: {self.received}\n{self.tell_logs()}"

    def mails_to(self, address: str) -> list[Mail]:
        """The mails of one person, oldest first."""
        kept = self.inbox.list_mails(search=address)[::-1]
        return [Mail(mail, (self.inbox.read_mail(mail.id) or (mail, b""))[1]) for mail in kept]

    # --- HTTP ---------------------------------------------------------------------------------------------------------

    def get(self, address: str, *, agent: str = PERSON) -> Answer:
        """A GET of an address as it stands in a mail; nothing is followed."""
        path = self.door.path_of(address)
        assert path is not None, address
        return self.door.request("GET", path, headers={"User-Agent": agent})

    def post(self, address: str, fields: Mapping[str, str]) -> Answer:
        """A form sent from a page of this site."""
        path = self.door.path_of(address)
        assert path is not None, address
        headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": PERSON, "Origin": SITE_URL}
        return self.door.request("POST", path, body=urlencode(fields).encode(), headers=headers)

    def tell(self, event: Event, mail: Mail) -> None:
        """A signed webhook about a mail."""
        key = self.system.environment["ANYMAIL_MAILGUN_WEBHOOK_SIGNING_KEY"]
        body = write_event(event, signing_key=key, message_id=mail.kept.message_id, recipient=mail.kept.recipient)
        answer = self.door.request("POST", PATH, body=body, headers={"Content-Type": "application/json"})
        assert answer.status == 200, answer

    def ask_to_subscribe(self, list_slug: str, *addresses: str) -> None:
        """Fills in the sign-up form for each address and waits for the confirmation mails."""
        form_page = f"{SITE_URL}/subscribe/{list_slug}/"
        page = self.get(form_page).body.decode()
        found = re.search(r'name="started"[^>]*value="([^"]+)"', page)
        assert found, page
        threading.Event().wait(1.1)  # a form sent within a second is a robot's
        for address in addresses:
            form = {"email": address, "website": "", "started": found[1]}
            assert self.post(form_page, form).status == 303
        self.wait_for_mails(lambda received: all(received[address, ""] for address in addresses))

    def confirm(self, *addresses: str) -> None:
        """Presses the button behind the link of each confirmation mail."""
        for address in addresses:
            link = self.mails_to(address)[-1].find(rf"{SITE_URL}/confirm/[^/\s\"]+/")
            assert self.get(link).status == 200  # looking confirms nothing
            assert self.post(link, {}).status == 200

    def tell_logs(self) -> str:
        """The ends of all logs, for a failure's message."""
        return "\n".join(f"--- {name}\n{self.system.read_log(name)}" for name in self.system.commands())


class Mail:
    """One mail as received, read by the standard library."""

    def __init__(self, kept: KeptMail, raw: bytes) -> None:
        self.kept = kept
        self.raw = raw
        self.message: Message = message_from_bytes(raw, policy=compat32)
        self.read: ReadMail = read_message(raw)

    def find(self, pattern: str) -> str:
        """The first match in the text part, or else in the HTML part."""
        found = re.search(pattern, self.read.text) or re.search(pattern, self.read.html)
        assert found, self.read.text
        return found[0]


@contextmanager
def open_world(folder: Path, base: Mapping[str, str], services: Services | None) -> Iterator[World]:
    """A world with a migrated, empty database, its processes running."""
    inbox = Inbox(folder / "received.sqlite3")
    worlds: list[World] = []
    server = InboxServer(inbox, 0, on_mail=lambda mail, raw: worlds[0].note_mail(mail, raw))
    server.start()
    environment = make_environment(
        base,
        folder=folder,
        site_url=SITE_URL,
        smtp_port=server.port,
        database_url=services.database_url if services else "",
        redis_url=services.redis_url if services else "",
    )
    environment["LEASE_SECONDS"] = "3"  # a killed worker's batch is taken back after so long, and the test waits for it
    system = System(environment, find_free_port())
    worlds.append(World(system, inbox))
    try:
        system.run_command("migrate", "--verbosity", "0")
        with system:
            yield worlds[0]
    finally:
        worlds[0].door.close()
        server.stop()
