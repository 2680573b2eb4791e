import gzip
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scenarios.data import build, datasets
from scenarios.data.datasets import (
    IN_REPOSITORY_ONLY,
    DatasetCorrupted,
    RecordWithoutSite,
    UnknownDataset,
    load_dataset,
)

Assignment = Callable[[pd.DataFrame], "pd.Series[str]"]

PERSON = {
    "heart-disease": "patient",
    "taiwan-credit": "borrower",
    "lending-club": "loan",
    "ames": "house",
    "lung": "patient",
}
ROWS = {
    "heart-disease": 920,
    "taiwan-credit": 30_000,
    "lending-club": 9_857,
    "ames": 2_925,
    "lung": 228,
}
MISSING = {
    "heart-disease": {
        "resting_pressure": 60,
        "cholesterol": 202,
        "fasting_sugar_high": 90,
        "resting_ecg": 2,
        "peak_heart_rate": 55,
        "exercise_angina": 55,
        "st_depression": 62,
        "st_slope": 309,
        "vessels": 611,
        "thallium": 486,
    },
    "taiwan-credit": {},
    "lending-club": {"annual_income": 2, "employment_years": 645},
    "ames": {"lot_frontage": 490, "garage_cars": 1},
    "lung": {
        "institution": 1,
        "ecog": 1,
        "karnofsky_by_physician": 1,
        "karnofsky_by_patient": 3,
        "calories": 47,
        "weight_loss": 14,
    },
}
SIZES: dict[str, tuple[Assignment, dict[str, int]]] = {
    "heart-disease": (
        datasets.heart_hospitals,
        {"cleveland": 303, "hungary": 294, "switzerland": 123, "va-long-beach": 200},
    ),
    "taiwan-credit": (
        datasets.credit_banks,
        {
            "amber-bank": 7_676,
            "birch-bank": 4_822,
            "cedar-bank": 6_123,
            "dune-bank": 5_421,
            "elm-bank": 5_958,
        },
    ),
    "lending-club": (
        datasets.lending_regions,
        {"northeast": 1_925, "midwest": 1_815, "south": 3_671, "west": 2_446},
    ),
    "ames": (
        datasets.ames_offices,
        {"north-office": 877, "east-office": 1_034, "west-office": 1_014},
    ),
    "lung": (
        datasets.lung_institutions,
        {
            datasets.NO_INSTITUTION: 1,
            **dict(
                zip(
                    datasets.INSTITUTIONS,
                    (36, 5, 19, 4, 9, 14, 8, 4, 18, 23, 20, 6, 16, 13, 17, 6, 7, 2),
                    strict=True,
                )
            ),
        },
    ),
}
every_data_set = pytest.mark.parametrize("name", datasets.SHA256)


@every_data_set
def test_a_data_set_has_the_stated_rows_and_one_row_a_person(name: str) -> None:
    frame = load_dataset(name)

    assert len(frame) == ROWS[name]
    assert frame[PERSON[name]].is_unique


@every_data_set
def test_values_are_missing_exactly_where_stated(name: str) -> None:
    missing = load_dataset(name).isna().sum()

    assert missing[missing > 0].to_dict() == MISSING[name]


@every_data_set
def test_reading_a_data_set_loses_nothing(name: str) -> None:
    content = gzip.decompress((datasets.FOLDER / f"{name}.csv.gz").read_bytes())

    assert gzip.decompress(build.pack(load_dataset(name))) == content


@every_data_set
def test_every_column_name_fits_a_schema(name: str) -> None:
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", column) for column in load_dataset(name).columns)


@every_data_set
def test_the_readme_states_the_pinned_digest(name: str) -> None:
    readme = (datasets.FOLDER / "README.md").read_text()
    stated = re.search(rf"^\| `{name}\.csv\.gz` .*`([0-9a-f]{{64}})` \|$", readme, re.MULTILINE)

    assert stated is not None
    assert stated.group(1) == datasets.SHA256[name]


@every_data_set
def test_a_file_with_a_changed_byte_is_refused(name: str, tmp_path: Path) -> None:
    content = bytearray((datasets.FOLDER / f"{name}.csv.gz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / f"{name}.csv.gz").write_bytes(content)

    with pytest.raises(DatasetCorrupted, match=datasets.SHA256[name]):
        load_dataset(name, folder=tmp_path)


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetCorrupted, match="absent"):
        load_dataset("lung", folder=tmp_path)


@pytest.mark.parametrize("name", sorted(IN_REPOSITORY_ONLY))
def test_of_data_without_a_licence_a_package_says_where_they_are(name: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetCorrupted, match=r"no stated licence.* clone the repository"):
        load_dataset(name, folder=tmp_path)


def test_an_unknown_name_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UnknownDataset, match="heart-disease, taiwan-credit"):
        load_dataset("boston")


@every_data_set
def test_every_record_has_a_site_and_sites_have_the_stated_sizes(name: str) -> None:
    assign, sizes = SIZES[name]
    frame = load_dataset(name)
    site = assign(frame)

    assert site.index.equals(frame.index)
    assert site.value_counts().to_dict() == sizes


@every_data_set
def test_the_site_of_a_record_does_not_depend_on_the_other_records(name: str) -> None:
    assign, _ = SIZES[name]
    frame = load_dataset(name)
    part = frame.sample(frac=0.1, random_state=np.random.default_rng(3))

    pd.testing.assert_series_equal(assign(part), assign(frame).loc[part.index])


