"""Lattice-free maximum mutual information (Povey et al. 2016), an objective of whole chunks; see docs/internals.md.

log p(phones of the chunk) - log p(any phones), by the forward-backward algorithm over the outputs' logits. The
numerator's paths are some of the denominator's, with the same weights, so the objective is at most 0.
"""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from asrdistill.data.archive import FrameArchive
from asrdistill.errors import UserError, check_left_out, log
from asrdistill.hmm.denominator import DenominatorGraph, PhoneNgram, find
from asrdistill.hmm.senones import Senones, begins
from asrdistill.training.options import TrainOptions
from asrdistill.training.targets import UNLABELLED, HardTargets

LOWEST = -60.0  # logits below their frame's largest by more count as this: float32 ends at e^-87
LARGEST = 1e30
CHUNKS, FLOATS = 32, 2**26  # most chunks whose forward probabilities are in memory at a time, and most of these


class MmiTargets:
    """The phones of an alignment, each shifted by some frames at most, against a phone n-gram of all utterances.

    utterances   those that have a path; others are named, and refused if they are more than 5 percent
    pathless     chunks so far that had no path and were left out

    `features` gives the lengths of utterances without an alignment, which have no objective of their own.

    Logits are (b, L, S), or (b, L, 2S) with the cross-entropy branch in the second half. With `taught` the last rows
    are a teacher's posteriors (n, S) over the denominator graph; the loss is then the cross-entropy of its distribution
    of paths and the student's (Wong and Gales 2016), with hard_weight times the objective above.

    Raises UserError for an alignment without phones and outputs that are not as far apart as those of the senones.
    """

    def __init__(
        self,
        alignment: FrameArchive,
        senones: Senones,
        options: TrainOptions,
        features: FrameArchive | None = None,
    ):
        if "phones" not in alignment.meta["parts"]:
            raise UserError(f"{alignment.folder} does not say which phone a frame belongs to; align again")
        if options.stride != senones.subsampling:
            raise UserError(f"the senones of {alignment.folder} need stride {senones.subsampling}; set stride to it")
        self.alignment, self.senones, self.options = alignment, senones, options
        self.hard = HardTargets(alignment, features)
        self.pathless, self.taught = torch.zeros(()), False
        phones = (self._phones(utterance)[0] for utterance in alignment)
        ngram = PhoneNgram(phones, len(senones.phones), options.phone_order, options.phone_histories)
        self.graph = DenominatorGraph(ngram, senones)
        log.info("denominator graph: %s", ", ".join(f"{count} {name}" for name, count in self.graph.summary.items()))
        self._denominator = Denominator(self.graph, options.leak)
        self.lacking = [utterance for utterance in alignment if not self._has_path(utterance)]
        short = "are too short for their phones"
        check_left_out(self.lacking, len(alignment), reason=short, remedy="align again, or raise tolerance")
        without = set(self.lacking)
        self.utterances = [utterance for utterance in alignment if utterance not in without]

    def gather(self, utterances: Sequence[str]) -> list[Tensor]:
        """Of each frame: senone, number of the first phone that may be there, and instances (K,) from it on, or -1."""
        (labels,) = self.hard.gather(utterances)
        rows = [self._rows(utterance) for utterance in utterances]
        most = max(near.shape[1] for _, near in rows)
        near = [np.pad(near, ((0, 0), (0, most - near.shape[1])), constant_values=-1) for _, near in rows]
        phones = [torch.from_numpy(np.concatenate(each)) for each in ([first for first, _ in rows], near)]
        return [labels, *phones, *([torch.empty(len(labels), 0)] if self.taught else [])]

    def chunk_loss(self, logits: Tensor, rows: list[Tensor], inside: Tensor) -> Tensor:
        """Sum over the frames `inside` (b, L) of the chunks."""
        options, labels = self.options, rows[0]
        main = logits[..., : self.senones.count]
        any_phones = self._denominator(main, inside)
        top, found = numerator(self._denominator, main, rows[1], rows[2], inside)
        objective = torch.where(found, top - any_phones, 0).sum()
        aligned = torch.zeros_like(inside)
        aligned[inside] = labels != UNLABELLED
        self.pathless = self.pathless.to(logits.device) + (~found & aligned.any(1)).sum()
        loss = 0.5 * options.output_l2 * (main.square().sum(-1) * inside).sum()
        loss = loss - (options.hard_weight if self.taught else 1.0) * objective
        if self.taught:
            loss = loss + any_phones.sum() - (rows[3] * main[inside]).sum()
        if options.cross_entropy_weight:
            branch = logits[..., self.senones.count :][inside]
            nats = functional.cross_entropy(branch, labels, ignore_index=UNLABELLED, reduction="sum")
            loss = loss + options.cross_entropy_weight * nats
        return loss

    def posteriors(self, logits: Tensor, inside: Tensor) -> Tensor:
        """Senones' posteriors (n, S) over the denominator graph at the frames `inside` (b, L), of logits (b, L, S)."""
        with torch.enable_grad():
            leaf = logits.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self._denominator(leaf, inside).sum(), leaf)
        return gradient[inside]

    def _phones(self, utterance: str) -> tuple[np.ndarray, np.ndarray]:
        """An utterance's phones (n,), and the frames (n + 1,) where each begins and the last ends."""
        phone = np.asarray(self.alignment.part(utterance, "phones"), np.int64)
        first = np.flatnonzero(begins(self.senones.state[self.alignment[utterance]], phone))
        return phone[first], np.append(first, len(phone))

    def _rows(self, utterance: str) -> tuple[np.ndarray, np.ndarray]:
        if utterance in self.alignment:
            return self._near(*self._phones(utterance))
        frames = self.hard.lengths.rows(utterance)
        return np.zeros(frames, np.int64), np.full((frames, 1), -1)

    def _near(self, phones: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of :meth:`gather`, without labels: (T,) and (T, K)."""
        frames, tolerance = np.arange(bounds[-1]), self.options.tolerance
        first = np.searchsorted(bounds[1:] + tolerance, frames, "right")
        count = np.searchsorted(bounds[:-1] - tolerance, frames, "right") - first
        place = np.arange(count.max())
        instances = np.append(self.graph.instances(phones), np.full(len(place), -1))
        return first, np.where(place < count[:, None], instances[first[:, None] + place], -1)

    def _has_path(self, utterance: str) -> bool:
        """Whether every chunk of the utterance has one: the alignment itself is a path, or there is one beside it."""
        graph, stride = self.graph, self.options.stride
        phones, bounds = self._phones(utterance)
        number = np.repeat(np.arange(len(phones)), np.diff(bounds))
        instance, state = graph.instances(phones)[number], self.senones.state[self.alignment[utterance]]
        node = graph.base[instance] + state
        now, then = slice(None, -stride), slice(stride, None)
        linked = find(graph.links, instance[now] * len(graph.base) + instance[then]) >= 0
        step = node[then] - node[now]
        possible = np.where(
            number[then] == number[now],
            np.where(step == 0, graph.stay[node[now]], np.where(step == 1, graph.go_on[node[now]], 0)) > 0,
            (number[then] == number[now] + 1) & (state[then] == 0) & linked & (graph.leave[node[now]] > 0),
        )
        if instance.min() >= 0 and graph.initial[node].min() > 0 and possible.all():
            return True
        first, near = map(torch.from_numpy, self._near(phones, bounds))
        shifted = torch.arange(min(stride, len(first)))[:, None] + torch.arange(0, len(first), stride)
        inside = shifted < len(first)
        logits = torch.zeros(1, 1, 1).expand(*inside.shape, self.senones.count)
        chosen = shifted[inside]
        return bool(numerator(self._denominator, logits, first[chosen], near[chosen], inside)[1].all())


class Denominator:
    """log p of any phones, for chunks of logits (b, L, S) of which the frames `inside` (b, L) count: (b,).

    leak   probability that a state is followed by any other, as initial probabilities say, besides the graph's arcs
    """

    def __init__(self, graph: DenominatorGraph, leak: float):
        self.graph, self.leak = graph, leak
        self._tensors: dict[Any, dict[str, Tensor]] = {}
        self._arrays: dict[Any, list[np.ndarray]] = {}

    def __call__(self, logits: Tensor, inside: Tensor) -> Tensor:
        by_torch = logits.device.type != "cpu"
        return self.by_torch(logits, inside) if by_torch else _ByNumba.apply(logits, inside, self)

    def by_torch(self, logits: Tensor, inside: Tensor) -> Tensor:
        """For GPUs: sparse matrix products and autograd."""
        graph, (top, scores) = self.tensors(logits.device, logits.dtype), likelihoods(logits)
        alpha, total = graph["initial"][:, None].expand(-1, len(logits)), torch.zeros_like(top[:, 0])
        for k, live in enumerate(inside.T):  # the first is of all chunks
            come = torch.sparse.mm(graph["arcs"], alpha) + self.leak * graph["initial"][:, None] if k else alpha
            now = come * scores[k][graph["senone"]]
            norm = torch.where(live, now.sum(0), 1)
            alpha = torch.where(live, now / norm, alpha)
            total = total + norm.log() + torch.where(live, top[:, k], 0)
        return total

    def tensors(self, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
        """The graph's arrays on a device; all arcs are a sparse matrix (N, N) of targets and sources."""
        if (device, dtype) not in self._tensors:
            names = ("senone", "initial", "stay", "go_on", "leave", "base", "lengths", "links", "link_weight")
            found = {name: torch.from_numpy(getattr(self.graph, name)) for name in names}
            found = {name: x.to(device, dtype if x.is_floating_point() else torch.int64) for name, x in found.items()}
            states = np.arange(len(self.graph.senone))
            places = [np.append(self.graph.target, states), np.append(self.graph.source, states)]
            weight = torch.from_numpy(np.append(self.graph.weight, self.graph.stay))
            arcs = torch.sparse_coo_tensor(
                torch.from_numpy(np.stack(places)), weight, [len(states)] * 2, check_invariants=False
            )
            self._tensors[device, dtype] = {**found, "arcs": arcs.coalesce().to(device, dtype)}
        return self._tensors[device, dtype]

    def arrays(self, dtype: Any) -> list[np.ndarray]:
        """For :func:`_forward_backward`: state arrays, arcs by target, arcs by source."""
        if dtype not in self._arrays:
            graph, found = self.graph, []
            for key, other in ((graph.target, graph.source), (graph.source, graph.target)):
                order = np.argsort(key, kind="stable")
                first = np.searchsorted(key[order], np.arange(len(graph.senone) + 1))
                found += [first.astype(np.int32), other[order].astype(np.int32), graph.weight[order].astype(dtype)]
            states = [graph.senone.astype(np.int32), graph.initial.astype(dtype), graph.stay.astype(dtype)]
            self._arrays[dtype] = [*states, *found]
        return self._arrays[dtype]


def likelihoods(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (b, L, S) -> the largest of each frame (b, L), and exponentials of what is above it, (L, S, b)."""
    top = logits.detach().amax(-1)
    return top, (logits - top[..., None]).clamp_min(LOWEST).exp().permute(1, 2, 0).contiguous()


def numerator(
    denominator: Denominator, logits: Tensor, first: Tensor, near: Tensor, inside: Tensor
) -> tuple[Tensor, Tensor]:
    """(b,) float64 log p of the chunks' phones, and (b,) whether there is a path, from rows of `MmiTargets.gather`."""
    graph = denominator.tensors(logits.device, torch.float64)
    (chunks, frames), near_by = inside.shape, near.shape[1]
    allowed_from, instances = first.new_zeros(chunks, frames), near.new_full((chunks, frames, near_by), -1)
    allowed_from[inside], instances[inside] = first, near
    place = ((allowed_from - allowed_from[:, :1]) * inside)[..., None] + torch.arange(near_by, device=first.device)
    size = int(place.max()) + 1  # phones of the longest chain
    chain = near.new_full((chunks, size), -1).scatter_reduce(1, place.flatten(1), instances.flatten(1), "amax")
    allowed = torch.zeros(chunks, frames, size, dtype=torch.bool, device=near.device)
    allowed = allowed.scatter(2, place, instances >= 0)

    known, one = chain >= 0, chain.clamp_min(0)
    state = torch.arange(int(graph["lengths"].max()), device=near.device)
    real = known[..., None] & (state < graph["lengths"][one][..., None])  # (b, phones, states)
    node = torch.where(real, graph["base"][one][..., None] + state, 0)
    initial, stay, go_on, leave = (
        torch.where(real, graph[name][node], 0) for name in ("initial", "stay", "go_on", "leave")
    )
    key = one[:, :-1] * len(graph["base"]) + one[:, 1:]
    link = torch.searchsorted(graph["links"], key).clamp_max(len(graph["links"]) - 1)
    linked = known[:, :-1] & known[:, 1:] & (graph["links"][link] == key)
    enter = torch.where(linked, graph["link_weight"][link], 0)[..., None]
    again = (one[:, :, None] == one[:, None]) & allowed[:, :1]  # a path must not count twice
    initial = initial * ~again.tril(-1).any(-1, keepdim=True)

    senone = graph["senone"][node].flatten(1)[:, None].expand(-1, frames, -1)
    scores = logits.gather(2, senone).double().view(chunks, frames, size, -1)
    scores = scores.masked_fill(~(allowed[..., None] & real[:, None]), -torch.inf)
    top = scores.detach().amax((-1, -2))
    top = torch.where(top == -torch.inf, 0, top)
    likelihood = (scores - top[..., None, None]).exp()
    total, found = (top * inside).sum(1), torch.ones_like(inside[:, 0])
    alpha = initial
    for k, live in enumerate(inside.T):
        come = alpha
        if k:
            entered = functional.pad((alpha * leave).sum(-1, keepdim=True)[:, :-1] * enter, (0, len(state) - 1, 1, 0))
            come = alpha * stay + functional.pad((alpha * go_on)[..., :-1], (1, 0)) + entered
        alpha = torch.where(live[:, None, None], come * likelihood[:, k], alpha)
        norm = alpha.sum((-1, -2))
        found = found & (norm != 0)
        norm = torch.where(norm == 0, 1, norm)
        alpha, total = alpha / norm[:, None, None], total + norm.log()
    return total, found


class _ByNumba(torch.autograd.Function):
    """The denominator on a CPU, on one thread."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, inside: Tensor, denominator: Denominator) -> Tensor:
        top, scores = likelihoods(logits.detach())
        posterior = torch.zeros_like(scores)
        lengths = inside.sum(1)
        arrays = denominator.arrays(scores.numpy().dtype)
        logs = _forward_backward(scores.numpy(), lengths.numpy(), denominator.leak, posterior.numpy(), *arrays)
        ctx.save_for_backward(posterior)
        return (torch.from_numpy(logs) + (top * inside).sum(1, dtype=torch.float64)).to(logits.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (posterior,) = ctx.saved_tensors
        return (posterior * gradient).permute(2, 0, 1), None, None


@numba.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _forward_backward(
    scores, lengths, leak, posterior, senone, initial, stay, in_first, source, in_weight, out_first, target, out_weight
):
    """Adds the senones' posteriors (L, S, b) to `posterior`; returns (b,) float64 log p, of likelihoods (L, S, b)."""
    frames, _, chunks = scores.shape
    states = len(senone)
    logs = np.zeros(chunks)
    width = min(CHUNKS, chunks, max(8, FLOATS // (frames * states)))
    alpha = np.empty((frames, states, width), scores.dtype)  # sums to one over the states
    inverse = np.empty((frames, width), scores.dtype)
    leak = initial.dtype.type(leak)
    largest = initial.dtype.type(LARGEST)
    now, after = np.empty((states, width), scores.dtype), np.empty((states, width), scores.dtype)
    row, leaked, total = np.empty(width, scores.dtype), np.empty(width, scores.dtype), np.empty(width)
    going, live = np.empty(width, scores.dtype), np.empty(width, scores.dtype)
    for begin in range(0, chunks, width):
        count = min(width, chunks - begin)
        for k in range(frames):
            total[:] = 0
            for n in range(states):
                if k == 0:
                    row[:] = initial[n]
                else:
                    for c in range(count):
                        row[c] = leak * initial[n] + stay[n] * alpha[k - 1, n, c]
                    for a in range(in_first[n], in_first[n + 1]):
                        s, w = source[a], in_weight[a]
                        for c in range(count):
                            row[c] += w * alpha[k - 1, s, c]
                for c in range(count):
                    value = row[c] * scores[k, senone[n], begin + c]
                    alpha[k, n, c] = value
                    total[c] += value
            for c in range(count):
                inverse[k, c] = 1 / total[c]
                if k < lengths[begin + c]:
                    logs[begin + c] += np.log(total[c])
            for n in range(states):
                for c in range(count):
                    alpha[k, n, c] *= inverse[k, c]
        after[:] = 0
        leaked[:] = 0
        for k in range(frames - 1, -1, -1):
            for c in range(count):
                going[c] = k < lengths[begin + c] - 1
                live[c] = k < lengths[begin + c]
                leaked[c] *= leak
            total[:] = 0
            for n in range(states):
                for c in range(count):
                    row[c] = leaked[c] + stay[n] * after[n, c]
                for a in range(out_first[n], out_first[n + 1]):
                    s, w = target[a], out_weight[a]
                    for c in range(count):
                        row[c] += w * after[s, c]
                for c in range(count):
                    beta = row[c] * going[c] + (1 - going[c])
                    posterior[k, senone[n], begin + c] += live[c] * alpha[k, n, c] * beta
                    value = min(beta * scores[k, senone[n], begin + c] * inverse[k, c], largest)
                    now[n, c] = value
                    total[c] += initial[n] * value
            now, after = after, now
            for c in range(count):
                leaked[c] = total[c]
    return logs
