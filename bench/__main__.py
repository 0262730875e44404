"""`make bench`: everything that is measured, in one run; `make bench BENCH="smtp rendering"` a part of it."""

from __future__ import annotations

import subprocess
import sys

from bench import merge_speed, rendering_speed, smtp_speed
from bench.ground import django_on_throwaway_data

PARTS = {"smtp": smtp_speed.run, "merge": merge_speed.run, "rendering": rendering_speed.run}
SERVICES = "services"


def main() -> int:
    """Runs the measurements on throw-away data, one after the other; the last in a process of its own, on servers of its own."""
    wanted = sys.argv[1:] or [*PARTS, SERVICES]
    unknown = set(wanted) - {*PARTS, SERVICES}
    if unknown:
        print(f"There is no {', '.join(sorted(unknown))}. Parts: {', '.join([*PARTS, SERVICES])}.", file=sys.stderr)
        return 2
    chosen = [run for name, run in PARTS.items() if name in wanted]
    if chosen:
        with django_on_throwaway_data():
            for run in chosen:
                run()
    if SERVICES in wanted:
        return subprocess.run([sys.executable, "-m", "bench.services_speed"], check=False).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
