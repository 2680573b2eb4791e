"""docs/deploy/ and docs/deploy.md: held to the rules, and followed where there is an engine."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from consortium.cli.main import app
from privacy.errors import ConsortiumError
from tests.container_files import (
    PORT,
    TARGETS,
    broken_by_image,
    broken_by_services,
    last_words,
    stages,
)
from tests.docs.pages import DEPLOY, OPERATE, ROOT, shell_lines
from tests.matrix import PACKAGES

FILES = ROOT / "docs" / "deploy"
CONTAINERFILE = (FILES / "Containerfile").read_text()
COMPOSE = (FILES / "compose.yaml").read_text()
BASH = "/bin/bash"
CLEAN = "podman-compose down --volumes"
VOLUMES = "podman volume ls --quiet --filter name=^(consortium|deploy)_"


def test_the_files_keep_the_rules() -> None:
    assert broken_by_image(CONTAINERFILE) == []
    assert broken_by_services(COMPOSE) == []


@pytest.mark.parametrize(
    ("here", "there", "rule"),
    [
        ("USER 10001:10001\n", "", "its user is root"),
        ("USER 10001:10001", "USER root", "its user is root"),
        ("USER 10001:10001", "USER 0", "its user is 0"),
        ("FROM party AS site\n", "FROM party AS site\nUSER 0\n", "site: its user is 0"),
        ("HEALTHCHECK", "LABEL a=b #", "no health check"),
        ("--healthy", "--help", "no health check"),
        ("EXPOSE 9443", "EXPOSE 9443\nEXPOSE 22", "its ports are"),
        ("COPY *.whl /wheels/", "COPY . /wheels/", "copied into the image"),
        ("FROM party AS site\n", "FROM party AS site\nCOPY site.secret /\n", "copied into"),
        ('ARG EXTRAS=""', 'ARG INDEX_TOKEN=""', "a secret in INDEX_TOKEN"),
        ("WORKDIR /party", "VOLUME /party", "without a name"),
        ("AS site", "AS ward", "no target site"),
    ],
)
def test_an_image_that_breaks_a_rule_is_found(here: str, there: str, rule: str) -> None:
    assert here in CONTAINERFILE
    assert any(rule in said for said in broken_by_image(CONTAINERFILE.replace(here, there)))


@pytest.mark.parametrize(
    ("here", "there", "rule"),
    [
        ("read_only: true", "read_only: false", "va: its root file system can be written"),
        ("cap_drop: [ALL]", "cap_drop: [NET_RAW]", "capabilities"),
        ("init: true", "privileged: true", "capabilities"),
        ("no-new-privileges:true", "label:disable", "may gain privileges"),
        ("init: true", 'user: "0"', "not the image's user"),
        ("init: true", "network_mode: host", "not the image's user"),
        ("init: true", "environment: {PASSWORD: x}", "environment"),
        ('["9443:9443"]', '["9443:9443", "9093:9093"]', "its ports are"),
        (
            "  va:\n    <<: *party\n",
            '  va:\n    <<: *party\n    ports: ["22:22"]\n',
            "va: its ports",
        ),
        ("/data:ro,z", "/data:z", "its records can be written"),
        ('["va:/party"', '["hungary:/party"', "its keys are also in hungary"),
        ('["va:/party"', '["./va:/party"', "no volume with a name"),
        ('["va:/party", ', "[", "its volumes are"),
        ("  va:\n  sent", "  sent", "va is no volume"),
    ],
)
def test_a_service_that_breaks_a_rule_is_found(here: str, there: str, rule: str) -> None:
    assert here in COMPOSE
    assert any(rule in said for said in broken_by_services(COMPOSE.replace(here, there)))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("instruction", ["CMD", "HEALTHCHECK"])
def test_what_an_image_starts_is_a_command_that_is_there(target: str, instruction: str) -> None:
    """With no party in the volume it is refused as that, and not as wrong usage."""
    said = last_words(stages(CONTAINERFILE)[target], instruction)
    program, *words = json.loads(said[said.index("[") :])
    assert program == "consortium"
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, ConsortiumError), result.output
    assert result.exception.code in {"not-a-coordinator", "bad-site"}


def test_the_port_is_that_of_the_page_about_operation() -> None:
    assert f"--coordinator 127.0.0.1:{PORT}" in OPERATE.read_text()
    assert f"--coordinator coordinator:{PORT}" in DEPLOY.read_text()


def test_the_services_run_the_images_that_the_page_builds_and_no_image_has_a_moving_base() -> None:
    built = [line for line in shell_lines(DEPLOY) if line.startswith("podman build")]
    tagged = {line.split("--tag ")[1].split()[0] for line in built}
    assert {one["image"] for one in yaml.safe_load(COMPOSE)["services"].values()} == tagged
    assert all("--format docker" in line for line in built)  # else no health check is kept
    base = CONTAINERFILE.split("ARG BASE=")[1].split()[0]
    assert "3.11" in base
    assert "latest" not in base


def test_the_page_waits_for_the_parties_before_it_trains_and_verifies_afterwards() -> None:
    """`up -d` returns at once, and a run that finds no coordinator fails."""
    said = [line.removeprefix("podman-compose ") for line in shell_lines(DEPLOY)]
    steps = (
        "up -d",
        "until",
        "coordinator consortium run",
        "consortium audit verify",
        "down",
    )
    found = [next(n for n, line in enumerate(said) if step in line) for step in steps]
    assert found == sorted(found)
    assert all("--healthy; do sleep" in line for line in said if line.startswith("until"))


def test_the_page_means_containers_by_names_that_every_compose_gives_them() -> None:
    """Left to itself, each version of each program makes up other names."""
    services = yaml.safe_load(COMPOSE)["services"]
    names = {name: one["container_name"] for name, one in services.items()}
    assert names == {name: f"consortium-{name}" for name in services}
    lines = [line.removeprefix("until ") for line in shell_lines(DEPLOY)]
    meant = [line.split()[2] for line in lines if line.startswith(("podman exec ", "podman cp "))]
    assert {place.split(":")[0] for place in meant} == {*names.values()}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_command_of_the_page_does_what_it_says(tmp_path: Path) -> None:
    """Needs an engine that starts containers, and the base image or a registry."""
    missing = [name for name in ("podman", "podman-compose") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not built and not run, for want of {' and '.join(missing)}")
    kept = subprocess.run(VOLUMES.split(), capture_output=True, text=True, check=True).stdout
    assert kept == "", f"a consortium keeps its keys in these volumes, which would go: {kept}"
    for name in (*PACKAGES, "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    for wheel in os.environ.get("WHEELS", "").split():  # for a machine without an index
        (tmp_path / "deploy").mkdir(exist_ok=True)
        shutil.copy(wheel, tmp_path / "deploy")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    try:
        done = subprocess.run(
            [BASH, "-ex", "-c", "\n".join(shell_lines(DEPLOY))],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        subprocess.run([BASH, "-c", CLEAN], cwd=tmp_path / "deploy", check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.splitlines().count("healthy") == 2
    assert "finished: 3 rounds, model" in done.stdout
    assert "4 of 4 logs intact" in done.stdout
    assert done.stdout.count("added correctly, and confirmed so by cleveland, hungary, va") >= 2
    assert "the ledger of va continues all" in done.stdout
    assert "15 of 15 steps, ended" in done.stdout
    assert (tmp_path / "deploy" / "first" / "report.html").exists()
