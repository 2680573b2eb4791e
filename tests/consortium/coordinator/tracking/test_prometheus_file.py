"""The text that Prometheus reads."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from consortium.coordinator.tracking.contract import RoundFigures, RunName
from consortium.coordinator.tracking.prometheus_file import PrometheusFile, exposition

NAME = RunName("heart", "heart-1")
COURSE = {"sites": 4, "seconds": 0.5, "bytes_down": 10, "bytes_up": 20}


def told(server_round: int = 2, **metrics: float) -> RoundFigures:
    return RoundFigures(server_round=server_round, course=COURSE, metrics=metrics)


def test_a_round_is_a_few_gauges_with_the_run_as_labels() -> None:
    assert exposition(told(auc=0.75), NAME).splitlines()[-3:] == [
        "# HELP consortium_metric Pooled metrics, as far as they are released.",
        "# TYPE consortium_metric gauge",
        'consortium_metric{consortium="heart",run="heart-1",metric="auc"} 0.75',
    ]
    assert 'consortium_round{consortium="heart",run="heart-1"} 2\n' in exposition(told(), NAME)


def test_without_released_metrics_there_is_no_metric() -> None:
    assert "consortium_metric" not in exposition(told(), NAME)


@given(consortium=st.text(), run=st.text())
def test_a_name_stays_one_label_of_one_line(consortium: str, run: str) -> None:
    """Whatever a charter is called, it adds no sample of its own."""
    text = exposition(told(auc=0.5), RunName(consortium, run))
    samples = [line for line in text.split("\n") if line and not line.startswith("#")]
    assert len(samples) == 3 + len(COURSE)
    for sample in samples:
        label, _, rest = sample.partition('{consortium="')
        escaped, end, _ = rest.partition('",run="')
        assert end
        assert label.startswith("consortium_")
        assert _unescaped(escaped) == consortium or '",run="' in consortium


def _unescaped(text: str) -> str:
    plain, letters = "", iter(text)
    for letter in letters:
        after = next(letters) if letter == "\\" else ""
        plain += {"n": "\n"}.get(after, after) if letter == "\\" else letter
    return plain


def test_metrics_stay_with_their_round_until_others_are_known(tmp_path: Path) -> None:
    path = tmp_path / "consortium.prom"
    file = PrometheusFile(path, NAME)
    for figures in (told(1, auc=0.5), told(2), told(3)):
        file.note_round(figures)
    labels = 'consortium="heart",run="heart-1"'
    held = path.read_text().splitlines()
    assert f"consortium_round{{{labels}}} 3" in held
    assert f"consortium_metric_round{{{labels}}} 1" in held
    assert f'consortium_metric{{{labels},metric="auc"}} 0.5' in held
    file.note_round(told(4, auc=0.75))
    assert path.read_text() == exposition(told(4, auc=0.75), NAME)


def test_the_file_holds_the_last_round_only(tmp_path: Path) -> None:
    path = tmp_path / "consortium.prom"
    file = PrometheusFile(path, NAME)
    file.note_round(told(1, auc=0.5))
    file.note_round(told(2, auc=0.75))
    file.close(finished=True)
    assert path.read_text() == exposition(told(2, auc=0.75), NAME)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
