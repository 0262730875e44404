"""A page with frames in which many documents are opened, poked, and watched for whatever runs, is fetched or leads elsewhere.

A frame that is navigated costs 50 ms of two processors, one that is written into 7: so a document's body is written into a frame that
has the document's policy (from the page around it) and its sandbox; every twentieth is opened from its own address as well, with the
very headers that the server sent.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

from django.contrib.staticfiles import finders
from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Error, Page, Request, Route

from tests.browser.poking import POKE, RECORDER, WRITE
from tests.browser.vectors.judging import SITE

BATCH = 40  # frames in one page
SAMPLE = 20
Answer = Callable[[Request], tuple[int, Mapping[str, str], bytes] | None]
# Said by the browser's console: a policy or a sandbox had to stop something which should not have been there.
_STOPPED = re.compile(r"Content Security Policy|Blocked script execution|Refused to|Unsafe attempt|sandboxed", re.I)
_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


@dataclass(frozen=True, slots=True)
class Document:
    """One page as a server sends it; `name` is what a failure calls it."""

    name: str
    body: str
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "text/html; charset=utf-8"})

    @property
    def policy(self) -> str:
        """Its Content-Security-Policy but for the sandbox, which frames have as an attribute."""
        return "; ".join(part for part in self._directives if not part.startswith("sandbox"))

    @property
    def sandbox(self) -> str | None:
        """What its policy's sandbox allows; None when it has none."""
        return next((part.removeprefix("sandbox").strip() for part in self._directives if "sandbox" in part), None)

    @property
    def _directives(self) -> list[str]:
        return [part.strip() for part in self.headers.get("Content-Security-Policy", "").split(";") if part.strip()]


class Stand:
    """Opens documents by the batch; `answer` speaks for the server where a document asks it for more."""

    def __init__(self, context: BrowserContext, answer: Answer) -> None:
        self.seen: defaultdict[str, list[str]] = defaultdict(list)
        self._answer = answer
        self._documents: Sequence[Document] = ()
        self._is_written = False
        context.add_init_script(RECORDER)
        context.route("**/*", self._serve)
        self.page = context.new_page()
        self.page.on("console", self._hear)
        self.page.on("dialog", self._close)
        context.on("page", self._refuse_window)

    def judge(self, documents: Sequence[Document]) -> dict[str, list[str]]:
        """Writes and pokes each, opens some; says what happened, by name, for those where anything did."""
        kind = lambda document: (document.policy, document.sandbox or "")  # noqa: E731
        for _kind, alike in groupby(sorted(documents, key=kind), kind):
            same = list(alike)
            for start in range(0, len(same), BATCH):
                self._judge_batch(same[start : start + BATCH], written=True)
        sample = documents[::SAMPLE]
        for start in range(0, len(sample), BATCH):
            self._judge_batch(sample[start : start + BATCH], written=False)
        return {name: sorted(set(what)) for name, what in self.seen.items()}

    def _judge_batch(self, documents: Sequence[Document], *, written: bool) -> None:
        is_same_stand = written and self._is_written and self._stand_kind() == self._stand_kind(documents[0])
        self._documents, self._is_written = documents, written
        try:
            if not is_same_stand:
                self.page.goto(f"{SITE}/stand/")
            if written:
                bodies = [document.body for document in documents]
                self.page.evaluate(WRITE, {"bodies": bodies, "sandbox": documents[0].sandbox})
            for name, what in self.page.evaluate(POKE):
                self._note(name, what)
        except (Error, TypeError):  # one of them has led the whole page away: which?
            self._is_written = False
            if len(documents) == 1:
                self._note("doc-0", "went elsewhere with the whole page")
                return
            for document in documents:
                self._judge_batch([document], written=written)

    def _stand_kind(self, document: Document | None = None) -> tuple[str, str | None]:
        document = document or self._documents[0]
        return document.policy, document.sandbox

    def _note(self, frame: str, what: str) -> None:
        number = frame.removeprefix("doc-")
        if number.isdecimal() and int(number) < len(self._documents):
            self.seen[self._documents[int(number)].name].append(what)
        elif len(self._documents) > 1:
            self.seen[f"one from {self._documents[0].name} to {self._documents[-1].name}"].append(what)
        else:
            self.seen[self._documents[0].name if self._documents else "the page"].append(what)

    def _serve(self, route: Route) -> None:
        request = route.request
        url = request.url.partition("#")[0]
        if url == f"{SITE}/stand/":
            route.fulfill(body=self._stand_page(), headers=self._stand_headers())
        elif match := re.fullmatch(rf"{re.escape(SITE)}/doc/(\d+)/", url):
            document = self._documents[int(match[1])]
            route.fulfill(body=document.body.encode(), headers=dict(document.headers))
        elif url.startswith(f"{SITE}/static/"):
            found = finders.find(url.removeprefix(f"{SITE}/static/"))
            route.fulfill(path=str(found)) if found else route.fulfill(status=404)
        elif request.resource_type == "image" and urlsplit(url).hostname != "evil.test":  # a mail may show pictures
            route.fulfill(body=_PIXEL, content_type="image/png") if "image.test" in url else route.fulfill(status=404)
        elif answer := self._answer(request):
            status, headers, body = answer
            route.fulfill(status=status, headers=dict(headers), body=body)
        else:
            self._note(_frame_name(request), f"asked for {url[:100]} as {request.resource_type}")
            route.abort()

    def _stand_page(self) -> str:
        if self._is_written:
            return "<!DOCTYPE html><title>Stand</title><body>"
        frames = "".join(
            f'<iframe name="doc-{number}" src="/doc/{number}/"></iframe>' for number in range(len(self._documents))
        )
        return f"<!DOCTYPE html><title>Stand</title>{frames}"

    def _stand_headers(self) -> dict[str, str]:
        headers = {"Content-Type": "text/html; charset=utf-8"}
        if self._is_written and self._documents[0].policy:
            headers["Content-Security-Policy"] = self._documents[0].policy
        return headers

    def _hear(self, message: ConsoleMessage) -> None:
        if _STOPPED.search(message.text):
            match = re.search(r"/doc/(\d+)/", message.location.get("url", "") + message.text)
            self._note(match[1] if match else "", f"stopped: {message.text[:200]}")

    def _close(self, dialog: Dialog) -> None:
        if dialog.type != "beforeunload":  # the desk asks that itself of an editor with unsaved words
            self._note("", f"ran a dialog: {dialog.message}")
        dialog.accept()

    def _refuse_window(self, page: Page) -> None:
        if page is not self.page:
            self._note("", f"opened a window at {page.url}")
            page.close()


def _frame_name(request: Request) -> str:
    try:
        frame: Any = request.frame
        while frame.parent_frame is not None and frame.parent_frame.parent_frame is not None:
            frame = frame.parent_frame
        return str(frame.name)
    except Error:  # a navigation whose frame is not there yet
        return ""


def nothing(request: Request) -> None:
    """Answers no request: a mail has nobody to ask."""
    return


def report(hits: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """One line for each document that did something."""
    return (f"{name}: {'; '.join(what)}" for name, what in hits.items())
