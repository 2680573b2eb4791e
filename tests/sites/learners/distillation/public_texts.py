"""A file of agreed texts, and the plan that names it."""

import hashlib
from pathlib import Path

from sites.learners.distillation.plan import DistilPlan
from tests.sites.small_encoders import table

NUMBER = 24


def agreed(folder: Path, **changes: object) -> DistilPlan:
    """Return a plan whose texts are in the folder, some of them longer than a window."""
    path = folder / "public.txt"
    path.write_bytes(("\n".join(table(n=NUMBER, seed=77)["text"]) + "\n\n").encode())
    chosen: dict[str, object] = {
        "file": str(path),
        "digest": hashlib.sha256(path.read_bytes()).hexdigest(),
        "texts": NUMBER,
        "epochs": 20,
        "learning_rate": 5e-3,
        **changes,
    }
    return DistilPlan(**chosen)  # type: ignore[arg-type]
