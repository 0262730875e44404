"""A page that holds many documents in frames, pokes every element in them, and writes down whatever ran, fetched or went elsewhere."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.contrib.staticfiles import finders
from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Error, Page, Request, Route

from tests.browser.vectors.judging import SITE

BATCH = (
    40  # frames in one page: with more, Chromium's processes swap; with fewer, the page's own load is most of the time
)
# Said about a document by the browser's console: a policy or a sandbox that had to stop something which should not have been there.
_STOPPED = re.compile(
    r"Content Security Policy|Blocked script execution|Refused to|Unsafe attempt|sandboxed", re.IGNORECASE
)
_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)

_RECORDER = """
(() => {
  if (window === window.top) window.seen = [];
  const note = (what) => {
    let frame = window;
    while (frame !== window.top && frame.parent !== window.top) frame = frame.parent;
    try { window.top.seen.push([frame.name, what]); } catch (error) {}
  };
  for (const name of ["alert", "confirm", "prompt", "print", "open"]) window[name] = () => note(`ran ${name}`);
})();
"""

# Everything a reader may do to an element, and every handler that it declares; a harmless link is not followed.
_POKE = """
async () => {
  const EVENTS = ["mouseover", "mouseenter", "mousemove", "mousedown", "mouseup", "click", "dblclick", "contextmenu", "pointerover",
    "pointerdown", "keydown", "focus", "focusin", "blur", "input", "change", "toggle", "copy", "drag", "scroll", "touchstart"];
  const SAFE = ["http:", "https:", "mailto:", "tel:"];
  const note = (frame, what) => window.seen.push([frame.name, what]);
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument;
    if (!page || page.location.href !== frame.dataset.src) { note(frame, "went elsewhere"); continue; }
    if (typeof page.cookie !== "string" || typeof page.getElementById !== "function" || page.body instanceof
        frame.contentWindow.HTMLFormElement || !(page.head instanceof frame.contentWindow.HTMLHeadElement)) note(frame, "clobbered");
    for (const element of page.querySelectorAll("*")) {
      for (const { name } of element.attributes) {
        if (!/^on/i.test(name)) continue;
        note(frame, `kept ${name}`);
        element.dispatchEvent(new Event(name.slice(2).toLowerCase(), { bubbles: true, cancelable: true }));
      }
      const leads = element.protocol !== undefined && element.hasAttribute("href");
      const runs = leads && !SAFE.includes(element.protocol);
      if (runs) note(frame, `kept address ${element.getAttribute("href")}`);
      for (const type of EVENTS) element.dispatchEvent(new Event(type, { bubbles: true, cancelable: true }));
      if (typeof element.focus === "function") element.focus({ preventScroll: true });
      const sends = element.formAction !== undefined && !SAFE.includes(new URL(element.formAction).protocol);
      if (runs || sends || element.matches("summary, svg a, math *, xss, x-element")) {
        if (typeof element.click === "function") element.click();
        else element.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
      }
    }
  }
  for (let frames = 0; frames < 3; frames += 1) await new Promise(requestAnimationFrame);
  await new Promise((done) => setTimeout(done, 40));
}
"""


@dataclass(frozen=True, slots=True)
class Document:
    """One page as a server sends it; `name` is what a failure calls it."""

    name: str
    body: str
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "text/html; charset=utf-8"})


class Stand:
    """Opens documents by the batch. What it saw of each is in `seen`, by the document's name."""

    def __init__(
        self, context: BrowserContext, answer: Callable[[Request], tuple[int, Mapping[str, str], bytes] | None]
    ) -> None:
        self.seen: defaultdict[str, list[str]] = defaultdict(list)
        self._answer = answer
        self._documents: Sequence[Document] = ()
        self._context = context
        context.add_init_script(_RECORDER)
        context.route("**/*", self._serve)
        self.page = context.new_page()
        self.page.on("console", self._hear)
        self.page.on("dialog", self._close)
        context.on("page", self._refuse_window)

    def judge(self, documents: Sequence[Document]) -> dict[str, list[str]]:
        """Opens each and pokes it; says what happened, by name, for those where anything did."""
        for start in range(0, len(documents), BATCH):
            self._judge_batch(documents[start : start + BATCH])
        return {name: sorted(set(what)) for name, what in self.seen.items()}

    def _judge_batch(self, documents: Sequence[Document]) -> None:
        self._documents = documents
        try:
            self.page.goto(f"{SITE}/stand/")
            self.page.evaluate(_POKE)
            for name, what in self.page.evaluate("window.seen"):
                self._note(name, what)
        except (Error, TypeError):  # one of them has led the whole page away: which?
            if len(documents) == 1:
                self._note("doc-0", "went elsewhere with the whole page")
                return
            for document in documents:
                self._judge_batch([document])

    def _note(self, frame: str, what: str) -> None:
        number = frame.removeprefix("doc-")
        known = number.isdecimal() and int(number) < len(self._documents)
        self.seen[self._documents[int(number)].name if known else "the stand"].append(what)

    def _serve(self, route: Route) -> None:
        request = route.request
        url = request.url.partition("#")[0]
        if url == f"{SITE}/stand/":
            route.fulfill(body=self._stand_page(), content_type="text/html; charset=utf-8")
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
        frames = "".join(
            f'<iframe name="doc-{number}" src="/doc/{number}/" data-src="{SITE}/doc/{number}/" width="320" height="240"></iframe>'
            for number in range(len(self._documents))
        )
        return f"<!DOCTYPE html><title>Stand</title>{frames}"

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
        frame = request.frame
        while frame.parent_frame is not None and frame.parent_frame.parent_frame is not None:
            frame = frame.parent_frame
        return frame.name
    except Exception:  # a navigation whose frame is not there yet: Playwright has no name for that error
        return ""


def nothing(request: Request) -> None:
    """Answers no request: a mail has nobody to ask."""
    return


def report(hits: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """One line for each document that did something."""
    return (f"{name}: {'; '.join(what)}" for name, what in hits.items())
