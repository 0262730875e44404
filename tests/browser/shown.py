"""Hostile posts as Sosik shows them: the mail, the archive's page, the desk's preview and the pages around it, each once."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import copy_context
from functools import cache
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Request

from newsletter.content.front_matter import ContentError
from newsletter.models import Issue, Link
from newsletter.rendering.errors import RenderError
from newsletter.rendering.merge import fill_slots
from newsletter.rendering.render import RenderedIssue
from subscribers.models import MailingList
from tests.browser.stand import Document
from tests.browser.vectors.judging import HOSTILE_VALUES, SITE, try_render
from tests.browser.vectors.places import Pair, Post, browser_pairs


@cache
def rendered_pairs() -> tuple[tuple[Pair, Post, RenderedIssue], ...]:
    """Every pair of browser_pairs that was not refused, with its mail."""
    return tuple(_render_all())


def _render_all() -> Iterator[tuple[Pair, Post, RenderedIssue]]:
    for pair in browser_pairs():
        try:
            post, _issue, rendered = try_render(pair)
        except (ContentError, RenderError):
            continue
        yield pair, post, rendered


def mails() -> list[Document]:
    """The mail's HTML as an inbox has it: filled for a reader, and with no policy that would hold anything back."""
    found: dict[str, Document] = {}
    for pair, post, rendered in rendered_pairs():
        page = fill_slots(rendered.html, {**HOSTILE_VALUES, **post.values})
        found.setdefault(page, Document(pair.name, page))
    return list(found.values())


class Site:
    """One list with one issue that has gone out; each pair in turn becomes that issue.

    Pages are what the server answers, headers included.
    """

    def __init__(self) -> None:
        self.mailing_list = MailingList.objects.create(**Post().list_fields())
        self.issue = Issue.objects.create(mailing_list=self.mailing_list, **Post().issue_fields())
        self.editor = Client()
        self.editor.force_login(User.objects.create_user(username="editor@example.org", email="editor@example.org"))
        self.stranger = Client()
        # Playwright calls back in a context of its own, where Django would open another connection and see no row of this test's.
        self._here = copy_context()

    def archive_pages(self) -> Iterator[Document]:
        """The issue's page in the archive; each that differs, once."""
        shown: set[object] = set()
        for pair, post, rendered in rendered_pairs():
            key = (rendered.web_html, *map(repr, (post.issue, post.mailing_list)))
            if key not in shown:
                shown.add(key)
                self._become(post, rendered)
                yield self._get(pair.name, self.stranger, f"/plain/{post.issue_fields()['slug']}/")

    def previews(self) -> Iterator[Document]:
        """The frame of the desk's preview; each mail that differs, once."""
        shown: set[str] = set()
        for pair, post, rendered in rendered_pairs():
            if rendered.html not in shown:
                shown.add(rendered.html)
                self._become(post, rendered)
                yield self._get(pair.name, self.editor, f"/desk/issues/{self.issue.pk}/preview/")

    def pages_around(self) -> list[Document]:
        """Where titles, names and tags stand: one of those pages for each text, in turn."""
        texts = [(pair, post, rendered) for pair, post, rendered in rendered_pairs() if pair.place.is_text]
        issue = f"/desk/issues/{self.issue.pk}"
        pages = (
            (self.stranger, "/"),
            (self.stranger, "/plain/"),
            (self.editor, f"{issue}/read/"),
            (self.editor, f"{issue}/preview/?view=text"),
            (self.editor, f"{issue}/watch/"),
            (self.editor, "/desk/?state=sent"),
            (self.editor, "/desk/lists/"),
            (self.editor, "/desk/lists/plain/"),
            (self.editor, "/desk/lists/plain/edit/"),
        )
        found = []
        for number, (pair, post, rendered) in enumerate(texts):
            self._become(post, rendered)
            client, path = pages[number % len(pages)]
            found.append(self._get(f"{pair.name} at {path}", client, path))
        return found

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes] | None:
        """What the desk says to its editor's browser; None to a request that is not for it."""
        parts = urlsplit(request.url)
        if not request.url.startswith(f"{SITE}/desk/"):
            return None
        kind = request.headers.get("content-type", "application/octet-stream")
        path = f"{parts.path}?{parts.query}"
        body = request.post_data_buffer or b""
        response = self._here.run(self.editor.generic, request.method, path, body, content_type=kind)
        return response.status_code, dict(response.headers), response.content

    def _become(self, post: Post, rendered: RenderedIssue) -> None:
        MailingList.objects.filter(pk=self.mailing_list.pk).update(**post.list_fields())
        Issue.objects.filter(pk=self.issue.pk).update(
            **(Post().issue_fields() | post.issue_fields()),
            html=rendered.html,
            text=rendered.text,
            web_html=rendered.web_html,
            status=Issue.Status.SENT,
            sending_at=timezone.now(),
            candidates_count=0,
            recipients_count=0,
            skipped_count=0,
        )
        self.issue.links.all().delete()
        Link.objects.bulk_create(
            Link(issue=self.issue, number=number, url=url) for number, url in enumerate(rendered.links, start=1)
        )

    @staticmethod
    def _get(name: str, client: Client, path: str) -> Document:
        response: HttpResponse = client.get(path)  # type: ignore[assignment]
        assert response.status_code == 200, f"{name}: {path} answers {response.status_code}"
        return Document(name, response.content.decode(), dict(response.headers))
