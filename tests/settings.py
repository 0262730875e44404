"""The settings of every test: our own, whatever .env or the shell says.

A module and not lines in conftest.py: pytest-django reads the settings before pytest reads any conftest.
"""

import os
import tempfile
from pathlib import Path

_DATA_DIR = Path(tempfile.gettempdir()) / f"sosik-tests-{os.getuid()}"
(_DATA_DIR / "static").mkdir(parents=True, exist_ok=True)  # WhiteNoise warns when there is no such folder

for _name in (
    "DATABASE_URL",
    "REDIS_URL",
    "SITE_URL",
    "EMAIL_URL",
    "EXTRA_HOSTS",
    "WEBHOOK_PROVIDERS",
    "BEHIND_PROXY",
    "DOMAIN_RATES",
    "WARMUP",
    "STAGES",
    "STAGES_ABOVE",
    "HALT_SAMPLE",
    "BREAKER_ERRORS",
    "DKIM_KEYS",
    "BOUNCE_ADDRESS",
):
    os.environ.pop(_name, None)
for _name in ("DATABASE_URL", "REDIS_URL"):  # the same tests on PostgreSQL and Redis: tests/on_services.py
    if f"TEST_{_name}" in os.environ:
        os.environ[_name] = os.environ[f"TEST_{_name}"]
if "TEST_REDIS_URL" in os.environ:  # a database of its own for each of pytest-xdist's workers
    _worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    os.environ["REDIS_URL"] = f"{os.environ['TEST_REDIS_URL'].rsplit('/', 1)[0]}/{_worker}"
os.environ |= {"SOSIK_ENV_FILE": "", "DEBUG": "1", "DATA_DIR": str(_DATA_DIR), "UNDO_SECONDS": "0"}
# config/__init__ makes the Celery app, which reads the settings while they are being made here: it must find the real ones.
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"

from config.settings import *  # noqa: E402, F403

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    # A file, as in life: races need connections of their own, and SQLite's shared memory has table locks that files have not.
    DATABASES["default"]["TEST"] = {"NAME": str(_DATA_DIR / f"test-{os.getpid()}.sqlite3")}  # noqa: F405
    _OPTIONS = DATABASES["default"]["OPTIONS"]  # noqa: F405
    _OPTIONS["init_command"] = _OPTIONS["init_command"].replace("synchronous=FULL", "synchronous=OFF")
