"""All of Laurel's settings, from the environment (and an optional `.env` beside manage.py).

Every value has a safe default or fails loudly at start. Without any environment at all Laurel runs *embedded*: SQLite,
Celery on kombu's file-system broker, e-mail to the console, DEBUG off. `docs/configuration.md` lists every variable.
"""

import hashlib
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=False)
DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "var")))
"""What the embedded mode keeps on disk: database, broker folders, generated secrets, private uploads."""


def _required(name: str, example: str) -> str:
    """A variable that has no safe default. With DEBUG on, a value kept in DATA_DIR is made once and used again."""
    value = env.str(name, default="")
    if value:
        return value
    if not DEBUG:
        raise ImproperlyConfigured(f"{name} is not set. Set it in the environment or in .env, for example: {example}")
    from cryptography.fernet import Fernet

    path = DATA_DIR / f"{name.lower()}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(Fernet.generate_key().decode())
    return path.read_text().strip()


SECRET_KEY = _required("SECRET_KEY", 'python -c "import secrets; print(secrets.token_urlsafe(50))"')
FIELD_ENCRYPTION_KEYS = [
    key.strip()
    for key in _required(
        "FIELD_ENCRYPTION_KEYS",
        'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"',
    ).split(",")
    if key.strip()
]
"""Fernet keys, newest first: the first encrypts, all decrypt. Rotate by putting a new one in front."""

BASE_URL = env.str("BASE_URL", default="http://localhost:8000").rstrip("/")
"""The public address of this installation. Links in e-mails and the provider's webhooks use it."""
_base = urlsplit(BASE_URL)
if _base.scheme not in {"http", "https"} or not _base.hostname:
    raise ImproperlyConfigured(f"BASE_URL is {BASE_URL!r}; expected an address such as https://rewards.example.com")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[_base.hostname] + (["localhost", "127.0.0.1"] if DEBUG else []))
CSRF_TRUSTED_ORIGINS = [f"{_base.scheme}://{_base.netloc}"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "csp",
    "django_filters",
    "django_htmx",
    "rewards",
    # An app imports only apps above it (tests/test_imports.py).
    "incentives.core",
    "incentives.accounts",
    "incentives.notifications",
    "incentives.webhooks",
    "incentives.participants",
    "incentives.ledger",
    "incentives.programs",
    "incentives.crm",
    "incentives.claims",
    "incentives.awards",
    "incentives.earnings",
    "incentives.simulations",
    "incentives.tax",
    "incentives.payouts",
    "incentives.disputes",
    "incentives.reports",
    "incentives.portal",
    "incentives.api",
    "incentives.operations",
]

MIDDLEWARE = [
    "incentives.core.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "incentives.operations.middleware.ProbeMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "incentives.accounts.middleware.TimeZoneMiddleware",
]

ROOT_URLCONF = "incentives.urls"
WSGI_APPLICATION = "incentives.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.debug",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "incentives.accounts.context_processors.navigation",
            ],
        },
    },
]

# --- database -------------------------------------------------------------------------------------------------------
DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'laurel.sqlite3'}")}
_database = DATABASES["default"]
if _database["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE: a transaction that reads first and writes later fails at once in the default mode when another one
    # writes in between; measured: 201 of 400 concurrent writers. WAL: readers do not block the writer.
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
    # A test database in memory is one connection; races need a file with the same locks as production.
    _database["TEST"] = {"NAME": env.str("TEST_SQLITE_FILE", default=str(DATA_DIR / "test.sqlite3"))}
    if not _database["NAME"].startswith(":memory:"):
        Path(_database["NAME"]).parent.mkdir(parents=True, exist_ok=True)
else:
    _database["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=60)
    _database["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- cache ----------------------------------------------------------------------------------------------------------
REDIS_URL = env.str("REDIS_URL", default="")
# Redis is the broker's alone (noeviction): a cache beside the queue once evicted the queue. Nothing that must be right
# is cached, so each process keeps its own small cache.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# --- Celery: reasons and measurements in docs/decisions/0003-queue.md -------------------------------------------------
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_TASK_SOFT_TIME_LIMIT = 60
CELERY_TASK_TIME_LIMIT = 90
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "rewards.*": {"queue": "payouts"},
    "payouts.*": {"queue": "payouts"},
    "notifications.*": {"queue": "notify"},
    "simulations.*": {"queue": "reports"},
    "reports.*": {"queue": "reports"},
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 60
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = True
CELERY_WORKER_MAX_TASKS_PER_CHILD = 1000
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 400_000
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
VISIBILITY_TIMEOUT = 3600
if REDIS_URL:
    CELERY_BROKER_URL = REDIS_URL
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": VISIBILITY_TIMEOUT,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 25,
        "retry_on_timeout": True,
    }
else:
    _broker = DATA_DIR / "broker"
    CELERY_BROKER_URL = "filesystem://"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_broker / "queue"),
        "data_folder_out": str(_broker / "queue"),
        "processed_folder": str(_broker / "processed"),
        "control_folder": str(_broker / "control"),
        "store_processed": False,
        "polling_interval": 0.2,
    }
    for _folder in ("queue", "processed", "control"):
        (_broker / _folder).mkdir(parents=True, exist_ok=True)
