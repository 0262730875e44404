"""The list's Atom feed, with the whole text of each issue."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed
from django.views.decorators.http import conditional_page, require_safe

from newsletter.public.archive import Entry, shown_issues
from subscribers.models import MailingList

ISSUES_IN_FEED = 20
# What XML 1.0 cannot hold in any spelling; one such character would make the whole feed unreadable.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class FullTextAtomFeed(Atom1Feed):
    """Atom with a content element beside the summary."""

    def add_item_elements(self, handler: Any, item: dict[str, Any]) -> None:
        """Writes what Django writes, and the text."""
        super().add_item_elements(handler, item)
        handler.addQuickElement("content", item["content"], {"type": "html"})


@require_safe
@conditional_page
def show_feed(request: HttpRequest, list_slug: str) -> HttpResponse:
    """The newest issues."""
    mailing_list = get_object_or_404(MailingList, slug=list_slug, is_public=True)
    feed = FullTextAtomFeed(
        title=_clean(mailing_list.name),
        link=settings.SITE_URL + reverse("public:list", args=[mailing_list.slug]),
        description=_clean(mailing_list.description),
        subtitle=_clean(mailing_list.description),
        language=mailing_list.language,
        author_name=_clean(mailing_list.from_name),
        feed_url=settings.SITE_URL + request.path,
    )
    for issue in shown_issues(mailing_list).defer("html", "text", "body_markdown")[:ISSUES_IN_FEED]:
        entry = Entry.of(issue)
        feed.add_item(
            title=_clean(entry.title),
            link=entry.url,
            description=escape(_clean(entry.summary), quote=False),  # Django says it is HTML, and it is plain words
            pubdate=entry.sent_at,
            updateddate=entry.sent_at,
            content=_clean(issue.web_html),
        )
    return HttpResponse(feed.writeString("utf-8"), content_type="application/atom+xml; charset=utf-8")


def _clean(text: str) -> str:
    return _NOT_XML.sub("", text)
