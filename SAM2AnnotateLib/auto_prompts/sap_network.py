"""SapNetwork: prototypes on frozen features through a small trainable head. Imports torch; the room's other files do not.

Method: SAP-Net of study B as its text tells it, after PANet: a slice is told by how much each of its cells is like the mean of the object's
cells and like the mean of the rest on annotated slices. Its values (sigma, the bias, K) are not published; ours are chosen in README.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

# Factor on cosines, as PANet has it.
_SCALE = 20.0
# Annotated slices that are compared in one step of training, and with one slice afterwards.
_MOST_SUPPORTS_A_STEP = 3
_MOST_SUPPORTS = 24
_TINY = 1e-6


@dataclass(frozen=True)
class SapSettings:
    """How the network is made and trained; each rung of study B's ladder switches one on.

    Args:
        steps: of training.
        width: channels of the head.
        sigma: annotated slices count by a Gaussian of how far they lie from the slice in question, as a share of the stack, and the
            features are told the row and column that they lie at; None: neither, as in PANet.
        false_positive_share: of the biased Dice loss: the weight of false positives against that of false negatives, 0.5 is plain Dice;
            None: no Dice loss.
        local: whether the background is told by the best of many local prototypes, as SSL-ALPNet does, instead of by one.
        alignment: weight of PANet's alignment loss.
        learning_rate: of Adam, at the beginning.
        seed: of weights and draws.
    """

    steps: int = 300
    width: int = 32
    sigma: float | None = 0.05
    false_positive_share: float | None = 0.7
    local: bool = False
    alignment: float = 1.0
    learning_rate: float = 3e-3
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Example:
    """An annotated slice as the network sees it.

    Args:
        maps: (channels, grid, grid) features, float16 or float32.
        share: (grid, grid) float32, how much of each cell the object covers.
        place: 0..1 along the stack.
    """

    maps: np.ndarray
    share: np.ndarray
    place: float


class SapNetwork:
    """Trained on annotated slices, it says how likely each cell of another slice is the object.

    Args:
        examples: at least one with the object; others teach its absence.
        settings: how.
    """

    def __init__(self, examples: Sequence[Example], settings: SapSettings):
        self.settings = settings
        self._maps = torch.from_numpy(np.stack([one.maps.astype(np.float16) for one in examples]))
        self._share = torch.from_numpy(np.stack([one.share for one in examples]))
        self._place = torch.tensor([one.place for one in examples])
        self._with = [number for number, one in enumerate(examples) if (one.share > 0.5).any()] or [
            number for number, one in enumerate(examples) if one.share.any()
        ]
        # Of small objects the cell that is covered most counts as the object.
        top = self._share.amax((1, 2), keepdim=True).clamp(max=1)
        self._target = ((self._share > 0.5) | ((top <= 0.5) & (top > 0) & (self._share == top))).float()
        means = torch.stack([one.float().mean((1, 2)) for one in self._maps])
        squares = torch.stack([one.float().square().mean((1, 2)) for one in self._maps])
        mean = means.mean(0)
        std = (squares.mean(0) - mean.square()).clamp(min=0).sqrt()
        self._shift, self._stretch = mean[None, :, None, None], (1 / std.clamp(min=1e-3))[None, :, None, None]
        rows = torch.linspace(-1, 1, self._maps.shape[2])
        self._cells = torch.stack(torch.meshgrid(rows, rows, indexing="ij"))[None]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            inputs, width = self._maps.shape[1] + (0 if settings.sigma is None else 2), settings.width
            self._head = torch.nn.Sequential(
                torch.nn.Conv2d(inputs, width, 1), torch.nn.GELU(),
                torch.nn.Conv2d(width, width, 3, padding=1), torch.nn.GELU(),
                torch.nn.Conv2d(width, width, 3, padding=1),
            )  # fmt: skip
        self._known: torch.Tensor | None = None

    def train(self) -> Iterator[float]:
        """Support and query episodes over the annotated slices; yields the loss after each step."""
        rng = np.random.default_rng(self.settings.seed)
        optimizer = torch.optim.Adam(self._head.parameters(), lr=self.settings.learning_rate)
        for step in range(self.settings.steps):
            for group in optimizer.param_groups:  # falls to nothing, so that the last draws do not decide
                group["lr"] = self.settings.learning_rate * 0.5 * (1 + math.cos(math.pi * step / self.settings.steps))
            query = int(rng.integers(len(self._target)))
            others = [number for number in self._with if number != query] or self._with
            count = int(rng.integers(1, min(len(others), _MOST_SUPPORTS_A_STEP) + 1))
            support = rng.choice(others, count, replace=False).tolist()
            with torch.enable_grad():
                cells = self._cells_of(self._maps[[query, *support]])
                loss = self._loss(cells[:1], cells[1:], [query], support)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            yield float(loss.detach())

    def likelihood(self, maps: np.ndarray, place: float) -> np.ndarray:
        """(grid, grid) float32: how likely each cell is the object, 0..1."""
        with torch.inference_mode():
            near = sorted(self._with, key=lambda number: abs(float(self._place[number]) - place))[:_MOST_SUPPORTS]
            if self._known is None:
                self._known = torch.cat([self._cells_of(self._maps[[number]]) for number in range(len(self._maps))])
            cells = self._cells_of(torch.from_numpy(maps)[None])
            logits = self._logits(cells, torch.tensor([place]), self._known[near], self._target[near], self._place[near])
            return logits[:, 1].sub(logits[:, 0]).sigmoid()[0].numpy()

    def _cells_of(self, maps: torch.Tensor) -> torch.Tensor:
        """(slices, width, grid, grid) of frozen features."""
        inputs = ((maps.float() - self._shift) * self._stretch).clamp(-5, 5)
        if self.settings.sigma is not None:
            inputs = torch.cat([inputs, self._cells.expand(len(inputs), -1, -1, -1)], 1)
        return self._head(inputs)

    def _logits(
        self, cells: torch.Tensor, places: torch.Tensor, known: torch.Tensor, target: torch.Tensor, known_places: torch.Tensor
    ) -> torch.Tensor:
        """(queries, 2, grid, grid): likeness to the background and to the object."""
        sigma = self.settings.sigma
        apart = (places[:, None] - known_places[None]).abs()
        weight = torch.ones_like(apart) if sigma is None else torch.exp(-0.5 * ((apart - apart.amin(1, keepdim=True)) / sigma) ** 2)
        found = []
        for part in (1 - target, target):
            sums = torch.einsum("sdhw,shw->sd", known, part)
            mean = (weight @ sums) / (weight @ part.sum((1, 2))[:, None]).clamp(min=_TINY)
            likeness = F.cosine_similarity(cells, mean[:, :, None, None], dim=1)
            if self.settings.local and part is not target:
                likeness = self._local_likeness(cells, known, part, likeness)
            found.append(_SCALE * likeness)
        return torch.stack(found, 1)

    @staticmethod
    def _local_likeness(cells: torch.Tensor, known: torch.Tensor, part: torch.Tensor, likeness: torch.Tensor) -> torch.Tensor:
        """Likeness to one mean and to the means of an 8 x 8 grid of windows, the best counting most."""
        window = cells.shape[-1] // 8
        area = F.avg_pool2d(part[:, None], window)
        means = F.avg_pool2d(known * part[:, None], window) / area.clamp(min=_TINY)
        means = means.permute(0, 2, 3, 1)[(area > 0.95)[:, 0]]
        if not len(means):
            return likeness
        single = torch.einsum("qdhw,pd->qphw", F.normalize(cells, dim=1), F.normalize(means, dim=1))
        every = torch.cat([single, likeness[:, None]], 1)
        return ((_SCALE * every).softmax(1) * every).sum(1)

    def _loss(self, query_cells: torch.Tensor, support_cells: torch.Tensor, query: list[int], support: list[int]) -> torch.Tensor:
        target, known = self._target[query], self._target[support]
        logits = self._logits(query_cells, self._place[query], support_cells, known, self._place[support])
        loss = self._likelihood_loss(logits, target) + self._biased_dice(logits, target)
        guess = (logits[:, 1] > logits[:, 0]).float().detach()
        if self.settings.alignment and guess.any() and target.any():  # a class that the query lacks is skipped
            back = self._logits(support_cells, self._place[support], query_cells, guess, self._place[query])
            loss = loss + self.settings.alignment * self._likelihood_loss(back, known)
        return loss

    @staticmethod
    def _likelihood_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(logits, target.long())

    def _biased_dice(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor | float:
        bias = self.settings.false_positive_share
        if bias is None:
            return 0.0
        found = logits.softmax(1)[:, 1]
        hit = (found * target).sum((1, 2))
        wrong = bias * (found * (1 - target)).sum((1, 2)) + (1 - bias) * ((1 - found) * target).sum((1, 2))
        return (1 - (hit + 1) / (hit + wrong + 1)).mean()
