#!/usr/bin/env python3
"""Runs Sosik's commands: `.venv/bin/python manage.py help` lists them."""

import os
import sys


def main() -> None:
    """Hands the command line to Django with our settings."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        _ = settings.DEBUG  # reads the settings, so that a wrong value is one clear line and no traceback
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:  # `manage.py issue missing SLUG | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more at its end
        sys.exit(141)  # as the shell counts SIGPIPE
    except KeyboardInterrupt:  # Ctrl-C while Django is still being loaded
        sys.exit(130)
