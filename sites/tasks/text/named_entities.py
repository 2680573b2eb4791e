"""The task of named entity recognition: diseases, drugs, or whatever types are declared."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from privacy.layout import Layout, Tally, Vector
from sites.comparison.findings import Finding
from sites.data.annotations import read_annotated_sentences, read_unannotated_sentences
from sites.data.holdout import Sides
from sites.data.source import DataSource
from sites.evaluation.contract import in_bins
from sites.evaluation.entities import EntityEvaluation
from sites.evaluation.score_bins import EQUAL_BINS, ScoreBins
from sites.models.encoder import Encoder, Role, encoder_for
from sites.models.encoder_export import write_merged, write_trained
from sites.plans import BadPlan, Labels, Predictions, TextModelPlan, TrainingPlan
from sites.schema.texts import EntitySchema, TextSchema
from sites.statistics.texts import TextStatistics
from sites.task import Trained, UnfitSchema
from sites.tasks.text.misclassified import Mistake, entities_in_words, worst_sentences
from sites.tasks.text.named_entities_data import (
    EntityData,
    Sentences,
    flatten_tags,
    pooled_data,
    split_sentences,
)
from sites.tasks.text.token_scores import sentence_losses, tags_of_sentences
from sites.text.iob2_tags import Codes, tag_names
from sites.text.word_alignment import Sentence, Tokenizer, cut_sentences
from sites.training.loop import Records, TrainingDiverged, compute_on_one_thread, train

NAME = "clinical-entities"
_WINDOWS_AT_ONCE = 64


@dataclass(frozen=True)
class EntityTask:
    """Named entity recognition with an encoder; it implements `sites.task.Task`.

    Predictions and labels are tag codes, sentence after sentence, each sentence followed by
    `sites.evaluation.entities.SENTENCE_END`. Predicted tags are always IOB2.

    Args:
        schema: The types of entity.
        model: Which encoder, and which of its parameters are trained.
        seed: Of the run: new parameters are drawn from it.
        name: Name of the use case.
    """

    schema: EntitySchema
    model: TextModelPlan
    seed: int
    name: str = NAME

    @property
    def encoder(self) -> Encoder:
        """The encoder with its head, shared by all sites in this process that train the same.

        Raises:
            UnknownEncoder, UnfitEncoder: The base is not on this machine, or cannot be trained.
            BadPlan: The plan does not fit the base.
        """
        n_tags = len(tag_names(self.schema.types))
        return encoder_for(Role(self.model, "tokens", n_tags, self.seed))

    @property
    def layout(self) -> Layout:
        """Layout of the federated vector."""
        return self.encoder.layout

    @cached_property
    def statistics(self) -> TextStatistics:
        """The statistics that a site counts before training."""
        return TextStatistics(self.schema)

    @cached_property
    def evaluation(self) -> EntityEvaluation:
        """The evaluation, which counts a site's predictions."""
        return EntityEvaluation(self.schema.types)

    def load(self, source: DataSource, *, sides: Sides) -> EntityData:
        """Return a site's checked sentences, each person on the side that `sides` says."""
        found = read_annotated_sentences(source, self.schema)
        sentences = Sentences(
            words=found.tokens,
            read=tuple(self._cut_sentences(found.tokens)),
            tags=found.tags,
            lengths=np.array([len(" ".join(words)) for words in found.tokens], np.int64),
            persons=found.persons,
        )
        return split_sentences(sentences, found, n_types=len(self.schema.types), sides=sides)

    def pool(self, parts: Sequence[EntityData]) -> EntityData:
        """Return the sentences of several sites as those of one."""
        return pooled_data(parts)

    def prepare(self) -> None:
        """Let torch compute on one thread."""
        compute_on_one_thread()

    def statistics_of(self, data: EntityData) -> Tally:
        """Return the tally of the training sentences alone."""
        counts = data.training.counts(len(self.schema.types))
        return self.statistics.tally(data.training.lengths, counts, persons=data.train_persons)

    def findings(self, data: EntityData, others: Tally) -> tuple[Finding, ...]:
        """Return nothing: texts have no columns to compare."""
        return ()

    def train(
        self,
        data: EntityData,
        pooled: Tally,
        vector: Vector,
        plan: TrainingPlan,
        *,
        rng: np.random.Generator,
    ) -> Trained:
        """Train from the model that `vector` stands for.

        The loss of a sentence is the mean over its words; with privacy, over those of its first
        window, so that a forward pass has one row per record.

        Raises:
            EmptySite: There is no training sentence.
            BadPlan: The plan balances classes, which sentences do not have.
            TrainingDiverged: The loss or a parameter is no longer finite.
        """
        del pooled  # texts have no numbers to normalise
        if plan.class_balance != "none":
            raise BadPlan("a sentence has no class to balance: set class_balance to none")
        encoder, training, private = self.encoder, data.training, plan.privacy is not None
        read = [_first_window(item) for item in training.read] if private else training.read
        # Clipping bounds rounding for float32, so private training never computes in half floats.
        scores = partial(encoder.scores, features=None, exact=private)

        def losses(rows: Tensor) -> Tensor:
            chosen = rows.tolist()
            tags = [training.tags[row] for row in chosen]
            return sentence_losses(scores, [read[row] for row in chosen], tags)

        records = Records(
            np.zeros(len(training), np.int64),
            training.persons,
            sizes=training.sizes,
            content_of=training.content_of,
        )
        with encoder.hold_parameters(vector) as model:
            received = encoder.trained_vector()
            steps = train(model, losses, records, plan, rng=rng)
            update = (encoder.trained_vector() - received).astype(np.float32).astype(np.float64)
        if not np.isfinite(update).all():
            raise TrainingDiverged("the trained parameters are not finite: lower the learning rate")
        return Trained(update=update, num_examples=data.train_examples, steps=steps)

    def evaluate(
        self, data: EntityData, pooled: Tally, vector: Vector, bins: ScoreBins = EQUAL_BINS
    ) -> Tally:
        """Return the tally of the entities in held-out sentences."""
        return in_bins(self.evaluation, bins).tally(*self.score(data, pooled, vector))

    def score(self, data: EntityData, pooled: Tally, vector: Vector) -> tuple[Predictions, Labels]:
        """Return predicted and true tags of held-out sentences; they never leave the site."""
        del pooled
        predicted = flatten_tags(self._predicted_tags(data.held_out.read, vector)).astype(
            np.float64
        )
        return predicted, data.held_out.flat_tags

    def mistakes(
        self, data: EntityData, pooled: Tally, vector: Vector, *, at_most: int
    ) -> tuple[Mistake, ...]:
        """Return held-out sentences with wrong entities, those with the most first."""
        del pooled
        held, types = data.held_out, self.schema.types
        said = self._predicted_tags(held.read, vector)
        return tuple(
            Mistake(
                person=str(held.persons[row]),
                text=" ".join(held.words[row]),
                true=entities_in_words(held.tags[row], held.words[row], types),
                predicted=entities_in_words(said[row], held.words[row], types),
            )
            for row in worst_sentences(said, held.tags, types, at_most=at_most)
        )

    def predict(self, source: DataSource, pooled: Tally, vector: Vector) -> Predictions:
        """Return the predicted tags of sentences without tags, in the order of the source."""
        del pooled
        read = self._cut_sentences(read_unannotated_sentences(source, self.schema))
        return flatten_tags(self._predicted_tags(read, vector)).astype(np.float64)

    def parameters(self, vector: Vector) -> dict[str, NDArray[np.float32]]:
        """Return the trained arrays of the model that `vector` stands for, by name."""
        return self.layout.unflatten(self.encoder.start + vector)

    def write(self, vector: Vector, folder: Path, *, merged: bool) -> None:
        """Write the model that `vector` stands for into an existing directory.

        Either the whole model, which `transformers` alone loads, or the trained parameters only.
        """
        export = write_merged if merged else write_trained
        export(self.encoder, vector, tag_names(self.schema.types), folder)

    def _predicted_tags(self, sentences: Sequence[Sentence], vector: Vector) -> list[Codes]:
        encoder = self.encoder
        with encoder.hold_parameters(vector):
            return tags_of_sentences(
                partial(encoder.scores, features=None, exact=False),
                sentences,
                n_tags=encoder.role.n_outputs,
                batch_size=_WINDOWS_AT_ONCE,
            )

    def _cut_sentences(self, sentences: Sequence[Sequence[str]]) -> list[Sentence]:
        return cut_sentences(
            sentences,
            cast(Tokenizer, self.encoder.files.tokenizer),
            size=self.model.max_tokens,
            overlap=self.model.stride,
            by="last" if self.encoder.files.family.left_to_right else "first",
        )


def clinical_entities_task(schema: TextSchema, model: TextModelPlan, *, seed: int) -> EntityTask:
    """Return the task of finding clinical entities in sentences.

    Raises:
        UnfitSchema: The schema is one of whole texts.
    """
    if not isinstance(schema, EntitySchema):
        raise UnfitSchema(
            f"clinical-entities needs a schema of entities, but {schema.name} is one of whole texts"
        )
    return EntityTask(schema, model, seed)


def _first_window(sentence: Sentence) -> Sentence:
    return Sentence(sentence.windows[:1], sentence.n_words)
