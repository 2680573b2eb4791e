"""How large is an installation of each part? Megabytes on the disk, with all that it needs.

`python -m tests.benchmarks.sizes [--json]` where pip installed `consortium-fl[all]`. Nothing is
installed: what a part needs is read from the packages, and their files are measured where they lie,
as `du` does. So one environment says how large one of each part would be.
"""

import json
import time
from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution, distribution, version
from importlib.util import cache_from_source
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.benchmarks.figures import options
from tests.matrix import PACKAGES, ROOT

PRODUCT = "consortium-fl"
PARTS = ("", "train", "text", "simulation", "data", "onnx", "sweep", "tracking", "all")
# An installation had one size, 2,205 MB, before it was divided.
UNDIVIDED_MB = 2_205
TARGETS = {"": 0.40, "train": 0.80}  # shares of that: without PyTorch; without Ray and text
_BLOCK = 512  # bytes: the unit of st_blocks, on every file system
_MB = 1_048_576

Part = tuple[str, str]  # a package and one of its extras, or none


def needed(part: str) -> set[str]:
    """Return the names of all packages that a part of the product needs, itself and pip too."""
    found: set[Part] = set()
    waiting: list[Part] = [(PRODUCT, part), ("pip", "")]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += required(*one)
    return {name for name, _ in found}


def required(name: str, extra: str) -> Iterator[Part]:
    """Yield what a package needs on this machine and Python, without an extra or for one."""
    for text in distribution(name).requires or ():
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
            yield from ((canonicalize_name(wanted.name), one) for one in ("", *wanted.extras))


def files_of(name: str) -> Iterator[Path]:
    """Yield the files of an installed package, compiled ones too, and the folders around them."""
    for path in _listed(distribution(name)):
        yield path
        yield path.parent
        if path.suffix == ".py":
            compiled = Path(cache_from_source(str(path)))
            yield compiled
            yield compiled.parent


def _listed(found: Distribution) -> Iterator[Path]:
    for path in found.files or ():
        yield Path(str(found.locate_file(path))).resolve()
    if canonicalize_name(found.name) == PRODUCT:  # one that is installed from here lists no modules
        for package in PACKAGES:
            yield from (path for path in (ROOT / package).rglob("*") if path.suffix != ".pyc")


def size_mb(part: str) -> float:
    """Return how many megabytes the files of a part and of all that it needs take on the disk."""
    blocks: dict[Path, int] = {}
    for name in needed(part):
        blocks.update(blocks_of(name))
    return sum(blocks.values()) * _BLOCK / _MB


@cache
def blocks_of(name: str) -> dict[Path, int]:
    """Return how many blocks each file of a package takes, by its path."""
    return {path: path.stat().st_blocks for path in set(files_of(name)) if path.exists()}


def missed_targets(sizes_mb: dict[str, int]) -> list[dict[str, object]]:
    """Return the parts that are larger than their share of the undivided installation."""
    return [
        {"what": part or "core", "figure": round(sizes_mb[part or "core"] / UNDIVIDED_MB, 3)}
        | {"target": target}
        for part, target in TARGETS.items()
        if sizes_mb[part or "core"] > target * UNDIVIDED_MB
    ]


def main() -> None:
    """Measure, and print the figures."""
    chosen = options(__doc__).parse_args()
    began = time.monotonic()
    sizes_mb = {part or "core": round(size_mb(part)) for part in PARTS}
    report = {
        "benchmark": "sizes",
        "baseline": f"an undivided installation: {UNDIVIDED_MB} MB",
        "figures": {
            part: {"mb": mb, "of_undivided": round(mb / UNDIVIDED_MB, 3)}
            for part, mb in sizes_mb.items()
        },
        "torch": version("torch"),
        "missed": missed_targets(sizes_mb),
        "seconds": round(time.monotonic() - began, 1),
    }
    if chosen.json:
        print(json.dumps(report, indent=1))
        return
    for part, mb in sizes_mb.items():
        print(f"{part:12} {mb:6} MB, {mb / UNDIVIDED_MB:5.0%} of {UNDIVIDED_MB} MB")
    print(json.dumps(report["missed"], indent=1))


if __name__ == "__main__":
    main()
