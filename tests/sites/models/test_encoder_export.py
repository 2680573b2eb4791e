import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from sites.data.source import TableFile
from sites.models.encoder_export import ADAPTER, LABELS, TRAINED
from sites.schema.tables import ClassLabel
from sites.schema.texts import NotesSchema
from sites.tasks.text.classification import NotesTask
from tests.sites.small_encoders import FINDINGS, SIDES, YES_NO, small, table, task

TEXTS = ["left atrium pain", "no fever", "naïve 日本"]


def vector_of(one: NotesTask) -> np.ndarray:
    """Return a vector some distance from the initial model."""
    rng = np.random.default_rng(1)
    return rng.normal(0, 0.03, one.layout.dim).astype(np.float32).astype(np.float64)


def predicted(one: NotesTask, folder: Path) -> np.ndarray:
    table(n=len(TEXTS)).assign(text=TEXTS)[["text"]].to_parquet(folder / "new.parquet")
    pooled = np.zeros(one.statistics.layout.size, np.int64)
    return one.predict(TableFile(path=folder / "new.parquet"), pooled, vector_of(one))


@torch.no_grad()
def logits(model: torch.nn.Module, tokenizer: object) -> torch.Tensor:
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")  # type: ignore[operator]
    found: torch.Tensor = model(**batch).logits
    return found


@pytest.mark.parametrize(
    ("schema", "travels"),
    [(SIDES, "lora"), (SIDES, "full"), (YES_NO, "lora"), (YES_NO, "head"), (FINDINGS, "top-k")],
    ids=["three-lora", "three-full", "two-lora", "two-head", "several-top-k"],
)
def test_the_merged_model_has_the_scores_of_the_trained_one(
    tmp_path: Path, schema: NotesSchema, travels: str
) -> None:
    """To 1e-5, and loaded by transformers alone."""
    one = task(schema, travels, max_tokens=64)
    one.write(vector_of(one), tmp_path, merged=True)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    found = logits(model, AutoTokenizer.from_pretrained(tmp_path))
    label = schema.label
    names = label.classes if isinstance(label, ClassLabel) else label.labels
    assert model.config.id2label == dict(enumerate(names))
    several = model.config.problem_type == "multi_label_classification"
    shares = (found.sigmoid() if several else found.softmax(1)).numpy()
    expected = predicted(one, tmp_path)
    if expected.ndim == 1:
        expected = np.stack([1 - expected, expected], axis=1)
    np.testing.assert_allclose(shares, expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft's
def test_adapters_are_read_by_peft(tmp_path: Path) -> None:
    one = task(max_tokens=64)
    one.write(vector_of(one), tmp_path, merged=False)
    assert (tmp_path / ADAPTER).is_file()
    base = AutoModelForSequenceClassification.from_pretrained(small(), num_labels=3)
    model = PeftModel.from_pretrained(base, str(tmp_path)).eval()
    found = logits(model, AutoTokenizer.from_pretrained(tmp_path)).softmax(1).numpy()
    np.testing.assert_allclose(found, predicted(one, tmp_path), atol=1e-5)
    assert json.loads((tmp_path / LABELS).read_text()) == ["left", "mid", "right"]


def test_other_trained_parameters_are_written_by_name(tmp_path: Path) -> None:
    one = task(travels="top-k")
    one.write(vector_of(one), tmp_path, merged=False)
    assert (tmp_path / TRAINED).is_file()
    assert not (tmp_path / "config.json").exists()  # nobody takes it for a whole model


@pytest.mark.slow
def test_a_fresh_process_needs_transformers_only(tmp_path: Path) -> None:
    one = task(max_tokens=64)
    one.write(vector_of(one), tmp_path, merged=True)
    program = (
        "import sys\n"
        "from transformers import AutoModelForSequenceClassification as M, AutoTokenizer as T\n"
        f"model, tokenizer = M.from_pretrained({str(tmp_path)!r}), T.from_pretrained("
        f"{str(tmp_path)!r})\n"
        f"batch = tokenizer({TEXTS[0]!r}, return_tensors='pt')\n"
        "print(model.config.id2label[int(model(**batch).logits.argmax())])\n"
        "assert not {'sites', 'consortium', 'peft'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"HF_HUB_OFFLINE": "1", "PATH": ""},
    )
    expected = predicted(one, tmp_path)[0].argmax()
    assert done.stdout.split()[-1] == ("left", "mid", "right")[int(expected)]
