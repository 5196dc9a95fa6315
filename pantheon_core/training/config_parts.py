"""The tables of a training run's settings: data, corruption, networks, LoRA, validation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..diffusion import HoleFill
from ..diffusion.config import Conditioning, Variant
from .config_reader import check_values

__all__ = ["CorruptionConfig", "DataConfig", "LoRAConfig", "UNetConfig", "VAEConfig", "ValidationConfig"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CorruptionConfig:
    """How the cache of a clip is worsened before its scaffold is rendered (`corruption.py`).

    Training caches are sparse and exact where a SLAM system saw features, caches at inference are dense and
    wrong in other ways: a model that saw both kinds of error follows neither blindly. Sources "synthetic",
    "folder" and "shards"; clip files keep the scaffold they were rendered with.

    Attributes:
        share: share of clips that are corrupted at all, 0..1.
        point_keep: least and most share of points that stay, drawn log-uniformly.
        pose_shift: deviation of the cameras' positions, relative to the median distance of the points.
        pose_turn_deg: deviation of the cameras' rotation about every axis, degrees.
        depth_noise: deviation of ln distance of every point for itself, seen from the first camera.
        depth_warp: deviation of ln distance of smooth bumps over the sphere of the first camera.
    """

    share: float = 0.0
    point_keep: tuple[float, float] = (1.0, 1.0)
    pose_shift: float = 0.0
    pose_turn_deg: float = 0.0
    depth_noise: float = 0.0
    depth_warp: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.point_keep
        checks = [
            ("share", "0 to 1", 0 <= self.share <= 1),
            ("point_keep", "two numbers, 0 < least <= most <= 1", 0 < low <= high <= 1),
            *(
                (name, "0 to 1", 0 <= getattr(self, name) <= 1)
                for name in ("pose_shift", "depth_noise", "depth_warp")
            ),
            ("pose_turn_deg", "0 to 45", 0 <= self.pose_turn_deg <= 45),
        ]
        check_values("data.corruption", self, checks)


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """What a run trains on.

    Attributes:
        source: "clips" are files that the stage "clips" rendered; "synthetic" renders procedural scenes while
            it trains; "folder" and "shards" are real clips with poses and points (docs/training.md).
        photos: bundled photographs by name (`assets.sample_panoramas`); the held-out ones are left out here.
        extra_photos: more panorama files or folders of .jpg, not shipped with the project.
        clips: folder of clip files (`clips.py`).
        path: folder of clips, or a .tar file, a folder of them, or a pattern such as "data/train-*.tar".
        validation_path: the same, for clips that are never trained on.
        height: of the frames of the sources "synthetic", "folder" and "shards", pixels; a multiple of 32.
        max_stride: of the same sources: every first to max_stride-th frame is taken, drawn per clip.
        workers: threads that prepare clips ahead; 0 prepares them in the training loop. Results do not
            depend on it.
        clip_count: clips the stage "clips" renders per kind.
        held_out: clips per kind from seeds at and above 1,000,000, never trained on.
        corrupt_share: share of clips of the stage "clips" whose cache is built from a disturbed distance map.
        wide_share: share of clips with a path that is long for its scene.
        corruption: of caches while training.
    """

    source: Literal["clips", "synthetic", "folder", "shards"] = "clips"
    photos: tuple[str, ...] = ()
    extra_photos: tuple[str, ...] = ()
    clips: str = ".cache/clips"
    path: str = ""
    validation_path: str = ""
    height: int = 128
    max_stride: int = 2
    workers: int = 0
    clip_count: int = 300
    held_out: int = 5
    corrupt_share: float = 0.5
    wide_share: float = 0.0
    corruption: CorruptionConfig = field(default_factory=CorruptionConfig)

    def __post_init__(self) -> None:
        checks = [
            ("height", "a multiple of 32, at least 32", self.height >= 32 and self.height % 32 == 0),
            ("max_stride", "at least 1", self.max_stride >= 1),
            ("workers", "0 to 64", 0 <= self.workers <= 64),
            ("corrupt_share", "0 to 1", 0 <= self.corrupt_share <= 1),
            ("wide_share", "0 to 1", 0 <= self.wide_share <= 1),
            (
                "path",
                f'the clips\' place, for source = "{self.source}"',
                bool(self.path) or self.source in ("clips", "synthetic"),
            ),
        ]
        check_values("data", self, checks)


@dataclass(frozen=True, kw_only=True, slots=True)
class VAEConfig:
    """The VAE stage.

    Attributes:
        channels: output channels of the four blocks (8x smaller latents).
        layers: residual layers per block.
        crop: (height, width) of a training crop in pixels.
        full_share: share of steps on whole 128x256 panoramas with spherical padding.
        clip_share: share of steps on synthetic clips (needs `data.clips`).
        hole_share: share of photograph steps with black holes, as scaffolds have them.
        kl_weight: weight of the KL term, per latent element.
        start: checkpoint whose averaged weights the stage starts from; empty starts as block means.
        freeze_encoder: train the decoder alone, so that a UNet trained on the encoder's latents stays valid.
        latent_noise: most noise added to the latents before decoding, relative to their deviation; it makes
            the decoder forgive the UNet's errors.
    """

    channels: tuple[int, ...] = (96, 96, 96, 128)
    layers: int = 1
    crop: tuple[int, int] = (64, 128)
    full_share: float = 0.0
    clip_share: float = 0.0
    hole_share: float = 0.25
    kl_weight: float = 1e-5
    start: str = ""
    freeze_encoder: bool = False
    latent_noise: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class LoRAConfig:
    """Low-rank adapters, for `unet.train = "lora"`.

    Attributes:
        r: rank.
        alpha: the adapter's output counts alpha / r.
        target_modules: linear layers of the UNet by the end of their names; these are all its attention.
        merge: also write model.safetensors with the adapter merged into the weights.
    """

    r: int = 16
    alpha: float = 16.0
    target_modules: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0")
    merge: bool = False

    def __post_init__(self) -> None:
        checks = [
            ("r", "at least 1", self.r >= 1),
            ("alpha", "more than 0", self.alpha > 0),
            ("target_modules", "at least one name", bool(self.target_modules)),
        ]
        check_values("lora", self, checks)


@dataclass(frozen=True, kw_only=True, slots=True)
class UNetConfig:
    """The UNet stage, methods §2.6.

    Attributes:
        base: checkpoint to fine-tune, anything that `diffusion.load_model` reads (svd_xt.safetensors, a
            diffusers folder, our own file): all networks come from it. Empty builds a small model around
            `vae`.
        base_precision: "fp32"; "bf16" and "fp16" keep the weights that are not trained in half the memory
            (`train = "lora"` only).
        vae: trained VAE checkpoint (.pt of the VAE stage), without `base`.
        decoder: checkpoint of a VAE stage that went on from `vae` with a frozen encoder: its decoder goes
            into the finished model; empty takes the decoder of `vae`.
        start: checkpoint.pt of an earlier unet stage whose averaged weights to start from; empty starts as
            a copy of the scaffold, or with `base` as that is.
        variant: "single" trains with the start panorama, "dual" always with start and end, "both" with a mix.
        conditioning: "scaffold"; or "first_frame", the first panorama's latent repeated over the frames and
            its tokens alone, as stock Stable Video Diffusion is conditioned.
        train: "full" trains all weights of the UNet, "temporal" those of its temporal layers, "lora" low-rank
            adapters.
        train_image_encoder: also train the image encoder; unsaid: with a small model yes, with `base` no.
        gradient_checkpointing: compute the blocks' insides again in the backward pass: less memory, a third
            more time.
        hole_fill: what the VAE sees in the scaffold's holes, as in `diffusion.ModelConfig`.
        channels: of the small UNet's levels; the first must be 96 (`unet_start.py`).
        p_mean: mean of ln sigma.
        p_std: standard deviation of ln sigma.
        drop: probability of each of the three conditioning dropouts: tokens, latents, both.
        dual_share: of variant "both": share of clips trained with the end frame as a second anchor; clips
            whose cache was built from both ends take it half of the time.
        reverse_share: share of clips played backwards, of those whose cache was built from both ends.
        hole_weight: weight of the squared error where the scaffold has holes (1: as elsewhere).
        large_share: share of steps on clips of the greatest height in the folder (256x512).
        frames: fewest and most frames of a training window.
        fps: told to the model.
        motion_bucket: told to the model.
        noise_aug: mean and deviation of ln of the noise put on the scaffold latents.
    """

    base: str = ""
    base_precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    vae: str = ""
    decoder: str = ""
    start: str = ""
    variant: Variant = "both"
    conditioning: Conditioning = "scaffold"
    train: Literal["full", "temporal", "lora"] = "full"
    train_image_encoder: bool | None = None
    gradient_checkpointing: bool = False
    hole_fill: HoleFill = "value"
    channels: tuple[int, ...] = (96, 64, 96)
    p_mean: float = 0.7
    p_std: float = 1.6
    drop: float = 0.1
    dual_share: float = 0.25
    reverse_share: float = 0.5
    hole_weight: float = 1.0
    large_share: float = 0.06
    frames: tuple[int, int] = (8, 14)
    fps: float = 7.0
    motion_bucket: float = 127.0
    noise_aug: tuple[float, float] = (-3.0, 0.5)

    def __post_init__(self) -> None:
        stock = self.conditioning == "first_frame"
        checks = [
            ("variant", '"single" with conditioning = "first_frame"', not stock or self.variant == "single"),
            (
                "base_precision",
                '"fp32" unless train = "lora": weights that are trained stay in full precision',
                self.base_precision == "fp32" or self.train == "lora",
            ),
            ("vae", "empty where base is given, which brings its own", not (self.base and self.vae)),
            ("decoder", "empty where base is given, which brings its own", not (self.base and self.decoder)),
            ("p_std", "more than 0", self.p_std > 0),
            ("drop", "0 to 1/3", 0 <= self.drop <= 1 / 3),
            *(
                (name, "0 to 1", 0 <= getattr(self, name) <= 1)
                for name in ("dual_share", "reverse_share", "large_share")
            ),
            ("hole_weight", "more than 0", self.hole_weight > 0),
            ("frames", "two numbers, 2 <= fewest <= most", 2 <= self.frames[0] <= self.frames[1]),
            ("fps", "more than 0", self.fps > 0),
            ("motion_bucket", "0 to 255", 0 <= self.motion_bucket <= 255),
            ("noise_aug", "a mean and a deviation of at least 0", self.noise_aug[1] >= 0),
        ]
        check_values("unet", self, checks)


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationConfig:
    """Held-out clips, sampled while the run goes on.

    Attributes:
        every: steps between validations; 0 for none.
        clips: number of clips, always the same ones.
        frames: of each.
        steps: denoising steps.
        guidance: at the first and the last frame.
        seed: of the sampling noise.
        tensorboard: write curves for TensorBoard too; unsaid: where it is installed.
    """

    every: int = 0
    clips: int = 3
    frames: int = 8
    steps: int = 8
    guidance: tuple[float, float] = (1.0, 1.0)
    seed: int = 0
    tensorboard: bool | None = None

    def __post_init__(self) -> None:
        checks = [
            ("every", "at least 0", self.every >= 0),
            ("clips", "at least 1", self.clips >= 1),
            ("frames", "at least 2", self.frames >= 2),
            ("steps", "at least 1", self.steps >= 1),
            ("guidance", "two numbers from 0", min(self.guidance) >= 0),
        ]
        check_values("validation", self, checks)
