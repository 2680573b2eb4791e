"""The rules that the container files in docs/deploy/ keep, and where a file breaks them."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

PORT = "9443"  # of the coordinator's address in docs/operate.md
TARGETS = ("coordinator", "site")
_SECRET = re.compile(r"password|passwd|secret|token|_key|private", re.I)
_MOUNTED = {"/party", "/sent", "/data"}

Stage = list[tuple[str, str]]


def stages(containerfile: str) -> dict[str, Stage]:
    """Return the instructions of each stage by its name, those of the stages below it first."""
    whole = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", containerfile, flags=re.M))
    found: dict[str, Stage] = {}
    current: Stage = []
    for line in whole.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            current = found[name] = list(found.get(base, []))
        if word:
            current.append((word, " ".join(rest.split())))
    return found


def last_words(stage: Stage, instruction: str) -> str:
    """Return what the last instruction of a kind says; empty if there is none."""
    said = [rest for word, rest in stage if word == instruction]
    return said[-1] if said else ""


def broken_by_image(containerfile: str) -> list[str]:
    """Return which rules a Containerfile breaks."""
    found = stages(containerfile)
    broken = [f"no target {name}" for name in TARGETS if name not in found]
    for name in TARGETS:
        broken += [f"{name}: {rule}" for rule in _broken_by_stage(name, found.get(name, []))]
    for stage in found.values():
        broken += [
            f"a secret in {rest}"
            for word, rest in stage
            if word in {"ENV", "ARG"} and _SECRET.search(rest)
        ]
        broken += [
            f"copied into the image: {rest}"
            for word, rest in stage
            if word in {"ADD", "COPY"} and not re.match(r"\*\.whl |--from=", rest)
        ]
    return broken


def _broken_by_stage(name: str, stage: Stage) -> Iterator[str]:
    user = last_words(stage, "USER").partition(":")[0]
    if not user.isdecimal() or int(user) == 0:
        yield f"its user is {user or 'root'}"
    if "status" not in (check := last_words(stage, "HEALTHCHECK")) or "--healthy" not in check:
        yield "no health check"
    if f'"{name}", "up"' not in last_words(stage, "CMD"):
        yield "does not start its party"
    ports = [rest for word, rest in stage if word == "EXPOSE"]
    if ports != ([PORT] if name == "coordinator" else []):
        yield f"its ports are {ports}"
    if any(word == "VOLUME" for word, _ in stage):
        yield "a volume without a name: keys would be lost with the container"


def broken_by_services(compose: str) -> list[str]:
    """Return which rules a compose file breaks."""
    read: dict[str, Any] = yaml.safe_load(compose)
    named = set(read["volumes"])
    parties: dict[str, str] = {}
    broken = [f"no service {name}" for name in ("coordinator",) if name not in read["services"]]
    for name, service in read["services"].items():
        broken += [f"{name}: {rule}" for rule in _broken_by_service(name, service, named)]
        for volume in service["volumes"]:
            source, _, target = volume.partition(":")
            if target == "/party" and parties.setdefault(source, name) != name:
                broken.append(f"{name}: its keys are also in {parties[source]}")
    return broken


def _broken_by_service(name: str, service: Mapping[str, Any], named: set[str]) -> Iterator[str]:
    for rule, is_kept in _SETTINGS.items():
        if not is_kept(service):
            yield rule
    ports = service.get("ports", [])
    if ports != ([f"{PORT}:{PORT}"] if name == "coordinator" else []):
        yield f"its ports are {ports}"
    yield from _broken_by_volumes([one.split(":") for one in service["volumes"]], named)


_SETTINGS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "its root file system can be written": lambda service: service.get("read_only") is True,
    "it has no folder in memory": lambda service: service.get("tmpfs") == ["/tmp"],  # noqa: S108
    "it has capabilities": lambda service: (
        service.get("cap_drop") == ["ALL"] and not {"cap_add", "privileged"} & set(service)
    ),
    "it may gain privileges": lambda service: (
        service.get("security_opt") == ["no-new-privileges:true"]
    ),
    "it is not the image's user, or not apart from the machine": lambda service: (
        not {"user", "network_mode", "pid", "ipc", "devices"} & set(service)
    ),
    "something secret could be in its environment": lambda service: (
        not {"environment", "env_file", "secrets"} & set(service)
    ),
}


def _broken_by_volumes(volumes: list[list[str]], named: set[str]) -> Iterator[str]:
    targets = {target for _, target, *_ in volumes}
    if "/party" not in targets or not targets <= _MOUNTED:
        yield f"its volumes are {sorted(targets)}"
    for source, target, *words in volumes:
        if target != "/data" and source not in named:
            yield f"{source} is no volume with a name"
        if target == "/data" and "ro" not in ",".join(words).split(","):
            yield "its records can be written"
