"""Teachers that are run on the very batches of their student: its frames, masks and perturbations, without a store.

Beyer et al. (2022), "Knowledge distillation: a good teacher is patient and consistent".
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asrdistill.data.archive import FrameArchive, check_features
from asrdistill.distill.losses import logit_matching, soft_cross_entropy
from asrdistill.errors import UserError
from asrdistill.features.paste import columns, has_columns
from asrdistill.hmm.senones import Senones
from asrdistill.models.acoustic import AcousticModel
from asrdistill.models.ensemble import Ensemble, average_posteriors
from asrdistill.models.io import load_model
from asrdistill.models.network import Context, Network, cropped
from asrdistill.training.mmi import MmiTargets
from asrdistill.training.options import TrainOptions
from asrdistill.training.pool import Batch


class OnlineTeacher:
    """A network or an ensemble of networks over the student's senones.

    beside     archive of features that a member may read instead of the student's, of the same frames; never masked
    sequences  of a student with loss mmi: it gets the posteriors over the denominator graph, averaged arithmetically
               over the members, or those of the members' mean logits if they are combined geometrically; networks
               that were trained on frames are taken less their log priors

    Raises UserError for other models, features or senones, and for recurrent networks, which read whole utterances.
    """

    def __init__(
        self,
        folder: Path,
        features: FrameArchive,
        senones: Senones,
        stride: int,
        sequences: MmiTargets | None = None,
        beside: FrameArchive | None = None,
    ):
        model = load_model(folder)
        if isinstance(model, AcousticModel):
            model = Ensemble([model], "arithmetic", model.meta)
        if not isinstance(model, Ensemble) or model.evidence:
            raise UserError(f"{folder} is neither a network nor an ensemble of networks; use distill targets")
        self.columns = [_beside(beside, member.meta["features"]) for member in model.members]  # None: the student's
        for member, own in zip(model.members, self.columns, strict=True):
            if own is None:
                check_features(features, member.meta["features"], folder, "name its own with --teacher-features")
        if beside and not any(self.columns):
            raise UserError(f"{folder} does not read {beside.folder}; leave it out")
        if model.senones.hash != senones.hash:
            raise UserError(f"{folder} predicts other senones than the alignment is over; align with its senones")
        self.networks: list[Network] = [member.module for member in model.members]
        if any(network.is_recurrent for network in self.networks):
            raise UserError(f"{folder} is recurrent and reads whole utterances; use distill targets")
        self.combine, self.weights, self.sequences = model.combine, model.weights, sequences
        self.log_priors = torch.from_numpy(np.log(np.stack([member.priors for member in model.members])))  # (M, S)
        if sequences:
            sequences.taught = True
        for network in self.networks:
            network.subsampling = stride

    def context(self, student: Context) -> Context:
        """Frames before and after a frame that the teacher or the student looks at."""
        each = [student, *(network.context for network in self.networks)]
        return max(left for left, _ in each), max(right for _, right in each)

    @torch.no_grad()
    def teach(self, batch: Batch, dtype: torch.dtype, context: Context) -> Batch:
        """The batch, whose windows have this context, with the teacher's rows (n, S) among its targets.

        They are log posteriors and the first, or posteriors over the denominator graph and the last.
        """
        device = batch.windows.device
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = torch.stack([network.to(device)(x).float() for network, x in self._inputs(batch, context)])
        if self.sequences:
            assert batch.inside is not None  # chunks have more than one frame
            return batch._replace(rows=[*batch.rows[:-1], self._over_graph(logits, batch.inside)])
        posteriors = average_posteriors(logits, self.combine, self.weights)
        chosen = posteriors[:, 0] if batch.inside is None else posteriors[batch.inside]
        return batch._replace(rows=[chosen, *batch.rows[1:]])

    def _inputs(self, batch: Batch, context: Context) -> Iterator[tuple[Network, Tensor]]:
        """Each network, and the windows of its features with its context."""
        for network, own in zip(self.networks, self.columns, strict=True):
            if own is None:
                yield network, cropped(batch.windows, context, network.context)
            else:
                assert batch.beside is not None
                yield network, cropped(batch.beside, context, network.context)[..., own]

    def _over_graph(self, logits: Tensor, inside: Tensor) -> Tensor:
        """(n, S) of logits (M, b, L, S)."""
        assert self.sequences
        shares = torch.tensor(self.weights or [1.0] * len(logits)).to(logits)
        shares /= shares.sum()
        logits = logits - self.log_priors.to(logits)[:, None, None]
        if self.combine == "geometric":
            return self.sequences.posteriors(torch.tensordot(shares, logits, 1), inside)
        each = torch.stack([self.sequences.posteriors(one, inside) for one in logits])
        return torch.tensordot(shares, each, 1)


def _beside(archive: FrameArchive | None, settings: dict[str, Any]) -> slice | None:
    """Columns of features with these settings in a teacher's archive; None if it does not have them."""
    if archive is None or not has_columns(archive.meta["features"], settings):
        return None
    return columns(archive.meta["features"], settings)


class TaughtTargets:
    """Posteriors (n, S) that :meth:`OnlineTeacher.teach` fills in; the loss is that of stored ones."""

    def __init__(self, features: FrameArchive, options: TrainOptions):
        self.features, self.temperature, self.loss_name = features, options.temperature, options.loss

    def gather(self, utterances: Sequence[str]) -> list[Tensor]:
        return [torch.empty(sum(map(self.features.rows, utterances)), 0)]

    def loss(self, logits: Tensor, rows: list[Tensor]) -> Tensor:
        if self.loss_name == "logits":
            return logit_matching(logits, rows[0])
        targets = (rows[0] / self.temperature).softmax(-1)
        return self.temperature**2 * soft_cross_entropy(logits, targets, self.temperature)
