"""A box room, and stand-ins of the multi-view packages that know it.

They have the published signatures and conventions. They answer from the scene, and check by the pictures'
colours, which are the coordinates of the walls, that they were given the right ones.
"""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn

from pantheon_core.geometry import (
    erp_rays,
    nearest_rotation,
    perspective_rays,
    rotate_vectors,
    rotation_from_yaw_pitch_roll,
    se3_from,
    se3_inverse,
)

HEIGHT = 48

VIEW = 28

HALF = torch.tensor([2.0, 1.5, 3.0])

UNIT = 0.37  # of the networks without a scale

CENTRES = torch.tensor([[0.0, 0.0, 0.0], [0.6, -0.2, 0.9], [-0.7, 0.1, -1.0]])


def turns(count: int) -> Tensor:
    yaw = torch.tensor([0.0, 0.7, -1.9])[:count]
    return rotation_from_yaw_pitch_roll(yaw, 0 * yaw)


def walls(rays: Tensor, centre: Tensor) -> Tensor:
    """Distance to the walls of the room."""
    return (torch.where(rays > 0, HALF - centre, HALF + centre) / rays.abs().clamp(min=1e-9)).amin(-1)


def panorama(rotation: Tensor, centre: Tensor, height: int = HEIGHT) -> tuple[Tensor, Tensor]:
    """rgb (3, H, W) that says where each wall point is, and the distances (H, W)."""
    rays = rotate_vectors(rotation, erp_rays(height))
    distance = walls(rays, centre)
    points = centre + rays * distance[..., None]
    return (points / (2 * HALF) + 0.5).movedim(-1, 0).clamp(0, 1), distance


class Oracle:
    """Poses and depths of the views, known from the scene; what the networks of the packages would see."""

    count = 1
    noise = 0.0
    sky = False

    @classmethod
    def answer(cls, images: Tensor) -> tuple[Tensor, Tensor]:
        """T_world_view (V, 4, 4) and points (V, h, w, 3) in the view's camera, metres."""
        from pantheon_core.recon.fusion import sphere_views

        size = images.shape[-1]
        rig = sphere_views(6, 4)
        assert len(images) == cls.count * len(rig)
        rotations = (turns(cls.count)[:, None] @ rig).flatten(0, 1)
        centres = CENTRES[: cls.count].repeat_interleave(len(rig), 0)
        local = perspective_rays(size, size, math.pi / 2)
        distance = walls(rotate_vectors(rotations[:, None, None], local), centres[:, None, None])
        # the pictures are the right ones, in the right order
        points = (
            centres[:, None, None] + rotate_vectors(rotations[:, None, None], local) * distance[..., None]
        )
        seen = (images.movedim(1, -1) - 0.5) * 2 * HALF
        assert (seen - points).norm(dim=-1).median() < 0.15
        return se3_from(rotations, centres), local * distance[..., None]


def world() -> Tensor:
    """The networks' world is anywhere."""
    turn = rotation_from_yaw_pitch_roll(torch.tensor(1.1), torch.tensor(0.5), torch.tensor(-2.0))
    return se3_from(turn, torch.tensor([4.0, -7.0, 1.0]))


