"""RepViT-M1, EdgeTAM's image backbone, in plain torch. Imports torch only.

`transformers` takes this backbone from `timm`, which imports torchvision, which no part of SAM2Annotate needs and which must fit torch to
the release. The names of the tensors are those that the released weights have; a test compares answers that timm gave.

Paper: RepViT, arXiv 2307.09283; the figures are those of "M1" as EdgeTAM was trained with.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import nn

WIDTHS = (48, 96, 192, 384)
DEPTHS = (2, 2, 14, 2)
_EXPANSION = 2
# Squeeze and excitation works at a quarter of the width, rounded to a multiple of 8.
_SQUEEZE, _DIVISOR = 0.25, 8


class _ConvNorm(nn.Module):
    def __init__(self, taken: int, given: int, kernel: int = 1, stride: int = 1, groups: int = 1):
        super().__init__()
        self.c = nn.Conv2d(taken, given, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(given)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(self.c(x))

    def folded(self) -> nn.Conv2d:
        """One convolution that does the same in evaluation mode, computed in float64."""
        scale = self.bn.weight.double() / (self.bn.running_var.double() + self.bn.eps).sqrt()
        conv = nn.Conv2d(self.c.in_channels, self.c.out_channels, self.c.kernel_size, self.c.stride, self.c.padding, groups=self.c.groups)
        conv.weight.copy_(self.c.weight.double() * scale[:, None, None, None])
        conv.bias.copy_(self.bn.bias.double() - self.bn.running_mean.double() * scale)
        return conv


class _TokenMixer(nn.Module):
    """Depthwise 3 x 3 and 1 x 1 side by side, and the input itself."""

    def __init__(self, width: int):
        super().__init__()
        self.conv = _ConvNorm(width, width, 3, groups=width)
        self.conv1 = _ConvNorm(width, width, 1, groups=width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x) + self.conv1(x) + x

    def folded(self) -> nn.Conv2d:
        """The three of them as one depthwise 3 x 3."""
        conv, point = self.conv.folded(), self.conv1.folded()
        conv.weight[:, :, 1, 1] += point.weight[:, :, 0, 0] + 1
        conv.bias += point.bias
        return conv


class _ChannelMixer(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv1 = _ConvNorm(width, width * _EXPANSION)
        self.act = nn.GELU()
        self.conv2 = _ConvNorm(width * _EXPANSION, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv2(self.act(self.conv1(x)))


class _Squeeze(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        narrow = max(_DIVISOR, int(width * _SQUEEZE + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
        self.fc1 = nn.Conv2d(width, narrow, 1)
        self.fc2 = nn.Conv2d(narrow, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class _Block(nn.Module):
    def __init__(self, width: int, squeezes: bool):
        super().__init__()
        self.token_mixer = _TokenMixer(width)
        self.se = _Squeeze(width) if squeezes else nn.Identity()
        self.channel_mixer = _ChannelMixer(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.se(self.token_mixer(x))
        return x + self.channel_mixer(x)


class _Downsample(nn.Module):
    def __init__(self, taken: int, given: int):
        super().__init__()
        self.pre_block = _Block(taken, squeezes=False)
        self.spatial_downsample = _ConvNorm(taken, taken, 3, stride=2, groups=taken)
        self.channel_downsample = _ConvNorm(taken, given)
        self.ffn = _ChannelMixer(given)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.channel_downsample(self.spatial_downsample(self.pre_block(x)))
        return x + self.ffn(x)


class _Stem(nn.Module):
    def __init__(self, given: int):
        super().__init__()
        self.conv1 = _ConvNorm(3, given // 2, 3, stride=2)
        self.act1 = nn.GELU()
        self.conv2 = _ConvNorm(given // 2, given, 3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv2(self.act1(self.conv1(x)))


class _Stage(nn.Module):
    def __init__(self, taken: int, given: int, depth: int):
        super().__init__()
        self.downsample = nn.Identity() if taken == given else _Downsample(taken, given)
        self.blocks = nn.Sequential(*(_Block(given, squeezes=number % 2 == 0) for number in range(depth)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks(self.downsample(x))


class _Levels(nn.Module):
    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...]):
        super().__init__()
        self.stem = _Stem(widths[0])
        taken = (widths[0], *widths[:-1])
        for number, (before, width, depth) in enumerate(zip(taken, widths, depths, strict=True)):
            self.add_module(f"stages_{number}", _Stage(before, width, depth))
        self._count = len(widths)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        x, levels = self.stem(x), []
        for number in range(self._count):
            x = self.get_submodule(f"stages_{number}")(x)
            levels.append(x)
        return levels


class RepVitBackbone(nn.Module):
    """What `transformers`' EdgeTAM asks of its backbone.

    Args:
        widths, depths: channels and blocks of each stage; as released by default.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS, depths: tuple[int, ...] = DEPTHS):
        super().__init__()
        self.timm_model = _Levels(widths, depths)
        self._is_folded = False

    @torch.no_grad()
    def fold(self) -> None:
        """Make one convolution of each that is followed by a normalization or has others beside it; for a filled model, and for good.

        The answers stay the same but for rounding, in three quarters of the time or less. There is no way back to the names of the weights.
        """
        _fold_within(self)
        self._is_folded = True
        self.to(memory_format=torch.channels_last)

    def forward(self, pixel_values: torch.Tensor, **unused: object) -> SimpleNamespace:
        """(B, 3, S, S) to levels of S/4, S/8, S/16 and S/32, in ``last_hidden_state``."""
        if self._is_folded:
            pixel_values = pixel_values.contiguous(memory_format=torch.channels_last)
        return SimpleNamespace(last_hidden_state=self.timm_model(pixel_values), hidden_states=None)


def _fold_within(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        if isinstance(child, (_ConvNorm, _TokenMixer)):
            setattr(module, name, child.folded())
        else:
            _fold_within(child)
