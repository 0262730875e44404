"""Lets the simulated readers react: a few threads carry out each reader's plan, step by step, when its time has come."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import time
from dataclasses import dataclass
from typing import assert_never

from newsletter.demo.door import Door
from newsletter.demo.inbox import Inbox, KeptMail
from newsletter.demo.ledger import Books, issue_number
from newsletter.demo.readers import Fetch, Leave, Plan, Step, Tell, plan_reaction
from newsletter.demo.reading import Handles, find_handles
from newsletter.demo.webhooks import PATH, write_event

THREADS = 4
ONE_CLICK_BODY = b"List-Unsubscribe=One-Click"  # RFC 8058, section 3.2
ONE_CLICK_HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}
_MACHINE_PAGES = {"open": "machine_opened", "click": "machine_clicked"}
_HUMAN_PAGES = {"open": "opened", "click": "clicked"}


@dataclass(slots=True)
class _Reaction:
    """One reader with one mail, in the middle of a plan."""

    mail: KeptMail
    issue: str
    plan: Plan
    step: Step


class Crowd:
    """Readers, provider and their books, calling the web server on `web_port` under the name of `site_url`.

    note_mail() is what the inbox calls for each mail; it takes microseconds. Reactions depend on `seed`, the address and the issue only.
    """

    def __init__(
        self, inbox: Inbox, *, site_url: str, web_port: int, signing_key: str, seed: int, camouflage: bool
    ) -> None:
        self.books = Books()
        self._inbox = inbox
        self._site_url, self._web_port = site_url, web_port
        self._signing_key = signing_key
        self._seed = seed
        self._camouflage = camouflage
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, _Reaction]] = []
        self._numbers = itertools.count()
        self._unfinished = 0  # reactions that have not come to their end, waiting or under way
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"readers-{number}", daemon=True) for number in range(THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def note_mail(self, mail: KeptMail, raw: bytes) -> None:
        """Enters an accepted mail; its reader reacts to the first one, a duplicate is only counted."""
        del raw
        issue = issue_number(mail.feedback_id)
        is_new = not self.books.of(issue).received[mail.recipient]
        self.books.enter_mail(issue, mail.recipient, mail_id=mail.id, message_id=mail.message_id, at=time.monotonic())
        if issue and is_new:
            rng = random.Random(f"{self._seed}:{issue}:{mail.recipient}")  # noqa: S311  (a rehearsal must repeat itself)
            plan = plan_reaction(mail.recipient, lambda: self._read(mail.id), rng, camouflage=self._camouflage)
            with self._changed:
                self._unfinished += 1
                self._due_now(_Reaction(mail, issue, plan, next(plan)[1]))

    def wait_until_idle(self, seconds: float) -> bool:
        """Waits until every reader has finished; says whether they did in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._unfinished == 0, timeout=seconds)

    def count_unfinished(self) -> int:
        """How many readers are still at it."""
        with self._changed:
            return self._unfinished

    def stop(self) -> None:
        """Sends everybody home; safe to call twice."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        deadline = time.monotonic() + 1.0
        for thread in self._threads:  # one that waits for a web server which has gone is a daemon, and is left behind
            thread.join(timeout=max(0.0, deadline - time.monotonic()))

    def _due_now(self, reaction: _Reaction) -> None:
        heapq.heappush(self._due, (time.monotonic(), next(self._numbers), reaction))
        self._changed.notify()

    def _go_on(self, mail: KeptMail, issue: str, plan: Plan) -> _Reaction | None:
        """Puts the reader's next step on the clock, or crosses the reader off; a step that is due at once is given back."""
        try:
            following = next(plan, None)
        except Exception as error:  # a mail nobody can read must be seen in the report, not end a thread
            self.books.enter_trouble(f"{type(error).__name__}: {error}")
            following = None
        with self._changed:
            if following is None:
                self._unfinished -= 1
                self._changed.notify_all()
                return None
            delay, step = following
            reaction = _Reaction(mail, issue, plan, step)
            if not delay:
                return reaction  # a scanner's haste must not end at the back of a queue of thousands
            heapq.heappush(self._due, (time.monotonic() + delay, next(self._numbers), reaction))
            self._changed.notify()
            return None

    def _take(self) -> _Reaction | None:
        """The next step whose time has come; None when everybody is sent home."""
        with self._changed:
            while not self._stopping:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(wait)
            return None

    def _work(self) -> None:
        door = Door(self._site_url, self._web_port)
        while (reaction := self._take()) is not None:
            while reaction is not None:
                try:
                    self._carry_out(door, reaction)
                except OSError as error:
                    self.books.enter_trouble(str(error))
                reaction = self._go_on(reaction.mail, reaction.issue, reaction.plan)
        door.close()

    def _carry_out(self, door: Door, reaction: _Reaction) -> None:
        """One step over HTTP; entered in the books when the answer is what it should be."""
        mail, step = reaction.mail, reaction.step
        match step:
            case Tell():
                body = write_event(
                    step.event, signing_key=self._signing_key, message_id=mail.message_id, recipient=mail.recipient
                )
                status = door.request("POST", PATH, body=body, headers={"Content-Type": "application/json"}).status
                self._enter(reaction, step.event, good=status == 200, what=f"webhook {step.event}: {status}")
            case Fetch():
                path = door.path_of(step.address)
                if path is None:
                    return  # somebody else's site, or nothing where the mail has no pixel
                status = door.request(step.method, path, headers={"User-Agent": step.agent}).status
                if step.what == "look":
                    self._enter(reaction, "", good=status < 400, what=f"{step.method} of a link: {status}")
                    return
                page = (_MACHINE_PAGES if step.is_machine else _HUMAN_PAGES)[step.what]
                good = status == {"open": 200, "click": 302}[step.what]
                self._enter(reaction, page, good=good, what=f"{step.what}: {status}")
            case Leave():
                path = door.path_of(step.address) or "/no-one-click-address"
                status = door.request("POST", path, body=ONE_CLICK_BODY, headers=ONE_CLICK_HEADERS).status
                self._enter(reaction, "unsubscribed", good=status == 200, what=f"one-click unsubscribe: {status}")
            case _:
                assert_never(step)

    def _enter(self, reaction: _Reaction, page: str, *, good: bool, what: str) -> None:
        if not good:
            self.books.enter_trouble(what)
        elif page:
            self.books.enter(reaction.issue, page, reaction.mail.recipient)

    def _read(self, mail_id: int) -> Handles:
        found = self._inbox.read_mail(mail_id)
        assert found is not None, "the inbox keeps what it has accepted"
        return find_handles(found[1])
