"""Settings from the environment; `.env` beside manage.py is read first and never wins over the environment.

A wrong value stops the start and names itself. Every variable is listed in docs/operations.md.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import django_stubs_ext
import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from config.checked_env import CheckedEnv, is_loopback

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent

env_file = os.environ.get("SOSIK_ENV_FILE", str(BASE_DIR / ".env"))
if env_file and Path(env_file).is_file():
    environ.Env.read_env(env_file)
env = CheckedEnv()

# --- who we are -------------------------------------------------------------------------------------------------------
DEBUG = env.flag("DEBUG", default=False)
SECRET_KEY = env.secret("SECRET_KEY", debug=DEBUG)
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")
# Suppressions outlive the person and the session key: their fingerprints have a key of their own that must never change.
FINGERPRINT_KEY = env.text("FINGERPRINT_KEY", default="") or SECRET_KEY
SITE_URL = env.site_url("SITE_URL", debug=DEBUG)
SITE_HOST = urlsplit(SITE_URL).hostname or ""
SITE_IS_LOCAL = is_loopback(SITE_HOST)
ALLOWED_HOSTS = [SITE_HOST, *env.words("EXTRA_HOSTS")]
if SITE_IS_LOCAL or DEBUG:
    ALLOWED_HOSTS += ["localhost", "127.0.0.1", "[::1]"]

# --- where data lives -------------------------------------------------------------------------------------------------
DATA_DIR = Path(env.text("DATA_DIR", default=str(BASE_DIR / "var")))
DATA_DIR.mkdir(parents=True, exist_ok=True)
DATABASES = {"default": env.database("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'sosik.sqlite3'}")}
REDIS_URL = env.redis_url("REDIS_URL")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- how mail leaves --------------------------------------------------------------------------------------------------
ANYMAIL = env.anymail()  # every ANYMAIL_<NAME> variable, by its Anymail name
# EMAIL_URL: inbox: (the built-in inbox), smtp://user:password@host:587/?tls, smtps://..., provider:mailgun; several share the
# mail by ?weight=
PROVIDERS = env.providers("EMAIL_URL", ANYMAIL, debug=DEBUG)
EMAIL = PROVIDERS[0]
# Single mails choose their provider themselves (delivery/transactional.py); this is the way of those that go by SMTP.
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_TIMEOUT = 30  # seconds a confirmation mail may hang before its task is tried again
WEBHOOK_PROVIDERS = env.webhook_providers("WEBHOOK_PROVIDERS", ANYMAIL)  # whose webhooks /hooks/<provider>/ takes

# --- delivery: numbers with their units -------------------------------------------------------------------------------
BATCH_SIZE = env.number("BATCH_SIZE", default=500, low=1, high=5000)  # recipients
SMTP_CONNECTIONS = env.number("SMTP_CONNECTIONS", default=4, low=1, high=50)  # kept connections per worker process
# Recipients that may be on the wire at once, so also the most that a kill can leave uncertain of each batch under way.
# A server gets so many only if it takes them within 0.1 s (delivery/streaming.py): at 40 the checkpoints, 5 ms each on a
# slow disk, held up a local server.
SMTP_WINDOW = env.number("SMTP_WINDOW", default=100, low=1, high=1000)
SMTP_TIMEOUT_SECONDS = env.number("SMTP_TIMEOUT_SECONDS", default=60, low=1, high=900)
# Seconds from the first to the last byte of a provider's answer; a batch's lease is renewed meanwhile.
API_TIMEOUT_SECONDS = env.number("API_TIMEOUT_SECONDS", default=60, low=1, high=600)
# Calls at once by one worker to a provider that takes one reader a call (docs/providers.md).
API_CONNECTIONS = env.number("API_CONNECTIONS", default=4, low=1, high=50)
LEASE_SECONDS = env.number("LEASE_SECONDS", default=60, low=2, high=3600)  # a batch unheard of for so long is swept
TICK_SECONDS = env.number("TICK_SECONDS", default=5, low=1, high=60)  # how often the clock reads the database
# Opens and clicks wait so long before they are folded: a scanner's burst (tracking/bots.py) must be seen whole.
FOLD_DELAY_SECONDS = env.number("FOLD_DELAY_SECONDS", default=10, low=10, high=3600)
RETENTION_DAYS = env.number(
    "RETENTION_DAYS", default=90, low=1, high=36500
)  # deliveries, clicks, feedback; counters stay
# A restart or an upgrade may delay an issue; what readers expected this morning must not come by itself in the night.
MISSED_SCHEDULE_HOURS = env.number("MISSED_SCHEDULE_HOURS", default=3, low=1, high=8760)
# Between "send" and the first mail: what has left cannot be called back, and the mistake is seen in the first half minute
# (Gmail offers 5 to 30 s for the same reason).
UNDO_SECONDS = env.number("UNDO_SECONDS", default=30, low=0, high=3600)
# An issue in sending that makes no progress for so long is stalled: a server's own time-outs end within SMTP_TIMEOUT_SECONDS, a dead
# worker's lease and a lost bell within a minute each, so five minutes without a single mail heal by nobody's waiting.
STALL_SECONDS = env.number("STALL_SECONDS", default=300, low=30, high=86400)
ALERT_EMAIL = env.address("ALERT_EMAIL")  # who is told of it, once a stall; empty: nobody
# Recipients a second of a receiving domain, over all workers: naver.com=20 hanmail.net,daum.net=10 (a group shares its rate).
DOMAIN_RATES = env.domain_rates("DOMAIN_RATES")
# Recipients of an issue that a new sending address may write to on its first day, its second, ...: 2026-12-01 50 100 200 400
# Days begin at midnight in TIME_ZONE. After the last figure there is no limit but per_day in EMAIL_URL.
WARMUP = env.warm_ups("WARMUP", [provider.name for provider in PROVIDERS])
# A sample first, a wait to see what comes back, more, a wait, the rest: for issues that ask for it, or to more than STAGES_ABOVE
# recipients (0: only those that ask). Bounces come within minutes, complaints within the hour.
STAGES = env.stages("STAGES", default="1% 30m 10% 60m")
STAGES_ABOVE = env.number("STAGES_ABOVE", default=0, low=0, high=100000000)
# An issue halts by itself where a provider would begin to look into it: Amazon SES reviews at 5 % bounces and 0.1 % complaints
# (and stops an account at 10 % and 0.5 %); Gmail and Yahoo ask for less than 0.1 % spam reports, and never 0.3 %.
HALT_BOUNCE_PERCENT = env.percent("HALT_BOUNCE_PERCENT", default="5")
HALT_COMPLAINT_PERCENT = env.percent("HALT_COMPLAINT_PERCENT", default="0.1")
HALT_ERROR_PERCENT = env.percent(
    "HALT_ERROR_PERCENT", default="10"
)  # given up or unanswered: ours, half of what none could miss
HALT_SAMPLE = env.number("HALT_SAMPLE", default=200, low=1, high=1000000)  # recipients, before which no rate is judged
BREAKER_ERRORS = env.number("BREAKER_ERRORS", default=20, low=2, high=10000)  # refusals in a row; then only probes
# domain:selector:path of a private key, several of them; two keys of one domain sign both (an old one and a new one, RSA and Ed25519).
DKIM_KEYS = env.dkim_keys("DKIM_KEYS")
BOUNCE_ADDRESS = env.bounce_address(
    "BOUNCE_ADDRESS"
)  # where bounces go, as bounces+<tag>@...; empty: the list's own address

# --- Celery: the queue is only a doorbell -----------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL or "memory://"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True  # acks_late alone loses a task whose worker child is killed
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# The clock answers `celery inspect ping` as long as it ticks: its schedule file tells nothing (some dbm kinds write it at the end).
CELERY_BEAT_ENABLE_REMOTE_CONTROL = True
CELERY_BEAT_REMOTE_CONTROL_MAX_TICK_AGE = 60  # seconds without a tick after which it falls silent
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_SERIALIZER = "json"
CELERY_TIMEZONE = "UTC"
# memory:// runs 16 tasks/s with kombu's own polling interval and 600/s with this one.
CELERY_BROKER_TRANSPORT_OPTIONS = {"polling_interval": 0.02} if not REDIS_URL else {"visibility_timeout": 3600}

# --- Django -----------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "anymail",
    "subscribers",
    "newsletter",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.security.ContentSecurityPolicyMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [
                        "django.template.loaders.filesystem.Loader",
                        "django.template.loaders.app_directories.Loader",
                    ],
                )
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "desk:login"
LOGIN_REDIRECT_URL = "desk:issues"
LOGOUT_REDIRECT_URL = "desk:login"
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)  # whitenoise warns at every start without it
WHITENOISE_USE_FINDERS = True  # the embedded default needs no collectstatic
WHITENOISE_AUTOREFRESH = False

LANGUAGE_CODE = env.choice("LANGUAGE_CODE", default="en", among=("en", "ko"))
LANGUAGES = [("en", _("English")), ("ko", _("Korean"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = env.zone("TIME_ZONE", default="UTC")
USE_I18N = USE_TZ = True

CSRF_TRUSTED_ORIGINS = [SITE_URL]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SITE_URL.startswith("https://")
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "strict-origin-when-cross-origin"
X_FRAME_OPTIONS = "SAMEORIGIN"  # the desk shows its own preview in a sandboxed frame
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024  # bytes: a webhook of 1,000 events is about 1 MB
# X-Forwarded-* is believed only when an operator says that every request passes a proxy that sets it.
BEHIND_PROXY = env.flag("BEHIND_PROXY", default=False)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

LOG_LEVEL = env.choice("LOG_LEVEL", default="INFO", among=("DEBUG", "INFO", "WARNING", "ERROR"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    # Django logs the path of every 404 and 405, and our personal paths are keys.
    "filters": {"tokens": {"()": "newsletter.public.redaction.TokenFilter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["tokens"]}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {"celery": {"level": "WARNING"}, "waitress": {"level": "WARNING"}, "mail.log": {"level": "ERROR"}},
}

if env.wrong:
    raise ImproperlyConfigured("Sosik cannot start:\n" + "\n".join(f"  - {line}" for line in env.wrong))
