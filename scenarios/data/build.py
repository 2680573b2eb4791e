"""Make the shipped data files from the upstream files: `python -m scenarios.data.build SRC_DIR`.

Nothing is downloaded here. README.md beside this file says where the upstream files come from,
what is known to be wrong in them, and what each column of the result means.
"""

import argparse
import gzip
import hashlib
import io
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from privacy.errors import ConsortiumError
from scenarios.data.codes import (
    BUILDING,
    CHEST_PAIN,
    CONDITION,
    EDUCATION,
    EMPLOYMENT_YEARS,
    FILED_UNDER_THE_WRONG_HOSPITAL,
    FOUNDATION,
    GARAGE,
    HEATING,
    HOSPITAL,
    MARRIAGE,
    MONTHS,
    MONTHS_LATE,
    RESTING_ECG,
    SALE,
    SLOPE,
    STATUS,
    STYLE,
    THALLIUM,
    VERIFICATION,
    YES_NO,
    ZONING,
)

Column: TypeAlias = "pd.Series[Any]"

UPSTREAM = {
    "heart_disease_uci.csv": "574f2fa2b43012fa25fca4fcdb36bd7c6bccdd0af4242f6c0e4c8633c5a072ae",
    "UCI_Credit_Card.csv": "af36211f57585cff1a7a788ef3e0d52aecfac301893acaa7373d7f7d72a7f9d5",
    "lending_club.csv": "7c6ccf49493974135526d5219239ed8fc68eca73eb081f01e8244fc977bd3c07",
    "ames.csv": "e2febec8c32bf2bfba745788359e3dc26beae2caac9dad79b29c861690badd1d",
}


class UpstreamChanged(ConsortiumError, ValueError):
    """An upstream file is not the one these data were made from."""

    code = "upstream-changed"


def heart_disease(path: Path) -> pd.DataFrame:
    """Return 920 patients of four hospitals; impossible zeros are missing values."""
    raw = _text(path)
    hospital = raw["id"].map(FILED_UNDER_THE_WRONG_HOSPITAL).fillna(raw["dataset"])
    severity = _whole(raw["num"])
    return pd.DataFrame(
        {
            "patient": _whole(raw["id"]),
            "hospital": _decoded(hospital, HOSPITAL),
            "age": _whole(raw["age"]),
            "sex": _decoded(raw["sex"], {"Male": "male", "Female": "female"}),
            "chest_pain": _decoded(raw["cp"], CHEST_PAIN),
            "resting_pressure": _nonzero(_whole(raw["trestbps"])),
            "cholesterol": _nonzero(_whole(raw["chol"])),
            "fasting_sugar_high": _decoded(raw["fbs"], YES_NO),
            "resting_ecg": _decoded(raw["restecg"], RESTING_ECG),
            "peak_heart_rate": _whole(raw["thalch"]),
            "exercise_angina": _decoded(raw["exang"], YES_NO),
            "st_depression": _real(raw["oldpeak"]),
            "st_slope": _decoded(raw["slope"], SLOPE),
            "vessels": _whole(raw["ca"]),
            "thallium": _decoded(raw["thal"], THALLIUM),
            "severity": severity,
            "disease": (severity > 0).map({True: "yes", False: "no"}),
        }
    )


def taiwan_credit(path: Path) -> pd.DataFrame:
    """Return 30,000 borrowers; each repayment status is a state and the months of delay."""
    raw = _text(path)
    status = dict(zip(MONTHS, ("PAY_0", *(f"PAY_{n}" for n in range(2, 7))), strict=True))
    number = {month: n for n, month in enumerate(MONTHS, start=1)}
    return pd.DataFrame(
        {
            "borrower": _whole(raw["ID"]),
            "credit_limit": _whole(raw["LIMIT_BAL"]),
            "sex": _decoded(raw["SEX"], {"0": "male", "1": "female"}),
            "education": _decoded(_one_hot(raw, "EDUCATION"), EDUCATION),
            "marriage": _decoded(_one_hot(raw, "MARRIAGE"), MARRIAGE),
            "age": _whole(raw["AGE"]),
        }
        | {f"status_{m}": _decoded(raw[status[m]], STATUS) for m in MONTHS}
        | {f"months_late_{m}": _decoded(raw[status[m]], MONTHS_LATE) for m in MONTHS}
        | {f"bill_{m}": _whole(raw[f"BILL_AMT{number[m]}"]) for m in MONTHS}
        | {f"paid_{m}": _whole(raw[f"PAY_AMT{number[m]}"]) for m in MONTHS}
        | {"default": _decoded(raw["default-payment-next-month"], YES_NO)}
    )


