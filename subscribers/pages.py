"""How a reader's page is answered: in the list's language, and, where a token is in its address, to nobody else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation

from subscribers.models import MailingList

View = Callable[..., HttpResponse]


def render_for_list(
    request: HttpRequest,
    template: str,
    mailing_list: MailingList,
    context: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    """The page in the list's language, whatever the browser asks for; the context holds `mailing_list` beside its own."""
    with translation.override(mailing_list.language):
        response = render(request, template, {"mailing_list": mailing_list, **(context or {})}, status=status)
    response.headers["Content-Language"] = mailing_list.language
    return response


def private_page(view: View) -> View:
    """For addresses that carry a token: stored nowhere, told to no other site, found by no search engine."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Robots-Tag"] = "noindex"
        return response

    return answer
