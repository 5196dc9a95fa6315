from __future__ import annotations

import pytest
import torch

from pantheon_core.errors import InputError
from pantheon_core.geometry import erp_rays, rotation_from_yaw_pitch_roll, se3_from
from pantheon_core.metrics import interpolation_error, warping_error
from pantheon_core.synthetic import generate_scene, scene_path, trace

HEIGHT = 64


def test_a_traced_video_is_consistent_and_a_shuffled_one_is_not() -> None:
    scene = generate_scene(3, "room")
    path = scene_path(scene, 3, 4, 7.0)
    frames = [trace(scene, pose, HEIGHT, samples=2) for pose in path]
    video = torch.stack([frame.rgb for frame in frames])
    distance = torch.stack([frame.distance * ~frame.sky for frame in frames])
    true = warping_error(video, distance, path)
    assert true.shape == (3,)
    still = (video[1:] - video[:-1]).square().mean((1, 2, 3))
    assert bool((true < 0.5 * still).all())
    noisy = video + 0.1 * torch.randn(video.shape, generator=torch.Generator().manual_seed(0))
    more = warping_error(noisy, distance, path) - true
    # Two independent noises of variance 0.01; looking one of them up between pixels averages it.
    assert bool(((more > 0.01) & (more < 0.02)).all())


def test_the_sky_moves_with_the_rotation() -> None:
    turn = rotation_from_yaw_pitch_roll(torch.tensor([0.0, 0.3]), torch.zeros(2), torch.zeros(2))
    path = se3_from(turn, torch.tensor([[0.0, 0, 0], [5.0, 0, 0]]))
    rays = torch.stack([erp_rays(HEIGHT) @ rotation.T for rotation in turn])
    video = (0.5 + 0.3 * rays).movedim(-1, 1)
    nothing = torch.zeros(2, HEIGHT, 2 * HEIGHT)
    assert float(warping_error(video, nothing, path)) < 1e-5
    assert float(warping_error(video, nothing + 4.0, path)) > 1e-3


def test_only_the_mask_counts() -> None:
    path = torch.eye(4).repeat(2, 1, 1)
    video = torch.zeros(2, 3, HEIGHT, 2 * HEIGHT)
    video[1, :, : HEIGHT // 2] = 0.5
    distance = torch.ones(2, HEIGHT, 2 * HEIGHT)
    upper = torch.zeros(2, HEIGHT, 2 * HEIGHT, dtype=torch.bool)
    upper[:, : HEIGHT // 2 - 1] = True
    assert float(warping_error(video, distance, path, mask=upper)) == pytest.approx(0.25)
    assert bool(warping_error(video, distance, path, mask=torch.zeros_like(upper)).isnan().all())
    with pytest.raises(InputError, match="two or more frames"):
        warping_error(video[:1], distance[:1], path[:1])


def test_interpolation_error_is_in_grey_levels() -> None:
    truth = torch.full((2, 3, 4, 8), 0.5)
    assert interpolation_error(truth + 10 / 255, truth).tolist() == pytest.approx([10.0, 10.0])
