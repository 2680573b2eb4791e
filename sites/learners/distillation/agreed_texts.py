"""The texts that all members agreed on: the same bytes at every site."""

import hashlib
from functools import lru_cache
from pathlib import Path

from privacy.errors import ConsortiumError
from sites.learners.distillation.plan import DistilPlan


class OtherTexts(ConsortiumError, ValueError, code="other-texts"):
    """The agreed texts are not there, or are others than the run says."""


def agreed_texts(plan: DistilPlan) -> tuple[str, ...]:
    """Return the agreed texts, in their order; empty lines are none.

    Raises:
        OtherTexts: The file is absent, or its digest or its number of texts is another.
    """
    try:
        content = Path(plan.file).read_bytes()
    except OSError as error:
        raise OtherTexts(
            f"the run asks about agreed texts in {plan.file}, which cannot be read here "
            f"({type(error).__name__}): put the file there"
        ) from error
    return _texts_of(content, plan)


@lru_cache(maxsize=2)
def _texts_of(content: bytes, plan: DistilPlan) -> tuple[str, ...]:
    digest = hashlib.sha256(content).hexdigest()
    if digest != plan.digest:
        raise OtherTexts(
            f"the run asks about agreed texts with digest {plan.digest}, but {plan.file} has "
            f"{digest}: every site needs the same bytes"
        )
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError as error:
        raise OtherTexts(f"{plan.file} is not UTF-8: write it anew as UTF-8") from error
    texts = tuple(line for line in lines if line.strip())
    if len(texts) != plan.texts:
        raise OtherTexts(
            f"{plan.file} has {len(texts)} texts, but the run says distil.texts={plan.texts}",
            came=len(texts),
        )
    return texts
