"""Dockerfile, docker-compose.yml and the documentation of variables, as far as they can be checked without an engine."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands

from tests.support.environment import ROOT

DOCKERFILE = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if str(service["image"]).startswith("laurel:")]
DOCUMENTED = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", (ROOT / "docs/configuration.md").read_text()))


def _copied() -> list[str]:
    """What the Dockerfile copies from the build context."""
    lines = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if line.startswith("COPY") and "--from" not in line]
    return [source for line in lines for source in line]


def _command(service: str) -> list[str]:
    return SERVICES[service]["command"]


def test_everything_the_dockerfile_copies_exists_and_is_not_ignored():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert [source for source in _copied() if not (ROOT / source).exists()] == []
    assert set(_copied()) == kept
    assert not any((ROOT / source).name.startswith(".env") for source in kept)


def test_the_image_runs_as_nobody_in_particular_and_is_probed():
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM") :]
    assert last.index("USER laurel") < last.index("\nCMD")
    assert "HEALTHCHECK" in last and "/healthz" in last
    assert "python:3.11-slim" in last
    assert "REMAP_SIGTERM" not in DOCKERFILE  # docs/decisions/0003-queue.md: an idle worker would need a minute to stop


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The image's /app, made from the COPY lines alone, with its static files collected by the Dockerfile's own words."""
    app = tmp_path_factory.mktemp("image") / "app"
    app.mkdir()
    for source in _copied():
        target = app / source
        shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__")) if (
            ROOT / source
        ).is_dir() else shutil.copy(ROOT / source, target)
    step = re.search(r"RUN (SECRET_KEY=.*collectstatic --noinput)", DOCKERFILE).group(1)
    step = step.replace("/tmp/build", str(app.parent / "build")).replace(
        "python manage.py", f"{sys.executable} manage.py"
    )
    environment = {"PATH": os.environ["PATH"], "STATIC_ROOT": str(app / "staticfiles")}
    done = subprocess.run(step, shell=True, cwd=app, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return app


def _in_image(image, *command: str) -> subprocess.CompletedProcess:
    environment = {
        "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
        "SECRET_KEY": "7f1Q" * 16,
        "FIELD_ENCRYPTION_KEYS": "Jj7wQk9tVw0zXn1m3r5u8x2A4D6G9K0N3Q6S8V1Y4a0=",
        "STATIC_ROOT": str(image / "staticfiles"),
        "DATA_DIR": str(image.parent / "data"),
    }
    return subprocess.run(command, cwd=image, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_what_the_image_holds_is_enough_to_run(image):
    assert (image / "staticfiles" / "staticfiles.json").exists()
    for command in (["python", "manage.py", "check"], ["gunicorn", "--check-config", "incentives.wsgi"]):
        done = _in_image(image, *command)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("service", OURS)
def test_every_command_of_compose_exists(service):
    command = _command(service)
    if command[0] == "python":
        assert command[1] == "manage.py"
        assert command[2] in get_commands()
    else:
        assert command[0] in {"gunicorn", "celery"}
        assert shutil.which(command[0], path=os.path.dirname(sys.executable))


def test_every_queue_has_a_worker():
    routed = {route["queue"] for route in settings.CELERY_TASK_ROUTES.values()} | {settings.CELERY_TASK_DEFAULT_QUEUE}
    taken = [command[command.index("-Q") + 1] for command in map(_command, OURS) if "-Q" in command]
    assert {queue for queues in taken for queue in queues.split(",")} == routed


def test_there_is_one_beat_one_sweep_and_they_run_apart():
    assert [name for name in OURS if "beat" in _command(name)] == ["beat"]
    assert [name for name in OURS if "sweep" in _command(name)] == ["sweep"]
    assert "redis" not in SERVICES["sweep"]["depends_on"]


@pytest.mark.parametrize("service", OURS)
def test_our_services_have_no_rights_they_do_not_need(service):
    values = SERVICES[service]
    assert (values["read_only"], values["cap_drop"]) == (True, ["ALL"])
    assert int(values["stop_grace_period"].removesuffix("s")) > settings.CELERY_TASK_TIME_LIMIT
    assert all(port.startswith("127.0.0.1:") for port in values.get("ports", []))
    if service != "migrate":
        assert values["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_servers_of_others_are_probed_and_reachable_from_inside_only():
    for name in ("db", "redis"):
        assert SERVICES[name]["healthcheck"]["test"]
        assert "ports" not in SERVICES[name]
    assert int(re.search(r"postgres:(\d+)", SERVICES["db"]["image"]).group(1)) >= 15
    redis = SERVICES["redis"]["command"][2]
    for word in ("--maxmemory-policy noeviction", "--appendonly yes", "--appendfsync everysec", "--requirepass"):
        assert word in redis


def test_no_secret_has_a_default():
    text = (ROOT / "docker-compose.yml").read_text()
    secrets = {"SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "E2R_PO_KEY"}
    for name in secrets:
        uses = re.findall(rf"\$\{{{name}(\W)", text)
        assert uses and set(uses) == {":"}, name
        assert re.search(rf"\$\{{{name}:\?set {name} in \.env", text), name
    example = (ROOT / ".env.example").read_text()
    assert {line for line in example.splitlines() if line and line[0] != "#" and not line.endswith("=")} == set()
    required = set(re.findall(r"\$\{([A-Z0-9_]+):\?", text))
    assert required <= set(re.findall(r"^([A-Z0-9_]+)=", example, re.MULTILINE))


def test_every_variable_of_compose_is_documented():
    used = set(re.findall(r"\$\{([A-Z0-9_]+)", (ROOT / "docker-compose.yml").read_text()))
    for service in SERVICES.values():
        used |= set(service.get("environment", {}))
    assert used - DOCUMENTED == set()


def test_every_setting_is_documented_and_every_documented_one_exists():
    source = (ROOT / "incentives/settings.py").read_text()
    read = set(re.findall(r"""(?:env\.\w+|_required)\(\s*"([A-Z0-9_]+)\"""", source))
    assert len(read) > 25
    assert read - DOCUMENTED == set()
    page = (ROOT / "docs/configuration.md").read_text().split("## Read by the programs around Laurel")[0]
    rows = {
        name
        for line in page.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([A-Z0-9_]+)`", line.split("|")[1])
    }
    assert rows - read == set()


@pytest.mark.parametrize("name", ["README.md", "docs/operations.md", "docs/configuration.md"])
def test_links_between_pages_lead_somewhere(name):
    page = ROOT / name
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_make_knows_what_the_readme_promises():
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "demo-reset", "test", "test-quick", "lint", "format", "bench", "lock", "help"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert os.access(ROOT / ".ci/run", os.X_OK) and os.access(ROOT / ".ci/install", os.X_OK)
