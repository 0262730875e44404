"""The app's registration with Django."""

from django.apps import AppConfig


class SubscribersConfig(AppConfig):
    """Subscribers, consent and suppression."""

    name = "subscribers"
