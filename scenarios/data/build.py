"""Make the shipped data files from the upstream files: `python -m scenarios.data.build SRC_DIR`.

This module downloads nothing. README.md beside it says where the upstream files come from, which
errors they are known to have, and what each column of the result means.
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
    "lung.csv": "16ebd02c38bbb5708186d600cff80ad84d0764974619436f83ba4a605e77eb44",
    "ames.csv": "e2febec8c32bf2bfba745788359e3dc26beae2caac9dad79b29c861690badd1d",
}


class UpstreamChanged(ConsortiumError, ValueError, code="upstream-changed"):
    """An upstream file is not the one that the data files were made from."""


def heart_disease(path: Path) -> pd.DataFrame:
    """Return 920 patients of four hospitals, with impossible zeros as missing values."""
    raw = _read_text(path)
    hospital = raw["id"].map(FILED_UNDER_THE_WRONG_HOSPITAL).fillna(raw["dataset"])
    severity = _to_integer(raw["num"])
    return pd.DataFrame(
        {
            "patient": _to_integer(raw["id"]),
            "hospital": _decode(hospital, HOSPITAL),
            "age": _to_integer(raw["age"]),
            "sex": _decode(raw["sex"], {"Male": "male", "Female": "female"}),
            "chest_pain": _decode(raw["cp"], CHEST_PAIN),
            "resting_pressure": _zero_to_missing(_to_integer(raw["trestbps"])),
            "cholesterol": _zero_to_missing(_to_integer(raw["chol"])),
            "fasting_sugar_high": _decode(raw["fbs"], YES_NO),
            "resting_ecg": _decode(raw["restecg"], RESTING_ECG),
            "peak_heart_rate": _to_integer(raw["thalch"]),
            "exercise_angina": _decode(raw["exang"], YES_NO),
            "st_depression": _to_real(raw["oldpeak"]),
            "st_slope": _decode(raw["slope"], SLOPE),
            "vessels": _to_integer(raw["ca"]),
            "thallium": _decode(raw["thal"], THALLIUM),
            "severity": severity,
            "disease": (severity > 0).map({True: "yes", False: "no"}),
        }
    )


def taiwan_credit(path: Path) -> pd.DataFrame:
    """Return 30,000 borrowers, each repayment status split into a state and months of delay."""
    raw = _read_text(path)
    status = dict(zip(MONTHS, ("PAY_0", *(f"PAY_{n}" for n in range(2, 7))), strict=True))
    number = {month: n for n, month in enumerate(MONTHS, start=1)}
    return pd.DataFrame(
        {
            "borrower": _to_integer(raw["ID"]),
            "credit_limit": _to_integer(raw["LIMIT_BAL"]),
            "sex": _decode(raw["SEX"], {"0": "male", "1": "female"}),
            "education": _decode(_from_one_hot(raw, "EDUCATION"), EDUCATION),
            "marriage": _decode(_from_one_hot(raw, "MARRIAGE"), MARRIAGE),
            "age": _to_integer(raw["AGE"]),
        }
        | {f"status_{m}": _decode(raw[status[m]], STATUS) for m in MONTHS}
        | {f"months_late_{m}": _decode(raw[status[m]], MONTHS_LATE) for m in MONTHS}
        | {f"bill_{m}": _to_integer(raw[f"BILL_AMT{number[m]}"]) for m in MONTHS}
        | {f"paid_{m}": _to_integer(raw[f"PAY_AMT{number[m]}"]) for m in MONTHS}
        | {"default": _decode(raw["default-payment-next-month"], YES_NO)}
    )


def lending_club(path: Path) -> pd.DataFrame:
    """Return 9,857 loans, without the lender's own conclusions: its rate and grade."""
    raw = _read_text(path)
    return pd.DataFrame(
        {
            "loan": _to_integer(raw["rownames"]),
            "addr_state": raw["addr_state"],
            "amount": _to_integer(raw["funded_amnt"]),
            "term": _decode(raw["term"], {"term_36": "36 months", "term_60": "60 months"}),
            "income_check": _decode(raw["verification_status"], VERIFICATION),
            "annual_income": _zero_to_missing(_to_real(raw["annual_inc"])),
            "employment_years": _decode(raw["emp_length"], EMPLOYMENT_YEARS),
            "late_payments_2y": _to_integer(raw["delinq_2yrs"]),
            "accounts_overdue": _to_integer(raw["acc_now_delinq"]),
            "amount_overdue": _to_integer(raw["delinq_amnt"]),
            "inquiries_6m": _to_integer(raw["inq_last_6mths"]),
            "inquiries_12m": _to_integer(raw["inq_last_12m"]),
            "finance_inquiries": _to_integer(raw["inq_fi"]),
            "revolving_use": _to_real(raw["revol_util"]),
            "credit_use": _to_integer(raw["all_util"]),
            "instalment_accounts": _to_integer(raw["num_il_tl"]),
            "instalment_active": _to_integer(raw["open_il_6m"]),
            "instalment_opened_12m": _to_integer(raw["open_il_12m"]),
            "instalment_opened_24m": _to_integer(raw["open_il_24m"]),
            "instalment_balance": _to_integer(raw["total_bal_il"]),
            "instalment_limit": _to_integer(raw["total_il_high_credit_limit"]),
            "outcome": _decode(raw["Class"], {"good": "good", "bad": "bad"}),
        }
    )


