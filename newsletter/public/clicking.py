"""/c/<number>/<token>: a tracked link. It leads to a Link row of the token's issue and nowhere else."""

from __future__ import annotations

import re
from functools import lru_cache

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_safe

from newsletter.models import Link
from newsletter.public.engagement import note_engagement
from newsletter.rendering.hosts import to_ascii_host
from newsletter.tokens import read_personal_token
from subscribers.pages import private_page

_NUMBER = re.compile("[1-9][0-9]{0,5}")  # more links than any mail holds, fewer than a column can


@require_safe
@private_page
def follow_link(request: HttpRequest, number: str, token: str) -> HttpResponse:
    """A redirect to the link's address, or a friendly page for what we did not make."""
    pair = read_personal_token(token)
    if pair is None or not _NUMBER.fullmatch(number):
        return _unknown(request)
    issue_id, subscriber_id = pair
    try:
        url = link_url(issue_id, int(number))
    except Link.DoesNotExist:
        return _unknown(request)
    note_engagement(request, "click", issue_id, subscriber_id, link_number=int(number))
    return HttpResponseRedirect(to_ascii_host(url))


@lru_cache(maxsize=4096)  # links of an issue that has gone out do not change; what is not found is asked anew each time
def link_url(issue_id: int, number: int) -> str:
    """Where a link leads. Raises Link.DoesNotExist."""
    return Link.objects.values_list("url", flat=True).get(issue_id=issue_id, number=number)


def _unknown(request: HttpRequest) -> HttpResponse:
    return render(request, "public/unknown_link.html", status=404)
