"""/o/<token>: the picture that tells of an open."""

from __future__ import annotations

from base64 import b64decode

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from newsletter.public.engagement import note_engagement
from newsletter.tokens import read_personal_token
from subscribers.pages import private_page

PIXEL = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")  # a transparent GIF of one by one


@require_safe
@private_page
def show_pixel(request: HttpRequest, token: str) -> HttpResponse:
    """The picture, for every token: a broken image in somebody's mail helps nobody."""
    pair = read_personal_token(token)
    if pair is not None:
        note_engagement(request, "open", *pair)
    return HttpResponse(PIXEL, content_type="image/gif")
