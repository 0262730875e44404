"""`manage.py invite EMAIL`: lets somebody into the desk."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from newsletter.desk.entrance import make_login_link
from subscribers.addresses import AddressError, normalise_address


class Command(BaseCommand):
    """Makes the person known if they are not, and prints a link that logs them in once, within a day."""

    help = "Print a one-time login link to the desk for EMAIL, who is created if unknown."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", metavar="EMAIL")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            email = normalise_address(options["email"])
        except AddressError as error:
            raise CommandError(
                _("“%(email)s” is not an email address. Write one like editor@example.org.") % options
            ) from error
        users = get_user_model().objects
        user = users.filter(email__iexact=email).first() or users.create_user(username=email.lower(), email=email)
        if not user.is_active:
            raise CommandError(_("This person's account is closed. Open it again before inviting them."))
        self.stdout.write(f"{settings.SITE_URL.rstrip('/')}{make_login_link(user)}")
