"""Held-out clips, sampled while a run goes on: videos to look at and figures to plot."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .clip_files import Clip
from .config import TrainConfig
from .sources import validation_clips

if TYPE_CHECKING:
    from ..diffusion import PantheonModel

__all__ = ["Validation", "borrowed_weights"]

_log = logging.getLogger(__name__)


class Validation:
    """The fixed clips of a run and how they are sampled.

    Args:
        config: of the run.
        model: the one that is trained.

    Raises:
        InputError: there are no held-out clips.
    """

    def __init__(self, config: TrainConfig, model: PantheonModel) -> None:
        self._config, self._model = config, model
        self._clips = validation_clips(config)

    def run(self, step: int, averaged: dict[str, Tensor]) -> dict[str, float]:
        """Sample every clip with the averaged weights.

        Writes `output/validation/step_0001000/clip_0.mp4` and so on: from top to bottom the truth, the
        scaffold, the result.

        Returns:
            Means over the clips: psnr and ssim on 8 perspective crops of the frames that were not given, dB
            and 0..1; psnr_holes over the pixels that the scaffold leaves open, dB.
        """
        folder = Path(self._config.output) / "validation" / f"step_{step:07d}"
        rows = []
        with borrowed_weights(self._model, averaged):
            for number, clip in enumerate(self._clips):
                rows.append(self._sample(clip, folder / f"clip_{number}.mp4"))
        keys = dict.fromkeys(key for row in rows for key in row)
        found = {key: [row[key] for row in rows if key in row] for key in keys}
        return {key: sum(values) / len(values) for key, values in found.items()}

    def _sample(self, clip: Clip, path: Path) -> dict[str, float]:
        from ..diffusion import SamplerSettings, generate
        from ..video import write_video

        config, settings = self._config, self._config.validation
        truth, scaffold = clip.rgb.float() / 255.0, clip.scaffold.float() / 255.0
        two = config.unet.variant == "dual" or (config.unet.variant == "both" and clip.anchors == 2)
        made = generate(
            self._model,
            scaffold,
            clip.coverage,
            [truth[0], truth[-1]][: 1 + two],
            distance=clip.distance.float(),
            settings=SamplerSettings(
                steps=settings.steps,
                guidance_min=settings.guidance[0],
                guidance_max=settings.guidance[1],
                fps=config.unet.fps,
                motion_bucket=config.unet.motion_bucket,
                seed=settings.seed,
                autocast=config.precision != "fp32",
            ),
        ).frames
        write_video(path, torch.cat([truth, scaffold, made], dim=-2), fps=config.unet.fps, spherical=False)
        return _scores(made, truth, clip.coverage, slice(1, -1 if two and len(truth) > 2 else None))


def _scores(made: Tensor, truth: Tensor, coverage: Tensor, inner: slice) -> dict[str, float]:
    from ..metrics import crops_psnr_ssim

    crops = crops_psnr_ssim(made[inner], truth[inner])
    scores = {"psnr": float(crops.psnr.mean()), "ssim": float(crops.ssim.mean())}
    holes = ~coverage[inner]
    if bool(holes.any()):
        error = (made[inner].double() - truth[inner].double()).square().mean(1)[holes].mean()
        scores["psnr_holes"] = float(-10 * error.clamp_min(1e-10).log10())
    return scores


@contextmanager
def borrowed_weights(model: nn.Module, weights: dict[str, Tensor]) -> Iterator[None]:
    """Within the block the model has these weights, in evaluation mode; then its own again.

    Only tensors that are replaced are copied.
    """
    state = model.state_dict()
    own = {key: state[key].detach().clone() for key in weights}
    training = model.training
    try:
        model.load_state_dict(weights, strict=False)
        model.eval()
        yield
    finally:
        model.load_state_dict(own, strict=False)
        model.train(training)
