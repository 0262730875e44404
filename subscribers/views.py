"""Signing up and confirming. No GET changes anything, and no answer tells whether an address is known.

None of these pages uses a session or a cookie, so there is no standing that a forged request could borrow: what may be done is in
the form (an address anybody may type) or in the token (a secret from the mailbox). That is why they are exempt from CSRF checks.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import translation
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from subscribers.addresses import client_ip
from subscribers.forms import SignUpForm, consent_wording
from subscribers.models import MailingList, Subscription
from subscribers.pages import private_page, render_for_list
from subscribers.signup import confirm_subscription, find_by_confirmation_token, request_subscription


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def sign_up(request: HttpRequest, slug: str) -> HttpResponse:
    """The list's sign-up page; a POST is answered by a redirect that is the same for everybody."""
    mailing_list = get_object_or_404(MailingList, slug=slug, is_public=True)
    if request.method != "POST":
        return _show_form(request, mailing_list, SignUpForm())
    form = SignUpForm(request.POST)
    if not form.is_robot():
        if not form.is_valid():
            return _show_form(request, mailing_list, form.with_fresh_stamp(), status=422)
        with translation.override(mailing_list.language):
            wording = consent_wording(mailing_list)
        request_subscription(
            mailing_list,
            form.cleaned_data["email"],
            source="sign-up page",
            ip=client_ip(request),
            wording=wording,
            locale=mailing_list.language,
        )
    response = HttpResponseRedirect(reverse("subscribers:sign_up_sent", args=[mailing_list.slug]))
    response.status_code = 303  # See Other: the browser shows the answer by GET, and reloading it sends nothing again
    return response


def _show_form(request: HttpRequest, mailing_list: MailingList, form: SignUpForm, *, status: int = 200) -> HttpResponse:
    with translation.override(mailing_list.language):
        context = {"form": form, "wording": consent_wording(mailing_list)}
        return render_for_list(request, "public/sign_up.html", mailing_list, context, status=status)


@require_safe
def sign_up_sent(request: HttpRequest, slug: str) -> HttpResponse:
    """What everybody is told after asking: look into your mailbox."""
    mailing_list = get_object_or_404(MailingList, slug=slug, is_public=True)
    return render_for_list(request, "public/sign_up_sent.html", mailing_list)


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@private_page
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """One big button; a POST presses it."""
    is_pressed = request.method == "POST"
    subscription = (
        confirm_subscription(token, ip=client_ip(request)) if is_pressed else find_by_confirmation_token(token)
    )
    if subscription is None or subscription.status == Subscription.Status.UNSUBSCRIBED:
        return render(request, "public/unknown_link.html", status=404)
    is_confirmed = subscription.status == Subscription.Status.CONFIRMED
    template = "public/confirmed.html" if is_confirmed else "public/confirm.html"
    return render_for_list(request, template, subscription.mailing_list)
