"""Every address of the site. Stations and apps own theirs; this file only joins them."""

from django.urls import include, path

urlpatterns = [
    path("", include("subscribers.urls")),
    path("", include("newsletter.urls")),  # last: its archive matches nearly every path
]