def lending_club(path: Path) -> pd.DataFrame:
    """Return 9,857 loans without what the lender concluded: its rate and its grade."""
    raw = _text(path)
    return pd.DataFrame(
        {
            "loan": _whole(raw["rownames"]),
            "addr_state": raw["addr_state"],
            "amount": _whole(raw["funded_amnt"]),
            "term": _decoded(raw["term"], {"term_36": "36 months", "term_60": "60 months"}),
            "income_check": _decoded(raw["verification_status"], VERIFICATION),
            "annual_income": _nonzero(_real(raw["annual_inc"])),
            "employment_years": _decoded(raw["emp_length"], EMPLOYMENT_YEARS),
            "late_payments_2y": _whole(raw["delinq_2yrs"]),
            "accounts_overdue": _whole(raw["acc_now_delinq"]),
            "amount_overdue": _whole(raw["delinq_amnt"]),
            "inquiries_6m": _whole(raw["inq_last_6mths"]),
            "inquiries_12m": _whole(raw["inq_last_12m"]),
            "finance_inquiries": _whole(raw["inq_fi"]),
            "revolving_use": _real(raw["revol_util"]),
            "credit_use": _whole(raw["all_util"]),
            "instalment_accounts": _whole(raw["num_il_tl"]),
            "instalment_active": _whole(raw["open_il_6m"]),
            "instalment_opened_12m": _whole(raw["open_il_12m"]),
            "instalment_opened_24m": _whole(raw["open_il_24m"]),
            "instalment_balance": _whole(raw["total_bal_il"]),
            "instalment_limit": _whole(raw["total_il_high_credit_limit"]),
            "outcome": _decoded(raw["Class"], {"good": "good", "bad": "bad"}),
        }
    )


def ames(path: Path) -> pd.DataFrame:
    """Return 2,925 house sales with the columns that a valuer would ask for first."""
    raw = _text(path)
    # The author of the data set asks for this: three of the five sales are no market prices.
    raw = raw[_whole(raw["Gr_Liv_Area"]) <= 4000]
    garage = _decoded(raw["Garage_Type"], GARAGE)
    cars = _whole(raw["Garage_Cars"])
    basement = _whole(raw["Total_Bsmt_SF"])
    return pd.DataFrame(
        {
            "house": _whole(raw["rownames"]),
            "neighbourhood": raw["Neighborhood"].str.replace("_", " "),
            "zoning": _decoded(raw["MS_Zoning"], ZONING),
            "lot_frontage": _nonzero(_whole(raw["Lot_Frontage"])),
            "lot_area": _whole(raw["Lot_Area"]),
            "building": _decoded(raw["Bldg_Type"], BUILDING),
            "style": _decoded(raw["House_Style"], STYLE),
            "condition": _decoded(raw["Overall_Cond"], CONDITION),
            "year_built": _whole(raw["Year_Built"]),
            "year_remodelled": _whole(raw["Year_Remod_Add"]),
            "foundation": _decoded(raw["Foundation"], FOUNDATION),
            "masonry_area": _whole(raw["Mas_Vnr_Area"]),
            "basement_area": basement,
            "finished_basement_area": basement - _whole(raw["Bsmt_Unf_SF"]),
            "heating": _decoded(raw["Heating_QC"], HEATING),
            "central_air": _decoded(raw["Central_Air"], YES_NO),
            "living_area": _whole(raw["Gr_Liv_Area"]),
            "basement_baths": _whole(raw["Bsmt_Full_Bath"]),
            "full_baths": _whole(raw["Full_Bath"]),
            "half_baths": _whole(raw["Half_Bath"]),
            "bedrooms": _whole(raw["Bedroom_AbvGr"]),
            "kitchens": _whole(raw["Kitchen_AbvGr"]),
            "rooms": _whole(raw["TotRms_AbvGrd"]),
            "fireplaces": _whole(raw["Fireplaces"]),
            "garage": garage,
            "garage_cars": cars.mask((cars == 0) & (garage != "none")),
            "deck_area": _whole(raw["Wood_Deck_SF"]),
            "porch_area": _whole(raw["Open_Porch_SF"]),
            "year_sold": _whole(raw["Year_Sold"]),
            "sale": _decoded(raw["Sale_Condition"], SALE),
            "sale_price": _whole(raw["Sale_Price"]),
        }
    )


