"""How sites learn from what their models say of agreed texts."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from privacy.declarations import Since, require_declared
from sites.plans import BadPlan, TrainingPlan

_BATCH = 16


@dataclass(frozen=True, kw_only=True)
class DistilPlan:
    """Which texts the sites' models are asked about, and how one learns from the answers.

    Raises:
        BadPlan: A value is out of range.
    """

    file: Annotated[
        str,
        Field(
            max_length=500,
            description="For `distil`: the file of agreed texts at every site, UTF-8, a text a "
            "line. They need no labels, and should be nobody's.",
        ),
        Since("0.2.0"),
    ] = ""
    digest: Annotated[
        str,
        Field(
            pattern=r"^([0-9a-f]{64})?$",
            description="For `distil`: the SHA-256 of that file; a site with another refuses.",
        ),
        Since("0.2.0"),
    ] = ""
    texts: Annotated[
        int,
        Field(ge=0, le=1_000_000, description="For `distil`: how many lines the file has."),
        Since("0.2.0"),
    ] = 0
    epochs: Annotated[
        int,
        Field(
            ge=1,
            le=1_000,
            description="For `distil`: passes over the agreed texts by which an encoder learns "
            "from the average of the answers.",
        ),
        Since("0.2.0"),
    ] = 10
    learning_rate: Annotated[
        float,
        Field(gt=0, le=1e6, description="For `distil`: learning rate of Adam in these passes."),
        Since("0.2.0"),
    ] = 2e-3

    def __post_init__(self) -> None:
        require_declared(self, BadPlan)

    @property
    def training(self) -> TrainingPlan:
        """How an encoder learns from the answers."""
        return TrainingPlan(
            local_epochs=self.epochs,
            batch_size=_BATCH,
            learning_rate=self.learning_rate,
            optimizer="adam",
        )

    def require_texts(self) -> None:
        """Check that the run says which texts are agreed.

        Raises:
            BadPlan: It does not.
        """
        keys = {"distil.file": self.file, "distil.digest": self.digest, "distil.texts": self.texts}
        absent = [key for key, value in keys.items() if not value]
        if absent:
            raise BadPlan(
                "learner=distil asks the sites' models about agreed texts: set "
                f"{', '.join(absent)} (the file at every site, its SHA-256, its number of lines)"
            )
