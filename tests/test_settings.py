"""Settings: safe by default or a loud failure; and what every page says to the browser."""

import os
import subprocess
import sys

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from incentives.accounts.models import Role, User, UserRole
from incentives.operations.middleware import PROBES
from tests.support.environment import ROOT

PRODUCTION = {
    "SECRET_KEY": "q8Zr-3vKx0LwTn5YbH2mJd7cGf9AsEuP_1iRoVtXyQ6BhNjM4kD",
    "FIELD_ENCRYPTION_KEYS": "Jj7wQk9tVw0zXn1m3r5u8x2A4D6G9K0N3Q6S8V1Y4a0=",
    "BASE_URL": "https://rewards.example.com",
    "BEHIND_PROXY": "1",
    "DATABASE_URL": "postgres://laurel:secret@127.0.0.1:9/laurel",
    "REDIS_URL": "redis://:secret@127.0.0.1:9/0",
    "EMAIL_URL": "smtp+tls://user:password@smtp.example.com:587",
    "E2R_BASE_URL": "https://api.provider.example",
    "E2R_EMAIL": "api@example.com",
    "E2R_ACCESS_TOKEN": "token",
}
WITHOUT_DOTENV = "import environ; environ.Env.read_env = staticmethod(lambda *a, **k: None); "


def _python(code: str, tmp_path, **environment: str) -> subprocess.CompletedProcess:
    """Run code with the application's settings in exactly this environment."""
    given = {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "incentives.settings",
        **environment,
    }
    command = [sys.executable, "-W", "ignore", "-c", WITHOUT_DOTENV + code]
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=60, check=False)


def _setting(name: str, tmp_path, **environment: str) -> str:
    done = _python(f"from django.conf import settings; print(settings.{name})", tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", ["SECRET_KEY", "FIELD_ENCRYPTION_KEYS"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_secret_stops_the_start_by_name_and_leaves_nothing_behind(tmp_path, name, value):
    environment = {key: text for key, text in PRODUCTION.items() if key != name}
    if value is not None:
        environment[name] = value
    done = _python("import django; django.setup()", tmp_path, **environment)
    assert done.returncode == 1
    assert f"ImproperlyConfigured: {name} is not set. Set it in the environment or in .env" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_with_debug_secrets_are_made_once_and_used_again(tmp_path):
    first = _setting("SECRET_KEY", tmp_path, DEBUG="1")
    assert len(first) >= 40
    assert _setting("SECRET_KEY", tmp_path, DEBUG="1") == first
    assert (tmp_path / "secret_key.txt").stat().st_mode & 0o777 == 0o600


def test_debug_is_off_by_default(tmp_path):
    assert _setting("DEBUG", tmp_path, **PRODUCTION) == "False"


@pytest.mark.parametrize("address", ["rewards.example.com", "ftp://rewards.example.com", "https://"])
def test_a_base_url_that_is_none_stops_the_start(tmp_path, address):
    done = _python("import django; django.setup()", tmp_path, **{**PRODUCTION, "BASE_URL": address})
    assert done.returncode == 1
    assert "expected an address such as https://rewards.example.com" in done.stderr


def test_a_production_environment_passes_the_deploy_checks_without_a_warning(tmp_path):
    code = "from django.core.management import execute_from_command_line as run; "
    done = _python(code + "run(['manage.py', 'check', '--deploy', '--fail-level', 'WARNING'])", tmp_path, **PRODUCTION)
    assert (done.returncode, done.stdout.strip()) == (0, "System check identified no issues (0 silenced)."), done.stderr


def test_live_credentials_on_sqlite_stop_every_command(tmp_path):
    environment = {**PRODUCTION, "DATABASE_URL": f"sqlite:///{tmp_path / 'laurel.sqlite3'}"}
    code = "from django.core.management import execute_from_command_line as run; run(['manage.py', 'check'])"
    done = _python(code, tmp_path, **environment)
    assert done.returncode == 1
    assert "operations.E003" in done.stderr
    assert _python(code, tmp_path, **environment, ALLOW_SQLITE_LIVE="1").returncode == 0


def _paths(patterns, prefix: str = "") -> list[str]:
    """Every address that needs no argument."""
    found = []
    for one in patterns:
        route = prefix + str(one.pattern).lstrip("^").removesuffix("$").removesuffix("\\Z")
        if isinstance(one, URLResolver):
            found += _paths(one.url_patterns, route)
        elif isinstance(one, URLPattern) and not {"<", "(", "?", "\\"} & set(route):
            found.append(f"/{route}")
    return sorted(set(found))


def _assert_headers(path: str, response) -> None:
    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy and "unsafe-eval" not in policy
    assert "frame-ancestors 'none'" in policy
    assert response["X-Content-Type-Options"] == "nosniff"
    if path not in PROBES:  # answered before that middleware; frame-ancestors says the same
        assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] in {"same-origin", "no-referrer"}
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response["X-Request-ID"]


@pytest.mark.parametrize("path", [*_paths(get_resolver().url_patterns), "/nowhere/"])
@pytest.mark.django_db
def test_every_page_carries_the_security_headers(path):
    visitor = Client()
    _assert_headers(path, visitor.get(path))
    user = User.objects.create_user("boss@example.com", is_staff=True, is_superuser=True)
    UserRole.objects.bulk_create(UserRole(user=user, role=role) for role in Role)
    visitor.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    response = visitor.get(path)
    _assert_headers(path, response)
    assert response.status_code < 500 or path == "/readyz"


def test_the_walk_finds_the_fixed_addresses():
    paths = _paths(get_resolver().url_patterns)
    assert {"/healthz", "/readyz", "/metrics", "/accounts/login/", "/admin/"} <= set(paths)


@pytest.mark.django_db
def test_https_is_remembered_and_cookies_stay_on_it(client, settings):
    settings.SECURE_HSTS_SECONDS = 31_536_000
    response = client.get("/accounts/login/", secure=True)
    assert response["Strict-Transport-Security"].startswith("max-age=31536000")


def test_cookies_are_secure_in_production(tmp_path):
    for name in ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY", "SECURE_SSL_REDIRECT"):
        assert _setting(name, tmp_path, **PRODUCTION) == "True", name