MADE_FROM: Mapping[str, tuple[str, Callable[[Path], pd.DataFrame]]] = {
    "heart-disease": ("heart_disease_uci.csv", heart_disease),
    "taiwan-credit": ("UCI_Credit_Card.csv", taiwan_credit),
    "lending-club": ("lending_club.csv", lending_club),
    "ames": ("ames.csv", ames),
}


def packed(frame: pd.DataFrame) -> bytes:
    """Return a table as gzipped CSV, an empty field being a missing value.

    Guarantee: equal tables give equal bytes: no file name, no time of day, no row index.
    """
    text = frame.to_csv(index=False, lineterminator="\n", float_format="%.10g")
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, filename="", mode="wb", compresslevel=9, mtime=0) as out:
        out.write(text.encode())
    return buffer.getvalue()


def build(sources: Path, folder: Path) -> dict[str, str]:
    """Write every data file into `folder`; return the SHA-256 of each by name of the data set.

    Args:
        sources: Folder with the upstream files.
        folder: Where the data files go.

    Raises:
        UpstreamChanged: An upstream file has other bytes, or a code that is not decoded here.
    """
    digests = {}
    for name, (source, make) in MADE_FROM.items():
        _verify(sources / source)
        content = packed(make(sources / source))
        (folder / f"{name}.csv.gz").write_bytes(content)
        digests[name] = hashlib.sha256(content).hexdigest()
    return digests


def _verify(path: Path) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != UPSTREAM[path.name]:
        raise UpstreamChanged(
            f"{path} has SHA-256 {found}, needed {UPSTREAM[path.name]}: fetch the version that "
            "scenarios/data/README.md names"
        )


def _text(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _real(column: Column) -> Column:
    return pd.to_numeric(column.where(column != ""), errors="raise").astype("Float64")


def _whole(column: Column) -> Column:
    return _real(column).astype("Int64")


def _nonzero(column: Column) -> Column:
    return column.mask(column == 0)


def _decoded(column: Column, names: Mapping[str, Any]) -> Column:
    unknown = sorted(set(column) - set(names) - {""})
    if unknown:
        raise UpstreamChanged(
            f"column {column.name} holds {unknown[:3]}, known are {sorted(names)}",
            unknown=len(unknown),
        )
    return column.map(names)


def _one_hot(raw: pd.DataFrame, prefix: str) -> Column:
    flags = raw[[name for name in raw.columns if name.startswith(f"{prefix}_")]] == "1"
    flags.columns = flags.columns.str.removeprefix(f"{prefix}_")
    if not (flags.sum(axis="columns") == 1).all():
        raise UpstreamChanged(f"the columns {prefix}_* do not say one value in every row")
    return flags.idxmax(axis="columns").rename(prefix)


def main() -> None:
    """Write the data files beside this module and tell their digests."""
    parser = argparse.ArgumentParser(description="Make the shipped data files.")
    parser.add_argument("sources", type=Path, metavar="SRC_DIR", help="the upstream files")
    for name, digest in build(parser.parse_args().sources, Path(__file__).parent).items():
        sys.stdout.write(f"{digest}  {name}.csv.gz\n")


if __name__ == "__main__":
    main()
