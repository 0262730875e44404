"""The addresses of an issue: the reader's, the editor's, the provider's."""

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []
