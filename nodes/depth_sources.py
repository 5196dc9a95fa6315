"""Where the distances of panoramas come from: other nodes, the panoramas themselves, or a network."""

from __future__ import annotations

import dataclasses
import logging
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import folder_paths
import torch

from ..pantheon_core.errors import InputError
from ..pantheon_core.recon import BACKENDS
from .convert import from_image
from .host import progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from ..pantheon_core.cache import PointCache
    from ..pantheon_core.recon import DistanceEstimate
    from .types import PlacedPanorama

log = logging.getLogger(__name__)

AUTO = "auto"
GIVEN = "given depth"
DEPTH_KINDS = {
    "distance": "distance",
    "inverse distance": "inverse",
    "cube depth": "z_depth",
    "relative (fitted)": "relative",
}
# These two need more than a picture: they have their own inputs and nodes here.
ESTIMATORS = [name for name in BACKENDS if name not in ("given", "synthetic")]
_BUNDLED = "tiny"
_SAME_PLACE = 1e-4


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DepthSource:
    """What the node's inputs say about the distances."""

    backend: str
    weights: str = ""
    download: bool = False
    depth: Tensor | None = None
    depth_kind: str = "inverse distance"
    moge_geometry: Mapping[str, Any] | None = None
    da3_geometry: Mapping[str, Any] | None = None
    fov_deg: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Measured:
    """Panoramas at their places with their distances.

    Attributes:
        panoramas: those that have a place.
        estimates: of each.
        index: of each among the panoramas that were given.
        places_found: the places are a network's, in the unit of its distances.
        notes: what the user should know.
    """

    panoramas: tuple[PlacedPanorama, ...]
    estimates: tuple[DistanceEstimate, ...]
    index: tuple[int, ...]
    places_found: bool = False
    notes: tuple[str, ...] = ()


def measure(panoramas: tuple[PlacedPanorama, ...], source: DepthSource) -> Measured:
    """The distances of each panorama; a multi-view network also finds the places that are not given."""
    known = _known(panoramas, source)
    index = tuple(range(len(panoramas)))
    missing = [one.name for one, found in zip(panoramas, known, strict=True) if found is None]
    if source.backend == GIVEN and missing:
        raise InputError(
            f"backend: '{GIVEN}' needs a depth for {', '.join(missing)}. Connect depth, moge_geometry or "
            f"da3_geometry, or choose '{AUTO}' to estimate it."
        )
    if not missing:
        estimates = tuple(one for one in known if one is not None)
        return Measured(panoramas=panoramas, estimates=estimates, index=index)
    network = _network(source)
    if len(missing) == len(panoramas) and hasattr(network, "estimate_all"):
        return _measure_together(panoramas, network)
    estimates = tuple(
        network.estimate(one.rgb, progress=progress()) if found is None else found
        for one, found in zip(panoramas, known, strict=True)
    )
    return Measured(panoramas=panoramas, estimates=estimates, index=index)


def _network(source: DepthSource) -> Any:
    from ..pantheon_core.recon import get_backend

    name = _BUNDLED if source.backend == AUTO else source.backend
    if name == _BUNDLED:
        return get_backend(name)
    return get_backend(name, weights=source.weights.strip() or None, download=source.download)


def _measure_together(panoramas: Sequence[PlacedPanorama], network: Any) -> Measured:
    """All panoramas in one call. Places given by the user win; a panorama without a place is left out."""
    result = network.estimate_all([one.rgb for one in panoramas], progress=progress())
    given = torch.stack([one.T_world_cam.float() for one in panoramas])
    placed_by_user = float((given[:, :3, 3] - given[0, :3, 3]).norm(dim=-1).max()) > _SAME_PLACE
    if placed_by_user:
        result = result.placed_at(given)
    elif len(panoramas) > 1 and not bool(result.poses.registered.any()):
        raise InputError(f"panoramas: no places were found. {' '.join(result.poses.warnings)}")
    poses = result.poses
    kept = poses.registered.nonzero()[:, 0].tolist()
    # the world stays where the first panorama's own pose has it, e.g. its heading
    T_world_first = torch.eye(4) if placed_by_user else given[kept[0]]
    placed = tuple(
        dataclasses.replace(panoramas[i], T_world_cam=T_world_first @ poses.T_world_cam[i]) for i in kept
    )
    notes = list(poses.warnings)
    found = not placed_by_user and len(panoramas) > 1
    if found:
        notes.insert(0, f"{len(kept)} of {len(panoramas)} panoramas were placed by {network.model.title}.")
    return Measured(
        panoramas=placed,
        estimates=tuple(result.estimates[i] for i in kept),
        index=tuple(kept),
        places_found=found,
        notes=tuple(notes),
    )


