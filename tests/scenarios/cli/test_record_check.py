"""`scenario check` and the end of a run: each site's own findings, on one machine."""

from pathlib import Path

from typer.testing import CliRunner

from scenarios.cli.main import app

WIDE = {"COLUMNS": "300"}


def said(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, [*words], env=WIDE)
    return done.exit_code, done.output


def test_careless_hospitals_are_named_before_anything_is_trained() -> None:
    code, output = said("check", "careless-hospital")
    assert code == 1
    named = output[output.index("va-long-beach") :]
    assert "ALARM: st_depression looks 1/10 of the others'" in named
    assert "ALARM: disease looks turned round" in output[output.index("hungary") :]


def test_right_records_end_well() -> None:
    code, output = said("check", "heart-diagnosis")
    assert code == 0
    assert "ALARM" not in output


def test_a_run_goes_on_and_its_end_repeats_what_sites_found(tmp_path: Path) -> None:
    words = ("--set", "num-server-rounds=1", "--out", str(tmp_path / "run"))
    code, output = said("run", "careless-hospital", *words)
    assert code == 0
    assert "va-long-beach found before it trained: st_depression looks 1/10" in output