CELERY_RESULT_BACKEND = None
CELERY_VISIBILITY_TIMEOUT = VISIBILITY_TIMEOUT
CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = {"visibility_timeout": VISIBILITY_TIMEOUT}
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")
CRM_FOLLOW_UP_TASK = "earnings.evaluate"
"""Who is told when facts changed: an app knows nothing of the apps below it."""
CRM_RAW_DAYS = env.int("CRM_RAW_DAYS", default=90)
"""The raw content of deliveries is personal data: it is erased after so many days."""
NOTIFICATION_DAYS = env.int("NOTIFICATION_DAYS", default=90)
"""After so many days it is forgotten what a notice was about and where it went; that it was sent stays."""
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "operations.sweep", "schedule": timedelta(seconds=15)},
    "erase-raw-deliveries": {"task": "crm.erase_old", "schedule": timedelta(hours=24)},
    "erase-old-notices": {"task": "notifications.erase_old", "schedule": timedelta(hours=24)},
    "refresh-catalogue": {"task": "rewards.refresh_catalogue", "schedule": timedelta(hours=6)},
}

# --- people and sign-in -----------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "account_login"
DEMO_SIGN_INS = env.json("DEMO_SIGN_INS", default=[]) if _base.hostname in {"localhost", "127.0.0.1"} else []
"""[role, e-mail, password] of people the sign-in page offers; only `make demo` sets it, and only this machine heeds it."""
ACCOUNT_ADAPTER = "incentives.accounts.adapter.InvitedOnlyAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"  # people are invited to the address they sign in with
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # nobody is mailed because somebody typed their address
ACCOUNT_SESSION_REMEMBER = True
SESSION_COOKIE_AGE = 14 * 24 * 3600

# --- web security -----------------------------------------------------------------------------------------------------
_https = _base.scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=_https)
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # probes come from inside, without TLS
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000 if _https else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = bool(SECURE_HSTS_SECONDS)
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if env.bool("BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "https:"],  # card pictures come from the provider's catalogue
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
MAX_IMPORT_BYTES = env.int("MAX_IMPORT_BYTES", default=50 * 1024 * 1024)

# --- files, language, time, mail ----------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(BASE_DIR / "staticfiles")))
MEDIA_ROOT = DATA_DIR / "uploads"  # private: never served by URL
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("es", _("Spanish")), ("fr", _("French"))]
LOCALE_PATHS = [BASE_DIR / "incentives" / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
EMAIL_TIMEOUT = env.int("EMAIL_TIMEOUT", default=10)
"""Seconds a mail server may be silent: without an end, one that hangs would stop every mail."""
FINANCE_CONTACT = env.str("FINANCE_CONTACT", default="")
"""Whom a recipient asks about a tax form: a name or an address, shown as it is."""
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default=f"Laurel <rewards@{_base.hostname}>")

# --- addresses that people type in (docs/notifications.md) -----------------------------------------------------------------
OUTGOING_PRIVATE_NETWORKS = env.list("OUTGOING_PRIVATE_NETWORKS", default=[])
"""Networks of your own that webhooks may reach, for example 10.20.0.0/16; every other private address is refused."""
OUTGOING_CA_FILE = env.str("OUTGOING_CA_FILE", default="")
"""Certificates (PEM) trusted beside the usual ones, for a chat server of your own."""

# --- the provider (docs/provider.md) ------------------------------------------------------------------------------------
E2R_BASE_URL = env.str("E2R_BASE_URL", default="").rstrip("/")
if E2R_BASE_URL.startswith("http://"):  # only ever the sandbox on this machine, which draws its cards itself
    CONTENT_SECURITY_POLICY["DIRECTIVES"]["img-src"].append(E2R_BASE_URL)
E2R_EMAIL = env.str("E2R_EMAIL", default="")
E2R_ACCESS_TOKEN = env.str("E2R_ACCESS_TOKEN", default="")
E2R_CURRENCY = env.str("E2R_CURRENCY", default="USD")
E2R_PO_PREFIX = env.str("E2R_PO_PREFIX", default="LAUREL")
"""1 to 12 of A-Z, a-z, 0-9: a different one per environment, so that numbers of test and live never meet."""
E2R_PO_KEY = env.str("E2R_PO_KEY", default=hashlib.sha256(f"po:{SECRET_KEY}".encode()).hexdigest())
"""Key of the HMAC behind PONumbers. Set it explicitly when SECRET_KEY may change: numbers stored already never change."""
E2R_PHYSICAL = env.bool("E2R_PHYSICAL", default=False)
"""Physical cards stay off until CarrierId and the shipping methods were seen on a real account."""
E2R_MAX_IN_FLIGHT = env.int("E2R_MAX_IN_FLIGHT", default=4)
E2R_WEBHOOKS = env.bool("E2R_WEBHOOKS", default=_https)
"""Whether orders carry a webhook address: only a public https BASE_URL can be called back. Polling alone suffices."""

# --- operations (docs/operations.md) --------------------------------------------------------------------------------------
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
"""Bearer token of /metrics; without one the page does not exist."""
ALLOW_SQLITE_LIVE = env.bool("ALLOW_SQLITE_LIVE", default=False)

# --- logs ---------------------------------------------------------------------------------------------------------------
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"redact": {"()": "incentives.core.logs.RedactingFilter"}},
    "formatters": {"line": {"()": "incentives.core.logs.LineFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["redact"]}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django.server": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        "kombu.connection": {"level": "ERROR"},  # it warns that the file-system broker has no host name
    },
}