def ames(path: Path) -> pd.DataFrame:
    """Return 2,925 house sales, with the columns that a valuer would ask for first."""
    raw = _read_text(path)
    # As the author of the data set asks: of the five larger sales, three are no market prices.
    raw = raw[_to_integer(raw["Gr_Liv_Area"]) <= 4000]
    garage = _decode(raw["Garage_Type"], GARAGE)
    cars = _to_integer(raw["Garage_Cars"])
    basement = _to_integer(raw["Total_Bsmt_SF"])
    return pd.DataFrame(
        {
            "house": _to_integer(raw["rownames"]),
            "neighbourhood": raw["Neighborhood"].str.replace("_", " "),
            "zoning": _decode(raw["MS_Zoning"], ZONING),
            "lot_frontage": _zero_to_missing(_to_integer(raw["Lot_Frontage"])),
            "lot_area": _to_integer(raw["Lot_Area"]),
            "building": _decode(raw["Bldg_Type"], BUILDING),
            "style": _decode(raw["House_Style"], STYLE),
            "condition": _decode(raw["Overall_Cond"], CONDITION),
            "year_built": _to_integer(raw["Year_Built"]),
            "year_remodelled": _to_integer(raw["Year_Remod_Add"]),
            "foundation": _decode(raw["Foundation"], FOUNDATION),
            "masonry_area": _to_integer(raw["Mas_Vnr_Area"]),
            "basement_area": basement,
            "finished_basement_area": basement - _to_integer(raw["Bsmt_Unf_SF"]),
            "heating": _decode(raw["Heating_QC"], HEATING),
            "central_air": _decode(raw["Central_Air"], YES_NO),
            "living_area": _to_integer(raw["Gr_Liv_Area"]),
            "basement_baths": _to_integer(raw["Bsmt_Full_Bath"]),
            "full_baths": _to_integer(raw["Full_Bath"]),
            "half_baths": _to_integer(raw["Half_Bath"]),
            "bedrooms": _to_integer(raw["Bedroom_AbvGr"]),
            "kitchens": _to_integer(raw["Kitchen_AbvGr"]),
            "rooms": _to_integer(raw["TotRms_AbvGrd"]),
            "fireplaces": _to_integer(raw["Fireplaces"]),
            "garage": garage,
            # No cars in a garage that exists: unknown, not zero.
            "garage_cars": cars.mask((cars == 0) & (garage != "none")),
            "deck_area": _to_integer(raw["Wood_Deck_SF"]),
            "porch_area": _to_integer(raw["Open_Porch_SF"]),
            "year_sold": _to_integer(raw["Year_Sold"]),
            "sale": _decode(raw["Sale_Condition"], SALE),
            "sale_price": _to_integer(raw["Sale_Price"]),
        }
    )


