"""The reader's addresses. Those inside mails are short, for they stand in every copy."""

from django.urls import path, register_converter

from newsletter.public import archive, clicking, feed, leaving, opening
from newsletter.public.paths import IssueSlugConverter, ListSlugConverter

register_converter(ListSlugConverter, "list_slug")
register_converter(IssueSlugConverter, "issue_slug")

app_name = "public"
urlpatterns = [
    path("", archive.show_front, name="front"),
    path("o/<str:token>", opening.show_pixel, name="pixel"),
    path("c/<str:number>/<str:token>", clicking.follow_link, name="link"),
    path("u/<str:token>", leaving.leave, name="leave"),
    path("w/<str:token>/", archive.show_unlisted, name="unlisted"),
    path("<list_slug:list_slug>/", archive.show_list, name="list"),
    path("<list_slug:list_slug>/feed.xml", feed.show_feed, name="feed"),
    path("<list_slug:list_slug>/<issue_slug:issue_slug>/", archive.show_issue, name="issue"),
]
