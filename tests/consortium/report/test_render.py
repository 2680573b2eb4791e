import re
import shutil
from html import unescape
from pathlib import Path

import pytest

from consortium.charter.document import BadCharter
from consortium.config import KEYS
from consortium.report import render as report
from consortium.report.elements.blocks import HeatTable
from consortium.report.elements.run_reader import Recorded
from consortium.report.plain_text import report_text
from consortium.report.render import render_report
from consortium.run.directory import BadRunDirectory, RunDirectory
from consortium.wording.formatting import SPACE
from sites.schema.tables import ClassLabel
from strategies.coordinator.messaging.events import SiteQuarantined
from tests.consortium.report.sample_reports import SHARED, write_reports
from tests.consortium.sample_run import BANKS, Sample

LARGEST_BYTES = 1_500_000


def left_out(server_round: int, site: str, code: str, **counts: int) -> SiteQuarantined:
    return SiteQuarantined(server_round=server_round, site=site, code=code, counts=counts)


NOT_USED = (
    left_out(0, "node 1007", "not-a-member"),
    left_out(1, "cedar-bank", "silent"),
    left_out(2, "cedar-bank", "silent"),
    left_out(3, "birch-bank", "site-refused.bad-table", columns=2, values=17),
    left_out(5, "birch-bank", "moon-in-the-way"),
)
MANY = tuple(f"hospital-{place}" for place in range(30))
OWN = {
    "withheld": Sample(released=(), config={"rule.name": "trimmed-mean", "rule.num-byzantine": 1}),
    "quarantined": Sample(quarantined=NOT_USED),
    "stopped-between": Sample(
        completed=3,
        released=BANKS[:2],
        config={"evaluate-every": 4},
        error="run-paused: the model of 2 rounds is judged: resume it",
    ),
    "seldom": Sample(rounds=12, config={"evaluate-every": 4}),
    "stopped": Sample(completed=2, error="quorum-not-reached: one of 4 answered; missing: x, y"),
    "never-began": Sample(absent=BANKS, completed=0, error="quorum-not-reached: nobody came"),
    "encrypted": Sample(released=(), config={"aggregation": "encrypted", "scale-rule": "doubling"}),
    "fitting": Sample(
        config={"aggregation": "encrypted"},
        saturated={1: 0, 2: 0, 3: 0},
    ),
    "cut-off": Sample(
        config={"aggregation": "encrypted", "first-scale": 0.5},
        saturated={1: 7, 2: 0, 3: 5, 5: 0},
    ),
    "many": Sample(
        members=MANY,
        records=80,
        rounds=2,
        values={"federated": 0.75, **dict.fromkeys(MANY, 0.6), "pooled": 0.76},
    ),
}
SAMPLES = {**SHARED, **OWN}


@pytest.fixture(scope="module")
def reports(
    shared_reports: dict[str, RunDirectory], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, RunDirectory]:
    """Every sample run, written and rendered once."""
    return shared_reports | write_reports(OWN, tmp_path_factory.mktemp("runs"))


def text_of(run: RunDirectory) -> str:
    """Return the text of a page, without styles and tags, in one line."""
    page = re.sub(r"(?s)<style>.*?</style>|<[^>]+>", " ", run.report.read_text())
    return re.sub(r"\s+", " ", unescape(page).replace(SPACE, " "))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_report_asks_for_nothing_from_outside(
    name: str, reports: dict[str, RunDirectory]
) -> None:
    page = reports[name].report.read_text()
    references = re.findall(r"(?:src|srcset|href|action|data)=\"([^\"]*)\"", page)
    assert references
    assert all(
        found.startswith(("data:image/svg+xml;base64,", "data:,", "#")) for found in references
    )
    assert not re.search(
        r"<(script|iframe|object|embed|form|link rel=\"stylesheet\")|@import", page
    )
    assert "url(" not in page
    assert "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page


@pytest.mark.parametrize("name", SAMPLES)
def test_a_report_can_be_read_by_everyone(name: str, reports: dict[str, RunDirectory]) -> None:
    """It has a language, one main heading, working links, and a text for every plot."""
    page = reports[name].report.read_text()
    assert page.startswith('<!doctype html>\n<html lang="en">')
    assert page.count("<h1>") == 1
    assert 'name="viewport"' in page
    anchors = re.findall(r"href=\"#([^\"]+)\"", page)
    assert [f'id="{anchor}"' in page for anchor in anchors] == [True] * len(anchors)
    images = re.findall(r"<img [^>]*alt=\"([^\"]*)\"", page)
    assert len(images) == page.count("<img ")
    assert all(len(alt) > 10 for alt in images)
    assert page.count("<table") == page.count("<caption") == page.count("<thead")


