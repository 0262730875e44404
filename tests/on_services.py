"""The tests of this folder on PostgreSQL and Redis: `python -m tests.on_services [pytest arguments]`.

The journeys have their own services and are left out, and the exhaustive tests ask no database.
Both servers are started here, on free ports of loopback, and stopped.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.journeys.services import missing_services, run_services


def main() -> int:
    """pytest's exit code; 2 when a server is not installed."""
    absent = missing_services()
    if absent:
        print(f"Not found: {' and '.join(absent)}. Install them, then run this again.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="sosik-services-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL refuses root and runs as nobody
        with run_services(Path(folder)) as running:
            env = os.environ | {"TEST_DATABASE_URL": running.database_url, "TEST_REDIS_URL": running.redis_url}
            command = [sys.executable, "-m", "pytest", "--ignore=tests/journeys", "-m", "not exhaustive", *sys.argv[1:]]
            return subprocess.run(command, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
