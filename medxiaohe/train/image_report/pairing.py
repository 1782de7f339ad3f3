"""Tensors of batches of pairs: words, triplets, labels, numbers of studies and patients, images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from medxiaohe.models.image_report.tower import Tower
from medxiaohe.models.image_report.vocabulary import Vocabulary
from medxiaohe.train.image_report.features import Features
from medxiaohe.train.image_report.learner import Batch
from medxiaohe.train.image_report.pairs import Numbers, Pair
from medxiaohe.train.image_report.settings import MotorSettings
from medxiaohe.train.image_report.triplets import numbered


class Known:
    """Vocabularies, and numbers of studies, patients and reports, shared by all sets of pairs."""

    def __init__(self, tokenizer: Any, vocabulary: Vocabulary, terms: Sequence[str]):
        self.tokenizer, self.vocabulary = tokenizer, vocabulary
        self.terms = {term: number for number, term in enumerate(terms)}
        self.studies, self.patients, self.reports = Numbers(), Numbers(), Numbers()


class Tensors:
    """Tensors of a set of pairs."""

    def __init__(
        self, pairs: Sequence[Pair], shared: Known, tower: Tower, settings: MotorSettings, file: Path
    ):
        """Compute them.

        Args:
            pairs: at least one.
            shared: vocabularies and numbers.
            tower: makes pixels, and features where it is frozen.
            settings: of the stage.
            file: of the features of a frozen tower.
        """
        self.pairs, self.tower, self.settings = pairs, tower, settings
        reports = [pair.report for pair in pairs]
        self.words = torch.tensor(shared.vocabulary.encode(shared.tokenizer, reports, settings.max_length))
        self.triplets = torch.tensor(
            [numbered(pair.triplets, shared.terms, settings.triplets) for pair in pairs]
        )
        self.labels = torch.tensor([pair.labels for pair in pairs], dtype=torch.float32)
        self.study = shared.studies.of([pair.study for pair in pairs])
        self.patient = shared.patients.of([pair.patient for pair in pairs])
        self.report = shared.reports.of([" ".join(report.casefold().split()) for report in reports])
        refs = [pair.image for pair in pairs]
        self.features = None if settings.vision else Features(tower, refs, file)

    def batch(self, numbers: Sequence[int]) -> Batch:
        """Collect the tensors of some pairs.

        Args:
            numbers: of the pairs, n.

        Returns:
            A batch of n pairs; words are cut to the longest report.
        """
        if self.features is not None:
            images = self.features.of(numbers)
        else:
            images = self.tower.pixels([self.pairs[n].image for n in numbers])
        words = self.words[numbers]
        # word 0 is padding
        words = words[:, : int((words != 0).sum(1).max())]  # no column of padding alone
        own = (self.triplets, self.labels, self.study, self.patient, self.report)
        return Batch(images, words, *(item[numbers] for item in own))
