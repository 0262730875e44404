"""The pages of the built-in inbox; joined only when mail goes there."""

from django.urls import path

from newsletter.demo import views

app_name = "inbox"
urlpatterns = [
    path("inbox/", views.list_mails, name="list"),
    path("inbox/<int:mail_id>/", views.show_mail, name="mail"),
    path("inbox/<int:mail_id>/text/", views.show_text, name="text"),
    path("inbox/<int:mail_id>/source/", views.show_source, name="source"),
    path("inbox/<int:mail_id>/html/", views.serve_html, name="html"),
]
