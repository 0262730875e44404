"""`python -m tests.chaos`: every scenario, on servers with several processes and on the embedded default; ends 0 if all is right."""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.chaos.ground import make_readers, open_ground
from tests.journeys.services import missing_services

COLUMNS = ("scenario", "readers", "faults", "received", "lost", "duplicated", "uncertain", "resume s", "total s")
WIDTHS = (36, 9, 7, 9, 6, 11, 10, 9, 8)


def main() -> int:
    """The exit code: 1 when anything was lost, sent twice or stuck; 2 when a server is not installed."""
    options = read_options()
    signal.signal(
        signal.SIGTERM, lambda number, _frame: sys.exit(128 + number)
    )  # every process of ours is ended then, too
    worlds = ["services", "provider", "embedded"] if options.world == "all" else [options.world]
    if worlds != ["embedded"] and missing_services():
        print(f"Not found: {' and '.join(missing_services())}. Install them, then run this again.", file=sys.stderr)
        return 2
    if len(worlds) > 1:  # Django is set up once a process, for one database
        more = [word for word in sys.argv[1:] if not word.startswith("--world")]
        command = [sys.executable, "-m", "tests.chaos", *more]
        return max(subprocess.run([*command, f"--world={world}"], check=False).returncode for world in worlds)
    return run(worlds[0], options)


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--world", choices=["services", "provider", "embedded", "all"], default="all")
    parser.add_argument("--readers", type=int, default=20_000)
    parser.add_argument("--faults", type=int, default=5, help="kills, restarts, pauses: so many a scenario")
    parser.add_argument("--seeds", type=int, default=1, help="each scenario with so many seeds")
    parser.add_argument("--pace", type=int, default=0, help="mails a second the receiver takes at most; 0: all it can")
    parser.add_argument("--only", default="", help="the scenarios whose name begins so")
    return parser.parse_args()


def run(world: str, options: argparse.Namespace) -> int:
    """One world's scenarios, a line each as it ends."""
    with tempfile.TemporaryDirectory(prefix="sosik-chaos-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL refuses root and runs as nobody
        with open_ground(Path(folder), world) as ground:
            from tests.chaos import scenarios

            chosen = {
                "services": scenarios.ON_SERVICES,
                "provider": scenarios.ON_PROVIDER,
                "embedded": scenarios.ON_EMBEDDED,
            }[world]
            make_readers(options.readers)
            ground.receipts.seconds_a_mail = 1 / options.pace if options.pace else 0.0
            ground.system.start()
            print(f"\n{world}: {', '.join(ground.system.commands())}\n{_line(COLUMNS)}", flush=True)
            mistakes = 0
            for scenario in chosen:
                if not scenario.__name__.startswith(options.only):
                    continue
                for seed in range(1, options.seeds + 1):
                    rng = random.Random(f"{scenario.__name__}:{seed}")
                    row = scenario(ground, rng, options.readers, options.faults)
                    figures = (row.readers, row.faults, row.received, row.lost, row.duplicated, row.uncertain)
                    print(_line((row.name, *figures, f"{row.resume_seconds:.1f}", f"{row.seconds:.0f}")), flush=True)
                    for mistake in row.mistakes:
                        print(f"    {mistake}", flush=True)
                    mistakes += len(row.mistakes)
            return 1 if mistakes else 0


def _line(cells: tuple[object, ...]) -> str:
    return "".join(
        f"{cell!s:<{width}}" if number == 0 else f"{cell!s:>{width}}"
        for number, (cell, width) in enumerate(zip(cells, WIDTHS, strict=True))
    )


if __name__ == "__main__":
    sys.exit(main())
