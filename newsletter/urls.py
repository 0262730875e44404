"""The addresses of an issue: the reader's, the editor's, the provider's."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("newsletter.public.urls")),
]