@pytest.mark.parametrize(
    ("assign", "column", "value"),
    [
        (datasets.heart_hospitals, "hospital", "boston"),
        (datasets.credit_banks, "credit_limit", 0.0),
        (datasets.credit_banks, "credit_limit", float("nan")),
        (datasets.lending_regions, "addr_state", "XX"),
        (datasets.ames_offices, "neighbourhood", None),
    ],
)
def test_a_record_without_a_known_site_is_refused(
    assign: Assignment, column: str, value: object
) -> None:
    with pytest.raises(RecordWithoutSite, match=f"1 of 1 records have no site: {column}") as caught:
        assign(pd.DataFrame({column: [value]}))

    assert caught.value.counts == {"without": 1}


def test_the_banks_are_the_fifths_of_the_credit_limit() -> None:
    limit = load_dataset("taiwan-credit")["credit_limit"]

    assert limit.quantile([0.2, 0.4, 0.6, 0.8]).tolist() == list(datasets.LARGEST_LIMITS)


def test_a_limit_on_a_boundary_belongs_to_the_lower_bank() -> None:
    frame = pd.DataFrame({"credit_limit": [50_000, 50_001, 270_000, 270_001]})

    assert datasets.credit_banks(frame).tolist() == [
        "amber-bank",
        "birch-bank",
        "dune-bank",
        "elm-bank",
    ]


def test_the_default_rate_falls_from_bank_to_bank_as_stated() -> None:
    frame = load_dataset("taiwan-credit")
    defaulted = frame["default"] == "yes"
    rate = defaulted.groupby(datasets.credit_banks(frame)).mean()

    np.testing.assert_allclose(
        rate[list(datasets.BANKS)], [0.318, 0.258, 0.199, 0.169, 0.138], atol=0.005
    )


def test_bad_loans_by_region_are_as_stated() -> None:
    frame = load_dataset("lending-club")
    region = datasets.lending_regions(frame)

    assert region[frame["outcome"] == "bad"].value_counts().to_dict() == {
        "south": 207,
        "west": 139,
        "northeast": 88,
        "midwest": 83,
    }


def test_regions_cover_the_states_once() -> None:
    states = [state for names in datasets.STATES_BY_REGION.values() for state in names.split()]

    assert len(states) == len(set(states)) == 51


def test_the_lenders_own_conclusions_are_left_out() -> None:
    frame = load_dataset("lending-club")

    assert {"int_rate", "sub_grade", "interest_rate", "grade"}.isdisjoint(frame.columns)
    assert not any(frame[column].astype(str).eq("C4").any() for column in frame.columns)


def test_the_patient_filed_under_cleveland_is_in_hungary() -> None:
    frame = load_dataset("heart-disease").set_index("patient")

    assert frame.loc[304, "hospital"] == "hungary"


def test_no_measurement_of_a_living_patient_is_zero() -> None:
    frame = load_dataset("heart-disease")
    measured = frame[["resting_pressure", "cholesterol", "peak_heart_rate"]]

    assert (measured.min() > 0).all()
    assert frame.loc[frame["hospital"] == "switzerland", "cholesterol"].isna().all()


def test_disease_is_a_severity_above_zero_and_hungary_records_no_severity() -> None:
    frame = load_dataset("heart-disease")

    assert ((frame["severity"] > 0) == (frame["disease"] == "yes")).all()
    assert set(frame["severity"]) == {0, 1, 2, 3, 4}
    assert set(frame.loc[frame["hospital"] == "hungary", "severity"]) == {0, 1}


def test_a_borrower_has_months_of_delay_exactly_when_late() -> None:
    frame = load_dataset("taiwan-credit")

    for month in ("sep", "aug", "jul", "jun", "may", "apr"):
        late = frame[f"status_{month}"] == "late"
        assert (late == (frame[f"months_late_{month}"] > 0)).all()


HEART = """id,age,sex,dataset,cp,trestbps,chol,fbs,restecg,thalch,exang,oldpeak,slope,ca,thal,num
304,28,Male,Cleveland,atypical angina,130,132,FALSE,lv hypertrophy,185,FALSE,0,,,,0
753,55,Male,VA Long Beach,non-anginal,0,0,FALSE,normal,155,FALSE,1.5,flat,,,3
"""


def test_building_heart_disease_moves_one_patient_and_clears_impossible_zeros(
    tmp_path: Path,
) -> None:
    source = tmp_path / "heart.csv"
    source.write_text(HEART)

    made = build.heart_disease(source)

    assert made["hospital"].tolist() == ["hungary", "va-long-beach"]
    assert made["resting_pressure"].isna().tolist() == [False, True]
    assert made["cholesterol"].isna().tolist() == [False, True]
    assert made["st_depression"].tolist() == [0.0, 1.5]


def test_an_unknown_code_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "heart.csv"
    source.write_text(HEART.replace("lv hypertrophy", "odd"))

    with pytest.raises(build.UpstreamChanged, match=r"restecg has the codes \['odd'\]"):
        build.heart_disease(source)


def test_a_changed_upstream_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "heart_disease_uci.csv").write_text(HEART)

    with pytest.raises(build.UpstreamChanged, match="README"):
        build.build(tmp_path, tmp_path)
