"""A run is bound to the digest of its config: those of version 0.1.0 still stand, bit for bit."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from consortium.config import RunConfig, Scalar

ROOT = Path(__file__).parents[2]

# Made by version 0.1.0: what was chosen, and RunConfig.digest.
DIGESTS: list[tuple[dict[str, Scalar], str]] = [
    ({}, "9423e73b15f393419138a2997915911cbce2a0f3de783baf8cb0138abb34d722"),
    (
        {
            "local-epochs": 3,
            "batch-size": 16,
            "learning-rate": 0.1,
            "local-optimizer": "adam",
            "momentum": 0.9,
            "weight-decay": 0.001,
            "proximal-mu": 1000000000000.0,
            "class-balance": "weights",
        },
        "b6c1e6645d9c2c68e52511b76d0b75467dbc40cfa3759b3d51084798aa57d85f",
    ),
    (
        {"model": "logistic", "hidden-units": 8, "seed": 9223372036854775807},
        "7ed5a8c764e3ec6705bf112d2f072c47727069811144332931400be5fda48fa6",
    ),
    (
        {
            "model-name": "/encoders/größe",
            "model-digest": "abababababababababababababababababababababababababababababababab",
            "travels": "top-k",
            "top-layers": 4,
            "lora-rank": 2,
            "lora-alpha": 1e-07,
            "max-tokens": 64,
            "stride": 16,
            "training-windows": 2,
        },
        "f85ce1fa642684c8ac59f7d363063b6b64b3770725fd43ec80c910553bebacbb",
    ),
    (
        {
            "aggregation": "encrypted",
            "parameter-set": "compact-8",
            "buckets": 3,
            "attempts": 4,
            "first-scale": 0.25,
            "weighting": "equal",
            "num-server-rounds": 5,
            "fraction": 0.75,
            "quorum": 3,
            "deadline-s": 90,
            "join-deadline-s": 1e16,
        },
        "4e92ab1d368eca051bc3fcc12212fb3281c9e2f81650841fdc039492aeb40e6d",
    ),
    (
        {
            "rule.name": "krum",
            "rule.num-byzantine": 2,
            "rule.clip-norm": 1,
            "rule.pre-step": "bucketing",
            "rule.bucket-size": 3,
            "rule.clip-quantile": 0.25,
            "rule.clip-rate": 0.1,
            "rule.momentum": 0.5,
            "rule.iterations": 7,
        },
        "ffceacba0fad3e2bc73d8302e5db3ed0cd0c4edc846d0240dd7850b8886943ee",
    ),
    (
        {
            "server-optimizer.name": "yogi",
            "server-optimizer.learning-rate": 0.01,
            "server-optimizer.momentum": 0.0,
            "server-optimizer.beta1": 0.8,
            "server-optimizer.beta2": 0.999,
            "server-optimizer.tau": 1e-09,
        },
        "e234637029e354b3ca70decc02961f0a0666791e63fcfb3822d27cf717072eb9",
    ),
    (
        {
            "dp.unit": "person",
            "dp.epsilon": 3,
            "dp.delta": 1e-06,
            "dp.clip-norm": 0.5,
            "dp.sampling-rate": 0.2,
            "dp.steps": 5,
            "dp.max-records-per-person": 4,
        },
        "24482e6d04fea360e16f1a22d43516f510eff156e3686d1f93d602f44418b978",
    ),
    (
        {"dp.unit": "record", "dp.noise-multiplier": 1.5},
        "d2191bf2c958ecbb1315c3af6c79d917837c6d402094499a029affb9e8106344",
    ),
    ({"dp.epsilon": 3.0}, "cb8b4994765c528749583df50f77193a94b9feb42740f2021232157ef662d6ae"),
]

# What 0.1.0 hashed of a config of defaults.
CANONICAL = (
    '{"model_name":"minilm","model_digest":"","travels":"lora","top_layers":2,"lora_rank":8,'
    '"lora_alpha":16.0,"max_tokens":128,"stride":32,"training_windows":4,"model":"mlp",'
    '"hidden_units":32,"aggregation":"clear","parameter_set":"default","buckets":1,"attempts":3,'
    '"first_scale":1.0,"weighting":"classes","num_server_rounds":20,"fraction":1.0,"quorum":2,'
    '"deadline_s":600.0,"join_deadline_s":120.0,"local_epochs":1,"batch_size":128,'
    '"learning_rate":0.05,"local_optimizer":"sgd","momentum":0.0,"weight_decay":0.0,'
    '"proximal_mu":0.0,"class_balance":"none","rule":{"name":"mean","num_byzantine":0,'
    '"clip_norm":10.0,"pre_step":"none","bucket_size":2,"clip_quantile":0.5,"clip_rate":0.2,'
    '"momentum":0.0,"iterations":1},"server_optimizer":{"name":"sgd","learning_rate":1.0,'
    '"momentum":0.9,"beta1":0.9,"beta2":0.99,"tau":0.001},"dp":{"unit":"off","epsilon":0.0,'
    '"noise_multiplier":0.0,"delta":0.0,"clip_norm":1.0,"sampling_rate":0.05,"steps":20,'
    '"max_records_per_person":16},"seed":7}'
)


@pytest.mark.parametrize(("chosen", "digest"), DIGESTS)
def test_a_config_has_the_digest_that_version_0_1_0_gave_it(
    chosen: dict[str, Scalar], digest: str
) -> None:
    config = RunConfig.parse(chosen)
    assert config.digest == digest
    assert RunConfig.parse(config.flat()).digest == digest


def test_the_digest_is_that_of_all_first_keys_in_their_order() -> None:
    assert RunConfig().digest == hashlib.sha256(CANONICAL.encode()).hexdigest()


LATER = """
from consortium.config import RunConfig
for chosen in ({}, {"later": 0.0}, {"later": 0.25}):
    print(RunConfig.parse(chosen).digest)
"""


def test_a_key_of_a_later_version_leaves_the_digest_as_it_was_where_it_has_its_default(
    tmp_path: Path,
) -> None:
    """In a copy of the project with one more key, which says since when it is there."""
    shutil.copytree(ROOT / "sites", tmp_path / "sites")
    plans = (tmp_path / "sites" / "plans.py").read_text()
    before = "    proximal_mu: Annotated[\n"
    assert plans.count(before) == 1
    field = 'Annotated[float, Field(ge=0, description="More."), Since("0.2.0")] = 0.0'
    plans = plans.replace(before, f"    later: {field}\n{before}")
    imported = "from privacy.declarations import Since\n"
    (tmp_path / "sites" / "plans.py").write_text(imported + plans)
    said = subprocess.run(
        [sys.executable, "-c", LATER],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    absent, default, chosen = said.stdout.split()
    assert absent == default == RunConfig().digest
    assert chosen != default
