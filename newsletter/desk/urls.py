"""The desk's addresses. `editors` closes a page to strangers; what is open to them says so by not using it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, path
from django.views.i18n import set_language

from newsletter.desk import entrance, issues, lists, moving, preview, watching, writing

app_name = "desk"


def editors(route: str, view: Any, name: str) -> URLPattern:
    """A page for people who are logged in."""
    return path(route, entrance.editors_only(view), name=name)


urlpatterns = [
    path("login/", entrance.Login.as_view(), name="login"),
    path("enter/<str:token>/", entrance.enter, name="enter"),
    path("language/", set_language, name="language"),
    editors("logout/", LogoutView.as_view(), name="logout"),
    editors("account/", entrance.account, name="account"),
    editors("", issues.issues, name="issues"),
    editors("issues/new/", writing.start, name="start"),
    editors("issues/upload/", writing.upload, name="upload"),
    editors("issues/<int:pk>/", issues.issue, name="issue"),
    editors("issues/<int:pk>/write/", writing.write, name="write"),
    editors("issues/<int:pk>/preview/", preview.preview, name="preview"),
    editors("issues/<int:pk>/findings/", preview.findings, name="findings"),
    editors("issues/<int:pk>/watch/", watching.watch, name="watch"),
    editors("issues/<int:pk>/progress/", watching.progress, name="progress"),
    editors("issues/<int:pk>/read/", watching.read, name="read"),
    editors("issues/<int:pk>/ask/<slug:action>/", moving.ask, name="ask"),
    editors("issues/<int:pk>/test/", moving.test, name="test"),
    editors("issues/<int:pk>/schedule/", moving.schedule, name="schedule"),
    editors("issues/<int:pk>/send/", moving.send, name="send"),
    editors("issues/<int:pk>/undo/", moving.undo, name="undo"),
    editors("issues/<int:pk>/unschedule/", moving.unschedule, name="unschedule"),
    editors("issues/<int:pk>/pause/", moving.pause, name="pause"),
    editors("issues/<int:pk>/resume/", moving.resume, name="resume"),
    editors("issues/<int:pk>/cancel/", moving.cancel, name="cancel"),
    editors("issues/<int:pk>/retry/", moving.retry, name="retry"),
    editors("issues/<int:pk>/resend/", moving.resend, name="resend"),
    editors("issues/<int:pk>/accept/", moving.accept, name="accept"),
    editors("lists/", lists.lists, name="lists"),
    editors("lists/new/", lists.edit_list, name="list-new"),
    editors("lists/<slug:slug>/", lists.mailing_list, name="list"),
    editors("lists/<slug:slug>/edit/", lists.edit_list, name="list-edit"),
    editors("subscribers/", lists.subscribers, name="subscribers"),
]
