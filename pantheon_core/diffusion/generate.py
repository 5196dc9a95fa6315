"""From a scaffold and its anchors to a video: the one entry that wires model, sampler, fusion and coding."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from ..check import check_erp, check_finite, check_shape
from ..errors import InputError, Progress
from ..geometry import resize_erp
from ..render import pull_push
from .codec import decode_latents, decode_windows
from .compose import compose_with_scaffold
from .conditioning import augment_frames
from .config import ModelConfig
from .fusion import FusionSettings
from .hold import HoldSettings
from .model import PantheonModel
from .reinjection import reinjection_route
from .sample import Conditions, Held, repeated_windows, sample_latents
from .settings import SamplerSettings
from .spherical import spherical

__all__ = [
    "GeneratedVideo",
    "Preview",
    "VideoTask",
    "denoising_steps",
    "generate",
    "generate_task",
    "place_anchors",
]

Preview: TypeAlias = Callable[[int, Tensor], None]
"""`preview(step, frames (T, 3, h, w) rgb 0..1)`: a rough picture of every frame, one pixel per latent.

Steps count from 1, to `denoising_steps`.
"""

_log = logging.getLogger(__name__)
_WIDTH_MULTIPLE = 64


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GeneratedVideo:
    """A generated panorama video.

    Attributes:
        latents: (1, T, C, h, w) float32 video latents as sampled (scaled), on the CPU.
        frames: (T, 3, H, W) float32 rgb 0..1, on the CPU.
    """

    latents: Tensor
    frames: Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VideoTask:
    """What is to be painted; see `generate`.

    Attributes:
        scaffold_rgb: (T, 3, H, W).
        coverage: (T, H, W) bool.
        anchors: one or two (3, H', 2 H').
        distance: (T, H, W) or None.
        before: (L, C, h, w) scaled latents that a video before this one has for the first L frames: the new
            ones fade over from them, in every denoising step, frame 0 being wholly theirs. None: it is the
            first.
    """

    scaffold_rgb: Tensor
    coverage: Tensor
    anchors: tuple[Tensor, ...]
    distance: Tensor | None = None
    before: Tensor | None = None


def generate(
    model: PantheonModel,
    scaffold_rgb: Tensor,
    coverage: Tensor,
    anchors: Sequence[Tensor],
    *,
    distance: Tensor | None = None,
    settings: SamplerSettings | None = None,
    fusion: FusionSettings | None = None,
    progress: Progress | None = None,
    preview: Preview | None = None,
) -> GeneratedVideo:
    """Paint a video over a rendered scaffold.

    The model is left exactly as it was found, whatever is raised. The same inputs and settings give the same
    bytes on the same machine, however much memory is free.

    Args:
        model: the model, on the device and in the dtype it is to run in.
        scaffold_rgb: (T, 3, H, W) rgb 0..1, the rendered frames, W = 2 H a multiple of 64.
        coverage: (T, H, W) bool, where the scaffold shows the scene.
        anchors: the true panorama of the first frame and, with two, of the last: (3, H', 2 H') rgb 0..1. They
            replace those frames of the scaffold, and their crops are the model's tokens.
        distance: (T, H, W) of the scaffold along the ray, 0 on the sky: holes are then filled from what lies
            behind, before the model sees them and where its colours are matched to the scaffold's. None: from
            all sides alike.
        settings: None for the defaults.
        fusion: also run the path backwards from the last anchor and blend; needs two anchors.
        progress: `progress(done, total)` over denoising steps and decoded windows; may raise
            `InterruptedByUser`.
        preview: called after every denoising step.

    Returns:
        Latents and frames.

    Raises:
        ShapeError, ConventionError: pictures that do not fit each other or are not 2:1.
        InputError: values out of range, anchors that do not fit the model's variant or the fusion.
    """
    task = VideoTask(scaffold_rgb=scaffold_rgb, coverage=coverage, anchors=tuple(anchors), distance=distance)
    return generate_task(model, task, settings=settings, fusion=fusion, progress=progress, preview=preview)


def generate_task(
    model: PantheonModel,
    task: VideoTask,
    *,
    settings: SamplerSettings | None = None,
    fusion: FusionSettings | None = None,
    progress: Progress | None = None,
    preview: Preview | None = None,
) -> GeneratedVideo:
    """`generate` for a task, which may go on from a video before it."""
    settings = _with_hold(settings or SamplerSettings(), model.config)
    distance = _check_task(model, task, fusion)
    frames, covered = place_anchors(
        task.scaffold_rgb, task.coverage, task.anchors, hole_value=model.config.hole_value
    )
    if model.config.hole_fill == "background":
        frames = pull_push(frames, covered, distance=distance)
    steps = denoising_steps(model.config, settings, fusion)
    meter = _Meter(frames.shape[0], steps, settings, progress)
    meter.advance(0)

    def on_step(step: int, picture: Callable[[], Tensor]) -> None:
        if preview is not None:
            preview(step, picture())
        meter.advance()

    generator = torch.Generator().manual_seed(settings.seed)
    with _running(model, settings):
        # Draws in this order are the stock pipeline's: augmentation, then the starting noise.
        conditioned = _conditioned_frames(model.config, frames, fusion)
        conditioned = augment_frames(conditioned, settings.noise_aug, generator)
        held = _held(settings.hold, frames, covered, distance)
        size = (1, frames.shape[0], model.latent_channels, *(s // model.downscale for s in frames.shape[-2:]))
        latents = sample_latents(
            model,
            Conditions(frames=conditioned, anchors=task.anchors, held=held, before=task.before),
            torch.randn(size, generator=generator),
            settings=settings,
            fusion=fusion,
            generator=generator,
            on_step=on_step,
        )
        decoded = decode_latents(
            model,
            latents[0],
            chunk=settings.decode_chunk,
            overlap=settings.decode_overlap,
            on_window=meter.advance,
        )
    keep = model.config.keep_scaffold if settings.keep_scaffold is None else settings.keep_scaffold
    composed = compose_with_scaffold(
        decoded,
        frames,
        covered,
        keep,
        distance=distance,
        feather=settings.feather,
        reach=model.config.detail_reach,
    )
    return GeneratedVideo(latents=latents.cpu(), frames=composed)


class _Meter:
    """Counts denoising steps and decoded windows."""

    def __init__(self, frames: int, steps: int, settings: SamplerSettings, progress: Progress | None) -> None:
        windows = decode_windows(frames, chunk=settings.decode_chunk, overlap=settings.decode_overlap)
        self.total = steps + len(windows)
        self.done = 0
        self.progress = progress

    def advance(self, amount: int = 1) -> None:
        self.done += amount
        if self.progress is not None:
            self.progress(self.done, self.total)


@contextmanager
def _running(model: PantheonModel, settings: SamplerSettings) -> Iterator[None]:
    """No gradients; spherical convolutions and bfloat16 as the settings say."""
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        if settings.spherical:
            stack.enter_context(spherical(model.unet, model.vae, poles=settings.poles))
        if settings.autocast:
            stack.enter_context(torch.autocast(model.device.type, dtype=torch.bfloat16))
        yield


def place_anchors(
    scaffold_rgb: Tensor, coverage: Tensor, anchors: Sequence[Tensor], *, hole_value: float
) -> tuple[Tensor, Tensor]:
    """Put the true panoramas in the first and, with two, the last frame; set holes to the model's value.

    Training and generation both build their scaffolds with this.

    Returns:
        New (T, 3, H, W) float32 rgb and (T, H, W) bool coverage, on the CPU.
    """
    frames = scaffold_rgb.float().cpu()
    covered = coverage.bool().cpu().clone()
    frames = torch.where(covered[:, None], frames, hole_value)
    for index, anchor in zip((0, -1), anchors, strict=False):
        anchor = anchor.float().cpu()
        frames[index] = (
            anchor if anchor.shape == frames[index].shape else resize_erp(anchor, frames.shape[-2])
        )
        covered[index] = True
    return frames, covered


def denoising_steps(
    config: ModelConfig, settings: SamplerSettings, fusion: FusionSettings | None = None
) -> int:
    """How many steps `generate` takes with a model: those of the schedule, and the ones that are repeated."""
    settings = _with_hold(settings, config)
    route = reinjection_route(settings.steps, repeated_windows(settings, fusion))
    return sum(stop > start for start, stop in route)


def _with_hold(settings: SamplerSettings, config: ModelConfig) -> SamplerSettings:
    """A model that never sees the scaffold is held to it, unless the caller says otherwise."""
    if settings.hold is None and config.conditioning == "first_frame":
        return replace(settings, hold=HoldSettings())
    return settings


def _held(hold: HoldSettings | None, frames: Tensor, covered: Tensor, distance: Tensor | None) -> Held | None:
    if hold is None or hold.strength == 0.0:
        return None
    return Held(frames=pull_push(frames, covered, distance=distance), coverage=covered, settings=hold)


def _conditioned_frames(config: ModelConfig, frames: Tensor, fusion: FusionSettings | None) -> Tensor:
    if config.conditioning == "scaffold":
        return frames
    return frames[[0, -1]] if fusion is not None else frames[:1]


def _check_task(model: PantheonModel, task: VideoTask, fusion: FusionSettings | None) -> Tensor | None:
    """Check everything; return the distance as the rest wants it."""
    _check_inputs(model.config, task.scaffold_rgb, task.coverage, task.anchors, fusion)
    sizes = check_shape("coverage", task.coverage, "T H W")
    if task.before is not None:
        down = model.downscale
        check_shape("before", task.before, "L C h w", C=model.latent_channels, h=sizes["H"] // down)
        if len(task.before) > sizes["T"]:
            raise InputError(
                f"before: expected latents of at most the {sizes['T']} frames of the scaffold, got "
                f"{len(task.before)}"
            )
    if task.distance is None:
        return None
    check_shape("distance", task.distance, "T H W", **sizes)
    return task.distance.float().cpu()


def _check_inputs(
    config: ModelConfig,
    scaffold_rgb: Tensor,
    coverage: Tensor,
    anchors: Sequence[Tensor],
    fusion: FusionSettings | None,
) -> None:
    sizes = check_shape("scaffold_rgb", scaffold_rgb, "T 3 H W")
    _, width = check_erp("scaffold_rgb", scaffold_rgb)
    check_shape("coverage", coverage, "T H W", **sizes)
    check_finite("scaffold_rgb", scaffold_rgb)
    if width % _WIDTH_MULTIPLE:
        raise InputError(
            f"scaffold_rgb: expected a width that is a multiple of {_WIDTH_MULTIPLE} pixels, got {width}; "
            f"render it {round(width / _WIDTH_MULTIPLE) * _WIDTH_MULTIPLE or _WIDTH_MULTIPLE} wide"
        )
    if len(anchors) not in (1, 2):
        raise InputError(f"anchors: expected one or two panoramas, got {len(anchors)}")
    for number, anchor in enumerate(anchors):
        check_shape(f"anchors[{number}]", anchor, "3 H W")
        check_erp(f"anchors[{number}]", anchor)
        check_finite(f"anchors[{number}]", anchor)
    if len(anchors) == 1 and (config.variant == "dual" or fusion is not None):
        need = "fusion" if fusion is not None else f"the dual-anchor model {config.name!r}"
        raise InputError(f"anchors: {need} needs two panoramas (first and last frame), got one")
    if len(anchors) == 2 and sizes["T"] < 2:
        raise InputError("scaffold_rgb: two anchors need two or more frames, got one")
    if sizes["T"] != config.frames:
        _log.info("%s was trained with %d frames, generating %d", config.name, config.frames, sizes["T"])
