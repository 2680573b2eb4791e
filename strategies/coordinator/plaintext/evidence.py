"""Who stood apart in a round: each update against the aggregate, in the clear only."""

from dataclasses import dataclass

import numpy as np

from privacy.layout import Vector
from strategies.rules.inputs import WIDTH, Rows, blocks
from strategies.rules.norms import row_norms


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """How each site's update lies to the aggregate of the round; each shape (n_sites,).

    Args:
        norms: L2 norm of the update.
        distances: L2 norm of its difference from the aggregate.
        cosines: Cosine of the angle between them; 0 where one of them is zero.
    """

    norms: Vector
    distances: Vector
    cosines: Vector


def evidence_of(updates: Rows, aggregate: Vector) -> Evidence:
    """Return how each update lies to the aggregate.

    Guarantee: computed block by block, in memory that does not grow with dim. What stands
    apart may be a liar, or a site whose records are unlike the others': the figures do not
    tell which.

    Args:
        updates: Shape (n_sites, dim).
        aggregate: Shape (dim,).
    """
    norms = row_norms(updates)
    products = np.zeros(updates.shape[0])
    for columns, block in blocks(updates, WIDTH):
        products += block.astype(np.float64) @ aggregate[columns]
    lengths = norms * np.linalg.norm(aggregate)
    cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return Evidence(
        norms=norms, distances=row_norms(updates, aggregate), cosines=np.clip(cosines, -1, 1)
    )
