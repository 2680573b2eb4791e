"""Three estate agents' offices learn what a house sells for."""

from consortium.charter.document import Floors
from scenarios.data.datasets import NEIGHBOURHOODS_BY_OFFICE, ames_offices
from scenarios.scenario import RMSE, Scenario
from sites.schema.tables import Category, Number, NumberLabel, Schema

TABLE = Schema(
    name="house-sales",
    person="house",
    features=(
        Category(
            name="zoning",
            values=(
                "agriculture",
                "commercial",
                "floating village",
                "industrial",
                "residential high density",
                "residential low density",
                "residential medium density",
            ),
        ),
        Number(name="lot_frontage", low=0, high=1_000, unit="feet", missing=True),
        Number(name="lot_area", low=0, high=1_000_000, unit="square feet", scale="log"),
        Category(
            name="building",
            values=(
                "one family",
                "two family conversion",
                "duplex",
                "townhouse end unit",
                "townhouse inside unit",
            ),
        ),
        Category(
            name="style",
            values=(
                "one storey",
                "one and a half storeys finished",
                "one and a half storeys unfinished",
                "two storeys",
                "two and a half storeys finished",
                "two and a half storeys unfinished",
                "split foyer",
                "split level",
            ),
        ),
        Number(name="condition", low=1, high=10),
        Number(name="year_built", low=1800, high=2010),
        Number(name="year_remodelled", low=1800, high=2010),
        Category(
            name="foundation",
            values=("brick and tile", "cinder block", "poured concrete", "slab", "stone", "wood"),
        ),
        Number(name="masonry_area", low=0, high=5_000, unit="square feet", scale="log"),
        Number(name="basement_area", low=0, high=10_000, unit="square feet"),
        Number(name="finished_basement_area", low=0, high=10_000, unit="square feet"),
        Category(name="heating", values=("poor", "fair", "typical", "good", "excellent")),
        Category(name="central_air", values=("no", "yes")),
        Number(name="living_area", low=100, high=10_000, unit="square feet"),
        Number(name="basement_baths", low=0, high=5),
        Number(name="full_baths", low=0, high=6),
        Number(name="half_baths", low=0, high=5),
        Number(name="bedrooms", low=0, high=12),
        Number(name="kitchens", low=0, high=5),
        Number(name="rooms", low=1, high=25),
        Number(name="fireplaces", low=0, high=6),
        Category(
            name="garage",
            values=(
                "none",
                "attached",
                "basement",
                "built in",
                "car port",
                "detached",
                "several",
            ),
        ),
        Number(name="garage_cars", low=0, high=6, missing=True),
        Number(name="deck_area", low=0, high=3_000, unit="square feet"),
        Number(name="porch_area", low=0, high=3_000, unit="square feet"),
        Number(name="year_sold", low=2006, high=2010),
    ),
    label=NumberLabel(column="sale_price", low=0, high=1_000_000, unit="US$"),
)

SCENARIO = Scenario(
    name="house-prices",
    title="Three estate agents learn together what a house sells for",
    story=(
        "2,925 real sales in Ames, Iowa, 2006 to 2010, at three offices by neighbourhood: the "
        "classic first federated example, a linear regression."
    ),
    task="house-prices",
    table=TABLE,
    dataset="ames",
    site_of_row=ames_offices,
    sites=tuple(NEIGHBOURHOODS_BY_OFFICE),
    run_config={
        "model": "linear",
        "num-server-rounds": 30,
        "batch-size": 64,
        "min-local-steps": 10,  # momentum makes a step go further
        "learning-rate": 0.01,
        "momentum": 0.9,
        "weight-decay": 3e-3,
    },
    floors=Floors(full_class_examples=500),
    headline=RMSE,
)
