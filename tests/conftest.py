"""Every test's ground: our own settings, whatever .env or the shell says."""

import os

os.environ["SOSIK_ENV_FILE"] = ""
for name in ("SITE_URL", "EMAIL_URL", "EXTRA_HOSTS", "WEBHOOK_PROVIDERS", "BEHIND_PROXY"):
    os.environ.pop(name, None)
os.environ["DEBUG"] = "1"
