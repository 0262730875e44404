"""How an editor comes in: password, one-time link, language, password change, and the way out.

A one-time link is bound to the person's last login and password hash: logging in by any door spends it, and so does a new
password. It lasts one day.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth import get_user_model, login, update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, redirect_to_login
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRefresh

_SALT = "sosik.desk.entrance"
_LINK_SECONDS = 24 * 60 * 60

View = Callable[..., HttpResponseBase]


def make_login_link(user: User) -> str:
    """The path of a link that logs `user` in once, within a day."""
    token = signing.dumps([user.pk, _state_of(user)], salt=_SALT)
    return reverse("desk:enter", args=[token])


def read_login_token(token: str) -> User | None:
    """Whom the token lets in; None when it is altered, older than a day, or spent."""
    try:
        user_id, state = signing.loads(token, salt=_SALT, max_age=_LINK_SECONDS)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    user = get_user_model().objects.filter(pk=user_id, is_active=True).first()
    if user is None or not constant_time_compare(state, _state_of(user)):
        return None
    return user


def editors_only(view: View) -> View:
    """The view for people who are logged in; others are led to the login page and back."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        if request.headers.get("HX-Request"):  # a fragment must not be replaced by a login page: load the page anew
            return HttpResponseClientRefresh()
        return redirect_to_login(request.get_full_path())

    return guarded


class Login(LoginView):
    """The login page; who is inside already goes on to the desk."""

    template_name = "desk/login.html"
    redirect_authenticated_user = True


@never_cache
@require_http_methods(["GET", "POST"])
def enter(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows a button and spends nothing (mail scanners follow links); POST logs in, once."""
    user = read_login_token(token)
    if user is None:
        response = render(request, "desk/enter.html", {"spent": True}, status=410)
    elif request.method == "POST" and _spend(user):
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        return redirect("desk:issues")
    else:
        response = render(request, "desk/enter.html", {"name": user.get_username()})
    response.headers["Referrer-Policy"] = "same-origin"
    return response


@require_http_methods(["GET", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Sets a first password, or changes the one there is; other sessions end by it."""
    assert isinstance(request.user, User)
    form_class = PasswordChangeForm if request.user.has_usable_password() else SetPasswordForm
    form = form_class(request.user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.save()
        update_session_auth_hash(request, form.user)
        messages.success(request, _("Your password is set. All your other sessions have ended."))
        return redirect("desk:account")
    return render(request, "desk/account.html", {"form": form})


def _state_of(user: User) -> str:
    last_login = user.last_login.isoformat() if user.last_login else ""
    return salted_hmac(_SALT, f"{user.pk}:{last_login}:{user.password}", algorithm="sha256").hexdigest()[:24]


def _spend(user: User) -> bool:
    """Of two requests with one link exactly one gets True."""
    untouched = get_user_model().objects.filter(pk=user.pk, last_login=user.last_login, password=user.password)
    return untouched.update(last_login=timezone.now()) == 1
