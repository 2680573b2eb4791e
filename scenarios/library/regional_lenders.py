"""Four regional lenders learn which consumer loans go bad."""

from consortium.charter.document import Floors
from scenarios.data.datasets import STATES_BY_REGION, lending_regions
from scenarios.scenario import Scenario
from sites.schema.tables import Category, ClassLabel, Number, Schema

TABLE = Schema(
    name="consumer-loans",
    person="loan",
    features=(
        Number(name="amount", low=0, high=100_000, unit="US$"),
        Category(name="term", values=("36 months", "60 months")),
        Category(name="income_check", values=("not verified", "source verified", "verified")),
        Number(name="annual_income", low=0, high=10_000_000, unit="US$", scale="log", missing=True),
        Number(name="employment_years", low=0, high=10, unit="years", missing=True),
        Number(name="late_payments_2y", low=0, high=100, scale="log"),
        Number(name="accounts_overdue", low=0, high=50, scale="log"),
        Number(name="amount_overdue", low=0, high=1_000_000, unit="US$", scale="log"),
        Number(name="inquiries_6m", low=0, high=50, scale="log"),
        Number(name="inquiries_12m", low=0, high=100, scale="log"),
        Number(name="finance_inquiries", low=0, high=100, scale="log"),
        Number(name="revolving_use", low=0, high=300, unit="%"),
        Number(name="credit_use", low=0, high=300, unit="%"),
        Number(name="instalment_accounts", low=0, high=200, scale="log"),
        Number(name="instalment_active", low=0, high=100, scale="log"),
        Number(name="instalment_opened_12m", low=0, high=100, scale="log"),
        Number(name="instalment_opened_24m", low=0, high=100, scale="log"),
        Number(name="instalment_balance", low=0, high=10_000_000, unit="US$", scale="log"),
        Number(name="instalment_limit", low=0, high=10_000_000, unit="US$", scale="log"),
    ),
    label=ClassLabel(column="outcome", classes=("good", "bad")),
)

SCENARIO = Scenario(
    name="regional-lenders",
    title="Four regional lenders learn together which loans go bad",
    story=(
        "9,857 real Lending Club loans of 2016; the borrower's state decides which of four "
        "lenders, the US Census regions, made the loan. The platform's own score is left out."
    ),
    task="credit",
    table=TABLE,
    dataset="lending-club",
    site_of_row=lending_regions,
    sites=tuple(STATES_BY_REGION),
    run_config={
        "model": "logistic",
        "min-local-steps": 10,  # momentum makes a step go further
        "momentum": 0.9,
        "weight-decay": 3e-3,
    },
    floors=Floors(full_class_examples=2_000),
)
