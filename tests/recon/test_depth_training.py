from __future__ import annotations

import math
from pathlib import Path

import torch

from pantheon_core.recon._tiny_net import TinyDepthNet, TinyOutput, latitude_prior
from pantheon_core.training.depth import DepthTrainSettings, frame_batch, train_depth
from pantheon_core.training.depth_augment import augment_colour, roll_and_flip
from pantheon_core.training.depth_data import DepthFrames, floor_height, pool_distance, render_frames
from pantheon_core.training.depth_eval import depth_scores
from pantheon_core.training.depth_labels import PHOTO_LABELS
from pantheon_core.training.depth_losses import DepthTarget, depth_loss
from pantheon_core.training.depth_photos import layout_target


def test_pooling_never_mixes_surfaces() -> None:
    distance = torch.full((1, 4, 8), 2.0)
    distance[:, :, 3:] = 9.0
    assert set(pool_distance(distance, 2).unique().tolist()) == {2.0, 9.0}


def test_floor_height_of_a_plane() -> None:
    down = -torch.sin((0.5 - (torch.arange(64) + 0.5) / 64) * math.pi)[:, None].expand(-1, 128)
    assert abs(floor_height(1.37 / down.clamp(min=0.02), down > 0.02) - 1.37) < 0.01


def test_loss_is_smallest_at_the_truth() -> None:
    log = torch.rand(2, 32, 64) + 0.5
    floor, sky = (torch.rand(2, 2, 32, 64) > 0.7).float()
    target = DepthTarget(
        log_distance=log,
        valid=sky < 0.5,
        sky=sky,
        floor=floor,
        labelled=torch.ones_like(sky, dtype=torch.bool),
        metric=torch.ones(2),
    )
    residual = log - latitude_prior(32)
    true = TinyOutput(
        residual=residual, confidence=torch.full_like(log, 8.0), sky=sky * 40 - 20, floor=floor * 40 - 20
    )
    best, parts = depth_loss(true, target)
    assert float(best) < 0.01
    assert parts["abs"] < 1e-6
    off = TinyOutput(residual=residual + 0.3, confidence=true.confidence, sky=true.sky, floor=true.floor)
    _, shifted = depth_loss(off, target)
    assert shifted["abs"] > 0.29
    assert shifted["rel"] < 1e-5
    assert shifted["grad"] < 1e-5


def _target(distance: torch.Tensor) -> DepthTarget:
    nothing = torch.zeros_like(distance)
    return DepthTarget(
        log_distance=distance.log(),
        valid=nothing == 0,
        sky=nothing,
        floor=nothing,
        labelled=nothing == 0,
        metric=torch.ones(len(distance)),
    )


def test_errors_beside_depth_breaks_count_more() -> None:
    distance = torch.full((1, 32, 64), 6.0)
    distance[:, 12:20, 60:] = distance[:, 12:20, :4] = 2.0  # a thing over the seam
    residual = distance.log() - latitude_prior(32)
    silent = torch.zeros_like(distance)
    loss = {}
    for place, column in (("seam", 4), ("wall", 32)):
        off = residual.clone()
        off[:, 14:18, column] += 0.5
        output = TinyOutput(residual=off, confidence=silent, sky=silent, floor=silent)
        loss[place] = depth_loss(output, _target(distance))[1]["abs"]
    assert loss["seam"] > 3 * loss["wall"]


def test_a_plane_has_no_depth_breaks() -> None:
    down = -torch.sin((0.5 - (torch.arange(64) + 0.5) / 64) * math.pi)[:, None].expand(64, 128)
    plane = (1.6 / down.clamp(min=0.2))[None]
    residual = plane.log() - latitude_prior(64)
    silent = torch.zeros_like(plane)
    part = []
    for row in (45, 55):
        off = residual.clone()
        off[:, row, 20:24] += 0.5 / math.cos((0.5 - (row + 0.5) / 64) * math.pi)
        output = TinyOutput(residual=off, confidence=silent, sky=silent, floor=silent)
        part.append(depth_loss(output, _target(plane))[1]["abs"])
    # The same solid angle of error weighs the same wherever on the plane it is.
    assert abs(part[0] / part[1] - 1) < 0.05


def test_augmentation_moves_all_maps_together(generator: torch.Generator) -> None:
    fine = torch.arange(16.0).expand(1, 8, 16)
    coarse = fine[:, ::2, ::2]
    a, b = roll_and_flip([fine, coarse], generator)
    assert torch.equal(a[..., ::2] // 2, b[:, :1].expand_as(a[..., ::2]) // 2) or torch.equal(
        a[..., 1::2] // 2, b[:, :1].expand_as(a[..., 1::2]) // 2
    )
    rgb = augment_colour(torch.rand(3, 16, 32), generator)
    assert rgb.shape == (3, 16, 32)
    assert float(rgb.min()) >= 0
    assert float(rgb.max()) <= 1


def test_labels_are_layouts() -> None:
    for name, label in PHOTO_LABELS.items():
        azimuths = [row[0] for row in label.rows]
        assert azimuths[0] == 0, name
        assert azimuths[-1] == 360, name
        assert azimuths == sorted(azimuths), name
        target = layout_target(label, 64)
        assert not bool((target.sky * target.valid).any()), name
        assert bool((target.floor > 0).any()), name
        assert bool((target.sky > 0).any()) != label.indoor, name


def test_scores_of_a_scaled_truth() -> None:
    truth = torch.rand(16, 32) * 5 + 1
    truth[:3] = torch.inf
    log = truth.clamp(max=80).log() + math.log(2)
    scores = depth_scores(log, truth)
    assert scores["abs_rel"] < 1e-5
    assert abs(scores["raw_abs_rel"] - 1) < 1e-4
    assert scores["delta"] == 1


def test_training_runs_resumes_and_saves(tmp_path: Path) -> None:
    render_frames(tmp_path / "data", frames=20, height=64)
    frames = DepthFrames.load_all([tmp_path / "data"])
    rgb, target = frame_batch(frames, torch.tensor([0, 2]), 64)
    assert rgb.shape == (2, 3, 64, 128)
    assert target.log_distance.shape == (2, 32, 64)
    run = tmp_path / "run"
    for minutes in (0.02, 0.04):
        settings = DepthTrainSettings(height=64, batch=1, minutes=minutes)
        train_depth(TinyDepthNet(context=4, head=8), frames, [], run, settings=settings)
        state = torch.load(run / "last.pt", weights_only=True)
        assert state["spent"] >= minutes * 60
        assert state["spent"] < minutes * 60 + 5
    assert (run / "tiny_depth.safetensors").is_file()
