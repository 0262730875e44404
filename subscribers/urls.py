"""Where a reader signs up and confirms."""

from django.urls import path

from subscribers import views

app_name = "subscribers"
urlpatterns = [
    path("subscribe/<slug:slug>/", views.sign_up, name="sign_up"),
    path("subscribe/<slug:slug>/sent/", views.sign_up_sent, name="sign_up_sent"),
    path("confirm/<str:token>/", views.confirm, name="confirm"),
]
