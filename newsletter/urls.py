"""The addresses of an issue: the reader's, the editor's, the provider's."""

from typing import Any

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path


def provider_hooks() -> list[URLPattern]:
    """Anymail's tracking webhooks of the providers that WEBHOOK_PROVIDERS names; no other webhook answers."""
    anymail: Any = include("anymail.urls")[0]
    wanted = {f"{provider}/{tail}" for provider in settings.WEBHOOK_PROVIDERS for tail in ("tracking/", "")}
    return [pattern for pattern in anymail.urlpatterns if str(pattern.pattern) in wanted]


urlpatterns: list[URLPattern | URLResolver] = [
    path("desk/", include("newsletter.desk.urls")),
    path("hooks/", include((provider_hooks(), "anymail"))),
]
if settings.EMAIL.kind == "inbox":
    urlpatterns.append(path("", include("newsletter.demo.urls")))
urlpatterns.append(path("", include("newsletter.public.urls")))  # last: a list's slug matches nearly everything
