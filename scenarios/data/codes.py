"""Codes of the upstream files, and the words that the shipped files use for them.

A code that is not listed here is an error when the files are made; it is never passed through.
"""

import pandas as pd

HOSPITAL = {
    "Cleveland": "cleveland",
    "Hungary": "hungary",
    "Switzerland": "switzerland",
    "VA Long Beach": "va-long-beach",
}
# The first row of UCI's processed.hungarian.data; Cleveland's file has no such patient.
FILED_UNDER_THE_WRONG_HOSPITAL = {"304": "Hungary"}
CHEST_PAIN = {
    "typical angina": "typical angina",
    "atypical angina": "atypical angina",
    "non-anginal": "non-anginal pain",
    "asymptomatic": "asymptomatic",
}
RESTING_ECG = {
    "normal": "normal",
    "st-t abnormality": "st-t abnormality",
    "lv hypertrophy": "left ventricular hypertrophy",
}
SLOPE = {"upsloping": "upsloping", "flat": "flat", "downsloping": "downsloping"}
THALLIUM = {
    "normal": "normal",
    "fixed defect": "fixed defect",
    "reversable defect": "reversible defect",
}

MONTHS = ("sep", "aug", "jul", "jun", "may", "apr")
# UCI documents only -1 and the months of delay; 0 and -2 have the meaning users agree on.
STATUS = {"-2": "no use", "-1": "paid duly", "0": "revolving"} | {
    str(months): "late" for months in range(1, 9)
}
MONTHS_LATE = {"-2": 0, "-1": 0, "0": 0} | {str(months): months for months in range(1, 9)}
EDUCATION = {
    "1": "graduate school",
    "2": "university",
    "3": "high school",
    "4": "other",
    "0": "undocumented",
    "5": "undocumented",
    "6": "undocumented",
}
MARRIAGE = {"1": "married", "2": "single", "3": "other", "0": "undocumented"}

VERIFICATION = {
    "Not_Verified": "not verified",
    "Source_Verified": "source verified",
    "Verified": "verified",
}
EMPLOYMENT_YEARS = {"emp_unk": pd.NA, "emp_lt_1": 0, "emp_ge_10": 10} | {
    f"emp_{years}": years for years in range(1, 10)
}

ZONING = {
    "Residential_Low_Density": "residential low density",
    "Residential_Medium_Density": "residential medium density",
    "Residential_High_Density": "residential high density",
    "Floating_Village_Residential": "floating village",
    "C_all": "commercial",
    "I_all": "industrial",
    "A_agr": "agriculture",
}
BUILDING = {
    "OneFam": "one family",
    "TwoFmCon": "two family conversion",
    "Duplex": "duplex",
    "TwnhsE": "townhouse end unit",
    "Twnhs": "townhouse inside unit",
}
STYLE = {
    "One_Story": "one storey",
    "One_and_Half_Fin": "one and a half storeys finished",
    "One_and_Half_Unf": "one and a half storeys unfinished",
    "Two_Story": "two storeys",
    "Two_and_Half_Fin": "two and a half storeys finished",
    "Two_and_Half_Unf": "two and a half storeys unfinished",
    "SFoyer": "split foyer",
    "SLvl": "split level",
}
GRADES = (
    "Very_Poor",
    "Poor",
    "Fair",
    "Below_Average",
    "Average",
    "Above_Average",
    "Good",
    "Very_Good",
    "Excellent",
    "Very_Excellent",
)
CONDITION = {grade: place for place, grade in enumerate(GRADES, start=1)}
FOUNDATION = {
    "PConc": "poured concrete",
    "CBlock": "cinder block",
    "BrkTil": "brick and tile",
    "Slab": "slab",
    "Stone": "stone",
    "Wood": "wood",
}
HEATING = {name: name.lower() for name in ("Excellent", "Good", "Typical", "Fair", "Poor")}
GARAGE = {
    "Attchd": "attached",
    "Detchd": "detached",
    "BuiltIn": "built in",
    "Basment": "basement",
    "CarPort": "car port",
    "More_Than_Two_Types": "several",
    "No_Garage": "none",
}
SALE = {
    "Normal": "normal",
    "Abnorml": "foreclosure or trade",
    "AdjLand": "adjoining land",
    "Alloca": "allocation",
    "Family": "family",
    "Partial": "unfinished when assessed",
}
YES_NO = {"TRUE": "yes", "FALSE": "no", "1": "yes", "0": "no", "Y": "yes", "N": "no"}