def lung(path: Path) -> pd.DataFrame:
    """Return 228 patients of a cancer trial, one of them without an institution."""
    raw = _read_text(path)
    return pd.DataFrame(
        {
            "patient": range(1, len(raw) + 1),
            "institution": _to_integer(raw["inst"]),
            "days": _to_integer(raw["time"]),
            "status": _decode(raw["status"], {"0": "alive", "1": "dead"}),
            "age": _to_integer(raw["age"]),
            "sex": _decode(raw["sex"], {"1": "male", "2": "female"}),
            "ecog": _to_integer(raw["ph.ecog"]),
            "karnofsky_by_physician": _to_integer(raw["ph.karno"]),
            "karnofsky_by_patient": _to_integer(raw["pat.karno"]),
            "calories": _to_integer(raw["meal.cal"]),
            "weight_loss": _to_integer(raw["wt.loss"]),
        }
    )


MADE_FROM: Mapping[str, tuple[str, Callable[[Path], pd.DataFrame]]] = {
    "heart-disease": ("heart_disease_uci.csv", heart_disease),
    "taiwan-credit": ("UCI_Credit_Card.csv", taiwan_credit),
    "lending-club": ("lending_club.csv", lending_club),
    "ames": ("ames.csv", ames),
    "lung": ("lung.csv", lung),
}


def pack(frame: pd.DataFrame) -> bytes:
    """Return a table as gzipped CSV, with an empty field for a missing value.

    Guarantee: equal tables give equal bytes: there is no file name, time or row index in them.
    """
    text = frame.to_csv(index=False, lineterminator="\n", float_format="%.10g")
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, filename="", mode="wb", compresslevel=9, mtime=0) as out:
        out.write(text.encode())
    return buffer.getvalue()


def build(sources: Path, folder: Path) -> dict[str, str]:
    """Write all data files into `folder`; return the SHA-256 of each data set by its name.

    Args:
        sources: Folder with the upstream files.
        folder: Where the data files go.

    Raises:
        UpstreamChanged: The content of an upstream file differs, or has an unknown code.
    """
    digests = {}
    for name, (source, make) in MADE_FROM.items():
        _verify_digest(sources / source)
        content = pack(make(sources / source))
        (folder / f"{name}.csv.gz").write_bytes(content)
        digests[name] = hashlib.sha256(content).hexdigest()
    return digests


def _verify_digest(path: Path) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != UPSTREAM[path.name]:
        raise UpstreamChanged(
            f"{path} has SHA-256 {found}, needed {UPSTREAM[path.name]}: fetch the version that "
            "scenarios/data/README.md names"
        )


def _read_text(path: Path) -> pd.DataFrame:
    # As text: pandas would guess types, and take words such as "None" for missing values.
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _to_real(column: Column) -> Column:
    return pd.to_numeric(column.where(column != ""), errors="raise").astype("Float64")


def _to_integer(column: Column) -> Column:
    # A nullable type: NumPy integers have no missing value.
    return _to_real(column).astype("Int64")


def _zero_to_missing(column: Column) -> Column:
    return column.mask(column == 0)


def _decode(column: Column, names: Mapping[str, Any]) -> Column:
    unknown = sorted(set(column) - set(names) - {""})
    if unknown:
        raise UpstreamChanged(
            f"column {column.name} has the codes {unknown[:3]}; the known ones are {sorted(names)}",
            unknown=len(unknown),
        )
    return column.map(names)


def _from_one_hot(raw: pd.DataFrame, prefix: str) -> Column:
    flags = raw[[name for name in raw.columns if name.startswith(f"{prefix}_")]] == "1"
    flags.columns = flags.columns.str.removeprefix(f"{prefix}_")
    if not (flags.sum(axis="columns") == 1).all():
        raise UpstreamChanged(f"the columns {prefix}_* are not one-hot in every row")
    return flags.idxmax(axis="columns").rename(prefix)


def main() -> None:
    """Write the data files beside this module and print their digests."""
    parser = argparse.ArgumentParser(description="Make the shipped data files.")
    parser.add_argument("sources", type=Path, metavar="SRC_DIR", help="the upstream files")
    for name, digest in build(parser.parse_args().sources, Path(__file__).parent).items():
        sys.stdout.write(f"{digest}  {name}.csv.gz\n")


if __name__ == "__main__":
    main()