class Hub(nn.Module):
    """`from_pretrained` of a folder, as PyTorchModelHubMixin has it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str):
        if (Path(pretrained_model_name_or_path) / "model.safetensors").read_bytes() != b"weights":
            raise ValueError("header too small")
        return cls()


class Pi3(Hub):
    unit = UNIT

    def forward(self, imgs: Tensor) -> dict[str, Tensor]:
        assert imgs.ndim == 5
        assert imgs.shape[0] == 1
        assert imgs.shape[-1] % 14 == 0
        T_world_view, local = Oracle.answer(imgs[0])
        poses = world() @ T_world_view
        poses[:, :3, 3] *= self.unit
        local = local * self.unit
        return {
            "points": local[None],
            "local_points": local[None],
            "conf": torch.full((*local.shape[:3], 1), 2.0)[None],
            "camera_poses": poses[None],
        }


class Pi3X(Pi3):
    unit = 1.0

    def forward(  # type: ignore[override]
        self,
        imgs: Tensor,
        depths: Tensor | None = None,
        intrinsics: Tensor | None = None,
        rays: Tensor | None = None,
        poses: Tensor | None = None,
        with_prior: bool = True,
        mask_add_depth: Tensor | None = None,
        mask_add_ray: Tensor | None = None,
        mask_add_pose: Tensor | None = None,
    ) -> dict[str, Tensor]:
        out = super().forward(imgs)
        assert depths is None
        assert rays is None
        assert intrinsics is not None
        assert poses is not None
        assert mask_add_pose is not None
        assert mask_add_ray is not None
        assert bool(mask_add_ray.all())
        # the rays of the given matrix are those of the views, for pixel centres at halves
        size = imgs.shape[-1]
        middle = torch.arange(size) + 0.5
        pixels = torch.stack((*torch.meshgrid(middle, middle, indexing="xy"), torch.ones(size, size)), -1)
        local = pixels @ intrinsics[0, 0].inverse().T
        local = torch.nn.functional.normalize(local, dim=-1)
        assert torch.allclose(local, perspective_rays(size, size, math.pi / 2), atol=1e-5)
        # the given poses are right relative to the first view, where they count
        known = mask_add_pose[0]
        assert int(known.sum()) == 14
        own = se3_inverse(out["camera_poses"][0][:1]) @ out["camera_poses"][0][known]
        assert torch.allclose(se3_inverse(poses[0, :1]) @ poses[0][known], own, atol=1e-4)
        return out | {"metric": torch.ones(1)}


class VGGT(Hub):
    def forward(self, images: Tensor, query_points: Tensor | None = None) -> dict[str, Tensor]:
        assert images.ndim == 5
        T_world_view, local = Oracle.answer(images[0])
        T_view_world = se3_inverse(
            se3_inverse(T_world_view[:1]) @ T_world_view
        )  # the first view is the world
        T_view_world[:, :3, 3] *= UNIT
        return {
            "pose_enc": T_view_world[None],  # its own decoder takes whatever it made
            "depth": local[None, ..., 2:] * UNIT,
            "depth_conf": torch.full((1, *local.shape[:3]), 1 + math.exp(2.0)),
        }


def pose_encoding_to_extri_intri(
    pose_encoding: Tensor,
    image_size_hw: tuple[int, int] | None = None,
    pose_encoding_type: str = "absT_quaR_FoV",
    build_intrinsics: bool = True,
) -> tuple[Tensor, Tensor]:
    assert image_size_hw == (VIEW, VIEW)
    return pose_encoding[..., :3, :], torch.eye(3).expand(*pose_encoding.shape[:2], 3, 3)


class DepthAnything3(Hub):
    def inference(self, image: list[np.ndarray], extrinsics=None, intrinsics=None, process_res: int = 504):
        assert all(one.dtype == np.uint8 and one.shape == (process_res, process_res, 3) for one in image)
        T_world_view, local = Oracle.answer(torch.from_numpy(np.stack(image)).movedim(-1, 1) / 255)
        T_view_world = se3_inverse(world() @ T_world_view)
        unit = 1.0 if Oracle.sky else UNIT
        T_view_world[:, :3, 3] *= unit
        depth = (local[..., 2] * unit).numpy()
        conf = np.full_like(depth, 1 + math.exp(2.0))
        if Oracle.sky:  # the nested network marks it like this
            up = (rotate_vectors(T_world_view[:, None, None, :3, :3], local)[..., 1] < -1.49).numpy()
            depth[up], conf[up] = 3.0, 1.0
        return SimpleNamespace(
            depth=depth,
            is_metric=int(Oracle.sky),
            sky=None,
            conf=conf,
            extrinsics=T_view_world[:, :3].numpy(),
            intrinsics=None,
        )


MODULES = {
    "pi3.models.pi3": {"Pi3": Pi3},
    "pi3.models.pi3x": {"Pi3X": Pi3X},
    "vggt.models.vggt": {"VGGT": VGGT},
    "vggt.utils.pose_enc": {"pose_encoding_to_extri_intri": pose_encoding_to_extri_intri},
    "depth_anything_3.api": {"DepthAnything3": DepthAnything3},
}


def noisy_rig(generator: torch.Generator, degrees: float, spread: float, broken: int):
    from pantheon_core.recon.fusion import sphere_views

    rig = sphere_views(6, 4)
    truth = se3_from(turns(2), CENTRES[:2])
    T = (truth[:, None] @ se3_from(rig, torch.zeros(3))).flatten(0, 1)
    axis = torch.randn(len(T), 3, generator=generator) * math.radians(degrees) / math.sqrt(3)
    noise = torch.linalg.matrix_exp(
        torch.stack([torch.linalg.cross(torch.eye(3), a.expand(3, 3)) for a in axis])
    )
    T[:, :3, :3] = T[:, :3, :3] @ noise
    T[:, :3, 3] += torch.randn(len(T), 3, generator=generator) * spread
    for index in range(broken):  # of the second panorama: anywhere
        T[14 + index, :3, :3] = nearest_rotation(torch.randn(3, 3, generator=generator))
        T[14 + index, :3, 3] = torch.randn(3, generator=generator) * 5
    return T, rig.repeat(2, 1, 1), torch.arange(2).repeat_interleave(14), truth
