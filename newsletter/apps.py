"""The app's registration with Django."""

from django.apps import AppConfig


class NewsletterConfig(AppConfig):
    """Issues and everything that happens to them."""

    name = "newsletter"

    def ready(self) -> None:
        from newsletter import receivers  # noqa: F401  (connects the signal receivers)
