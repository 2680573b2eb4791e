"""Write constraints.txt: `python -m tests.constraints LOCK`, as `make constraints` does.

LOCK is a lock file (PEP 751) for Linux on x86_64 and Python 3.11. Only its names, versions and
SHA-256 are kept, and not from where files can be had.
"""

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "constraints.txt"
HEADER = """\
# The tested versions of what a party installs, on Linux, x86_64, Python 3.11, with the SHA-256 of
# their files in the public index. Made by `make constraints`; docs/operate.md says how to install
# them. torch is the build with the libraries of CUDA. The build for machines without a GPU is
# another file with another hash, which is not here.
"""


def lines(lock: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each package: its version, and the hashes of the files that fit.

    Source is listed only of what has no built file, since building runs code of its own.
    """
    for package in sorted(lock["packages"], key=lambda one: str(one["name"])):
        files = package.get("wheels") or [package["sdist"]]
        digests = sorted({file["hashes"]["sha256"] for file in files})
        hashes = "".join(f" \\\n    --hash=sha256:{digest}" for digest in digests)
        yield f"{package['name']}=={package['version']}{hashes}\n"


def main() -> None:
    """Write the file."""
    lock = tomllib.loads(Path(sys.argv[1]).read_text())
    FILE.write_text(HEADER + "".join(lines(lock)))


if __name__ == "__main__":
    main()
