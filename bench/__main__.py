"""`make bench`: everything that is measured, in one run."""

from __future__ import annotations

from bench import merge_speed, rendering_speed, smtp_speed
from bench.ground import django_on_throwaway_data


def main() -> None:
    """Runs the measurements on throw-away data, one after the other."""
    with django_on_throwaway_data():
        smtp_speed.run()
        merge_speed.run()
        rendering_speed.run()


if __name__ == "__main__":
    main()