@pytest.mark.parametrize("name", SAMPLES)
def test_every_cell_of_a_card_says_its_column(name: str, reports: dict[str, RunDirectory]) -> None:
    """On a phone the rows of a table of three columns or more are cards, without headings."""
    page = reports[name].report.read_text()
    assert "attr(data-column)" in page
    tables = re.findall(r'(?s)<table(?: class="([^"]*)")?>(.*?)</table>', page)
    for kind, table in tables:
        if "matrix" in kind:
            continue
        titles = re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', table)
        assert (kind == "cards") == (len(titles) > 2)
        for row in re.findall(r'(?s)<th scope="row".*?</tr>', table):
            assert re.findall(r'data-column="([^"]*)"', row) == titles[1:]
    assert any(kind == "cards" for kind, _ in tables)


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG 2 defines it."""
    short = colour.removeprefix("#")
    whole = "".join(2 * one for one in short) if len(short) == 3 else short
    parts = [int(whole[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("text", ["ink", "lead", "quiet", "accent"])
def test_every_text_can_be_read_by_day_and_by_night(
    text: str, scheme: str, reports: dict[str, RunDirectory]
) -> None:
    """Its contrast with the page is at least 4.5, as WCAG 2 asks."""
    style = reports["compared"].report.read_text()
    day, night = re.findall(r"(?s):root \{(.*?)\}", style)
    chosen = dict(re.findall(r"--(\w+): (#\w+)", day if scheme == "light" else day + night))
    dark, bright = sorted(luminance(chosen[name]) for name in (text, "page"))
    assert (bright + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.parametrize("name", SAMPLES)
def test_a_report_is_small_and_its_pictures_are_in_the_folder(
    name: str, reports: dict[str, RunDirectory]
) -> None:
    run = reports[name]
    assert run.report.stat().st_size < LARGEST_BYTES
    pictures = list((run.path / report.PLOTS).iterdir())
    assert len(pictures) == run.report.read_text().count("<img ")
    assert all(path.suffix == ".svg" for path in pictures)


@pytest.mark.parametrize("name", SAMPLES)
def test_no_report_shows_a_hole_in_a_sentence(name: str, reports: dict[str, RunDirectory]) -> None:
    text = text_of(reports[name])
    assert not re.search(
        r"\bnan\b|\binf\b|None(?! of the)|Undefined|\{|\}| \.|\.\.|;;|\( ?\)", text
    )


def test_the_same_record_gives_the_same_report(
    tmp_path: Path, reports: dict[str, RunDirectory]
) -> None:
    """This holds in another directory too, with only the recorded files in it."""
    first = reports["compared"]
    second = RunDirectory(tmp_path / "copy")
    second.path.mkdir()
    for recorded in first.path.glob("*.json*"):
        shutil.copy(recorded, second.path)
    assert render_report(second).read_bytes() == first.report.read_bytes()


def test_the_sections_answer_a_readers_questions_in_order(
    reports: dict[str, RunDirectory],
) -> None:
    page = reports["compared"].report.read_text()
    assert re.findall(r"<section id=\"([^\"]+)\"", page) == [
        "worth",
        "own",
        "model",
        "decisions",
        "course",
        "differences",
        "sites",
        "left-out",
        "cost",
        "protection",
        "settings",
        "identity",
    ]


@pytest.mark.parametrize("name", SAMPLES)
def test_the_short_text_says_nothing_that_the_page_does_not(
    name: str, reports: dict[str, RunDirectory]
) -> None:
    run = reports[name]
    _, *said = report_text(Recorded.read(run)).splitlines()
    page = text_of(run)
    sentences = [line for line in said if line and not line.startswith("- ")]
    assert len(sentences) > 4
    assert [line for line in sentences if line not in page] == []


def test_who_was_not_there_is_told_with_the_reason(tmp_path: Path) -> None:
    """Whether it was left out by name, or nothing came from it, or it was turned away."""
    refused = left_out(0, "cedar-bank", "site-refused.bad-table", columns=1)
    sample = Sample(absent=BANKS[:3], quarantined=(refused,), config={"without": "amber-bank"})
    said = report_text(Recorded.read(sample.write(tmp_path)))
    never = "Nothing came from it before the run began"
    by_name, schema = "The run was started without it", "Its data break the agreed schema"
    code = "site-refused.bad-table"
    assert (
        f"One of four banks took part. Not in the run: amber-bank (left-out-by-name: {by_name}); "
        f"birch-bank (never-came: {never}); cedar-bank ({code}: {schema})."
    ) in said
    assert f"- amber-bank: round all, code left-out-by-name, why {by_name}." in said
    assert f"- birch-bank: round all, code never-came, why {never}." in said
    assert f"- cedar-bank: round start, code {code}, why {schema} (columns 1)." in said


@pytest.mark.parametrize(
    ("name", "withheld"),
    [
        ("compared", ""),
        ("withheld", "No figures of their own, because of their policy or too few records"),
        ("encrypted", "Figures of a single bank. Sealed: in an encrypted run nobody can read"),
    ],
)
def test_what_is_withheld_is_told_with_the_reason(
    name: str, withheld: str, reports: dict[str, RunDirectory]
) -> None:
    said = text_of(reports[name])
    assert ("What is not shown here, and why?" in said) == bool(withheld)
    assert withheld in said


def test_a_comparison_is_told_with_its_intervals(reports: dict[str, RunDirectory]) -> None:
    text = text_of(reports["compared"])
    assert "By more than chance, the shared model is better than all four models" in text
    assert "amber-bank alone +0.017" in text
    assert "All records in one place \N{MINUS SIGN}0.008" in text
    assert "does better than the bank's own model at all four banks" in text
    assert "The axis does not start at 0" in text


def test_the_same_bits_are_promised_for_processors_of_the_same_kind_only(
    reports: dict[str, RunDirectory],
) -> None:
    text = text_of(reports["compared"])
    assert "bit for bit, where the sites' processors are of the same kind." in text


def test_without_a_comparison_that_is_said(reports: dict[str, RunDirectory]) -> None:
    text = text_of(reports["quarantined"])
    assert "This run did not measure whether that is better" in text
    assert "Is it worth" not in text


def test_what_is_withheld_is_not_shown_and_that_is_said(
    reports: dict[str, RunDirectory],
) -> None:
    text = text_of(reports["withheld"])
    assert text.count("withheld") >= 2 * len(BANKS)
    for bank in BANKS:
        assert re.search(rf"{bank} [1248] 5 of 5 withheld withheld", text)
    assert "No figures of their own, because of their policy or too few records: amber-bank" in text
    assert "How far each bank is from all together" not in text
    assert "Thin grey" not in text


def test_only_released_sites_stand_beside_the_pooled_figures(
    reports: dict[str, RunDirectory],
) -> None:
    text = text_of(reports["severity"])
    assert re.search(r"amber-bank 1 5 of 5 60 0\.\d{3}", text)
    assert "cedar-bank 4 5 of 5 withheld withheld" in text


def test_what_was_left_out_is_told_in_sentences(reports: dict[str, RunDirectory]) -> None:
    text = text_of(reports["quarantined"])
    assert "Five answers were not used. The run continued without." in text
    unknown = "It is not named in the charter, or this run leaves it out."
    assert f"node 1007 start not-a-member {unknown}" in text
    assert "cedar-bank 1, 2 silent No answer came before the deadline." in text
    refused = "site-refused.bad-table Its data break the agreed schema (columns 2, values 17)."
    assert f"birch-bank 3 {refused}" in text
    told = "moon-in-the-way The recorded reason is moon-in-the-way."
    assert f"birch-bank final evaluation {told}" in text
    assert "birch-bank 2 3 of 5 no answer no answer" in text


def test_a_stopped_run_says_why_and_whose_figures_these_are(
    reports: dict[str, RunDirectory],
) -> None:
    text = text_of(reports["stopped"])
    assert "Failed The run stopped after 2 of 4 rounds." in text
    assert "One of 4 answered; missing: x, y" in text
    assert "The model is the one that the last completed round started with." in text


def test_a_run_that_stops_after_a_round_without_counts_keeps_its_last_figures(
    reports: dict[str, RunDirectory],
) -> None:
    """And nobody is said to withhold what was not asked for."""
    text = text_of(reports["stopped-between"])
    assert "of the last completed round in which the model was evaluated." in text
    assert "The model is the one that round 1 started with: nobody counted in the rounds" in text
    assert "in the rounds after it, 2 to 3, before the run stopped." in text
    assert "Measured on 240 held-out records" in text
    silent = "because of their policy or too few records: cedar-bank and dune-bank."
    assert silent in text


def test_convergence_goes_by_evaluations(reports: dict[str, RunDirectory]) -> None:
    """Twelve rounds of which each fourth is evaluated are three evaluations of a trained model."""
    text = text_of(reports["seldom"])
    assert "at least 4 evaluations since training began, and this run has 3." in text


def test_a_run_that_never_began_says_so(reports: dict[str, RunDirectory]) -> None:
    text = text_of(reports["never-began"])
    assert "Nobody came" in text
    assert "No round was completed, so there is no model" in text
    assert "None of the four banks took part. Not in the run: amber-bank, birch-bank" in text
    assert "(not-begun: The run ended before it began)" in text


def test_more_than_two_classes_have_a_matrix_and_a_line_each(
    reports: dict[str, RunDirectory],
) -> None:
    text = text_of(reports["severity"])
    assert "predicted none predicted mild predicted grave" in text
    assert re.search(r"grave \d+ 0\.\d{3} 0\.\d{3} 0\.\d{3} 0\.\d{3}", text)
    assert "How frequent each class of severity is" in text


@pytest.mark.parametrize(("columns", "wide"), [(3, False), (6, False), (7, True), (10, True)])
def test_the_headings_of_many_columns_stand_upright(columns: int, wide: bool) -> None:
    names = tuple(f"class {n}" for n in range(columns))
    assert HeatTable(caption="c", corner="k", columns=names, rows=()).wide is wide


def test_a_regression_is_told_in_its_unit(reports: dict[str, RunDirectory]) -> None:
    text = text_of(reports["price"])
    assert re.search(r"root mean squared error [\d,]+ US\$", text)
    assert "Prediction and truth" in text
    assert "How sale price spreads" in text


def test_at_a_threshold_the_two_shares_are_those_of_the_matrix(
    reports: dict[str, RunDirectory],
) -> None:
    text = text_of(reports["quarantined"])
    no, yes = (
        [int(found) for found in re.search(rf"truly {row} (\d+) (\d+)", text).groups()]  # type: ignore[union-attr]
        for row in ("no", "yes")
    )
    assert f"At this score {no[1] + yes[1]} of {sum(no) + sum(yes)} records are flagged" in text
    assert f"{100 * yes[1] / (no[1] + yes[1]):.0f} % of them correctly" in text
    assert f"{100 * yes[1] / sum(yes):.0f} % of those with default = yes are found" in text


def test_in_the_clear_the_report_says_what_the_coordinator_could_read(
    reports: dict[str, RunDirectory],
) -> None:
    text = text_of(reports["quarantined"])
    assert "could read what each of the banks sent" in text
    assert "Updates were averaged." in text
    assert "set to withstand 1 bank that may send anything" in text_of(reports["withheld"])


def test_what_is_said_of_a_run_in_the_clear_is_not_said_of_an_encrypted_one(
    reports: dict[str, RunDirectory],
) -> None:
    text = text_of(reports["encrypted"])
    assert "in the clear" not in text
    assert "withheld" not in text
    assert re.search(r"dune-bank 8 5 of 5 sealed sealed", text)
    assert "nobody can read the figures of a single bank" in text


def test_values_that_were_cut_off_are_told_with_what_to_set(
    reports: dict[str, RunDirectory],
) -> None:
    """How many, in which rounds; nothing is said if there are none."""
    said = text_of(reports["cut-off"])
    assert "12 values of the sites' updates were beyond the scale" in said
    assert "in rounds 1, 3." in said
    assert "Set first-scale higher, to 8 say" in said
    for name in ("fitting", "compared"):
        assert "cut off" not in text_of(reports[name])


def test_where_nobody_counts_what_is_cut_off_the_report_says_what_would(
    reports: dict[str, RunDirectory],
) -> None:
    """As in version 0.1.0, whose runs can be reported still."""
    assert "Set scale-rule to following" in text_of(reports["encrypted"])


def test_what_differs_from_the_defaults_stands_first(reports: dict[str, RunDirectory]) -> None:
    text = text_of(reports["withheld"])
    assert f"Three of {len(KEYS)} settings differ from the defaults." in text
    assert re.search(r"where it differs num-server-rounds 4 20 rule.name trimmed-mean mean", text)


def test_many_sites_are_cut_to_what_can_be_read(reports: dict[str, RunDirectory]) -> None:
    text = text_of(reports["many"])
    assert "Of 30 models trained alone, the 12 best and 12 worst are shown." in text
    assert text.count("hospital-29 ") > 0


def test_a_name_is_never_markup(tmp_path: Path) -> None:
    hostile = ClassLabel(column="default", classes=("no", "<script>alert(1)</script>"))
    page = render_report(Sample(label=hostile, rounds=1).write(tmp_path)).read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_run_that_died_in_the_middle_of_a_line_is_reported_without_it(tmp_path: Path) -> None:
    """The disk was full, or the process was killed, while it wrote released figures."""
    run = Sample(rounds=2).write(tmp_path)
    before = render_report(run).read_text()
    for path in (run.metrics, run.events):
        line = path.read_text().splitlines()[-1]
        with path.open("a") as file:
            file.write(line[: len(line) // 2])
    assert render_report(run).read_text() == before


def test_records_are_refused_with_the_file_that_breaks(tmp_path: Path) -> None:
    run = Sample(rounds=1).write(tmp_path)
    run.metrics.write_text('{"server_round": "first"}\n')
    with pytest.raises(BadRunDirectory, match=r"metrics\.jsonl has an invalid line"):
        render_report(run)
    run.charter.unlink()
    with pytest.raises(BadCharter, match=r"charter\.json"):
        render_report(run)
    run.summary.unlink()
    with pytest.raises(BadRunDirectory, match=r"summary\.json cannot be read"):
        render_report(run)
    assert not run.report.exists()