def _known(panoramas: tuple[PlacedPanorama, ...], source: DepthSource) -> Sequence[DistanceEstimate | None]:
    """What is connected, or came with each panorama; None where the distance must be estimated."""
    from ..pantheon_core.recon.host_geometry import estimates_from_da3, estimates_from_moge

    if source.backend not in (AUTO, GIVEN):
        return [None] * len(panoramas)
    heights = [one.rgb.shape[-2] for one in panoramas]
    if source.depth is not None:
        return _from_pictures(panoramas, source.depth, DEPTH_KINDS[source.depth_kind])
    if source.moge_geometry is not None:
        return estimates_from_moge(source.moge_geometry, heights)
    if source.da3_geometry is not None:
        fov = math.radians(source.fov_deg) if source.fov_deg > 0 else None
        return estimates_from_da3(source.da3_geometry, heights, fov_x=fov)
    return [one.known for one in panoramas]


def _from_pictures(panoramas: tuple[PlacedPanorama, ...], depth: Tensor, kind: str) -> list[DistanceEstimate]:
    from ..pantheon_core.recon import get_backend

    check_count("depth", depth, len(panoramas))
    return [
        get_backend("given", depth=picture, kind=kind).estimate(one.rgb)
        for picture, one in zip(from_image(depth), panoramas, strict=True)
    ]


def check_count(name: str, batch: Tensor, count: int) -> None:
    """One item of a batch for each panorama."""
    if len(batch) != count:
        raise InputError(
            f"{name}: expected one picture for each of the {count} panoramas, got {len(batch)}. Batch them "
            "in the order of the panoramas."
        )


def in_user_terms(
    estimate: DistanceEstimate, one: PlacedPanorama, scale: float, sky_mask: Tensor | None
) -> DistanceEstimate:
    """In the user's unit, with the user's sky, and only where the photograph shows something."""
    from ..pantheon_core.recon.given import with_sky

    if sky_mask is not None:
        estimate = with_sky(estimate, sky_mask)
    return dataclasses.replace(
        estimate,
        distance=estimate.distance * scale,
        valid=estimate.valid & one.valid,
        sky=estimate.sky * one.valid,
    )


def read_cloud(given: Any, axes: str, scale: float) -> PointCache | None:
    """The point cloud of a path, or of the host's 3D file; None where nothing is given."""
    from ..pantheon_core.recon.host_geometry import CloudAxes, cloud_as_cache

    turned: CloudAxes = axes  # type: ignore[assignment]
    if not isinstance(given, str):
        return None if given is None else _from_file(given, turned, scale)
    if not given.strip():
        return None
    path = Path(given.strip()).expanduser()
    if not path.is_absolute():
        path = Path(folder_paths.get_input_directory()) / path
    return cloud_as_cache(path, axes=turned, scale=scale)


def _from_file(file: Any, axes: Any, scale: float) -> PointCache:
    """The host's File3D, on disk or in memory."""
    from ..pantheon_core.recon.host_geometry import cloud_as_cache

    if file.format != "ply":
        raise InputError(
            f"point_cloud: expected a PLY file, got {file.format or 'a file of unknown kind'}. Save the "
            "cloud as PLY."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "point_cloud.ply"
        file.save_to(str(path))
        return cloud_as_cache(path, axes=axes, scale=scale)
