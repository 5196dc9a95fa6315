"""From matched panoramas to cameras and points: pycolmap's incremental mapper on sphere cameras."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from ...geometry import se3_inverse
from ._features import SphereFeatures, load_pycolmap, quiet
from ._linking import weakly_linked
from ._pairs import PanoramaPair, sphere_camera, to_pixels

__all__ = ["SparseScene", "map_scene"]

_LOOSE = 0.5


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SparseScene:
    """Cameras and points in a frame and unit of their own.

    Attributes:
        T_world_cam: (P, 4, 4) float64; the identity where not registered.
        registered: (P,) bool.
        points: (N, 3) float64.
        observation_panorama: (M,) int64.
        observation_point: (M,) int64.
        error: median angle in radians between points and the features that see them.
    """

    T_world_cam: Tensor
    registered: Tensor
    points: Tensor
    observation_panorama: Tensor
    observation_point: Tensor
    error: float


def map_scene(
    features: Sequence[SphereFeatures],
    matches: Mapping[tuple[int, int], Tensor],
    pairs: Mapping[tuple[int, int], PanoramaPair],
    *,
    height: int,
    tolerance: float,
    seed: int = 0,
) -> SparseScene:
    """Register as many panoramas as hang together.

    One thread and fixed seeds: the same pictures give the same numbers.

    Args:
        features: of each of P panoramas.
        matches: (i, j) -> (M, 2) int64 features that are the same, checked by a motion; i < j.
        pairs: the motions of these pairs, for panoramas that share too few points with the rest.
        height: of the equirectangular picture whose pixels are the unit of the thresholds.
        tolerance: radians by which a feature may be off.
        seed: of the random samples.
    """
    pycolmap = load_pycolmap()
    with tempfile.TemporaryDirectory(prefix="pantheon360-sfm-") as folder, quiet(pycolmap):
        database = Path(folder) / "database.db"
        _write_database(pycolmap, database, features, matches, height)
        models = pycolmap.incremental_mapping(database, folder, folder, _options(pycolmap, seed))
        # The most panoramas, then the most points; models come in the order in which they were found.
        best = max(models.values(), key=lambda one: (one.num_reg_frames(), one.num_points3D()), default=None)
        if best is not None:
            linked = _linked(best, features, {key: pairs[key] for key in matches}, tolerance)
            if linked is not None:
                best = _triangulated(pycolmap, database, linked, _options(pycolmap, seed))
            _refine(pycolmap, best)
        return _read(best, features)


def _options(pycolmap: ModuleType, seed: int):
    options = pycolmap.IncrementalPipelineOptions(
        num_threads=1,
        random_seed=seed,
        extract_colors=False,
        min_model_size=2,
        ba_refine_focal_length=False,
        ba_refine_extra_params=False,
        ba_refine_sensor_from_rig=False,
    )
    options.mapper.filter_max_reproj_error = 2.0
    options.mapper.init_min_num_inliers = 30
    # Ahead is bad for a narrow camera. A panorama looks aside as well, whichever way it was turned.
    options.mapper.init_max_forward_motion = 1.0
    options.mapper.abs_pose_min_num_inliers = 15
    options.mapper.abs_pose_max_error = 4.0
    options.mapper.abs_pose_refine_focal_length = False
    # Of a row of panoramas each shares points with its neighbours alone.
    options.triangulation.ignore_two_view_tracks = False
    return options


def _write_database(
    pycolmap: ModuleType,
    path: Path,
    features: Sequence[SphereFeatures],
    matches: Mapping[tuple[int, int], Tensor],
    height: int,
) -> None:
    camera = sphere_camera(height)
    database = pycolmap.Database.open(str(path))
    try:
        camera.camera_id = database.write_camera(camera)
        rig = pycolmap.Rig()
        rig.add_ref_sensor(camera.sensor_id)
        rig.rig_id = database.write_rig(rig)
        ids = []
        for index, one in enumerate(features):
            image = pycolmap.Image(name=f"{index:05d}", camera_id=camera.camera_id)
            image.image_id = database.write_image(image)
            frame = pycolmap.Frame()
            frame.rig_id = rig.rig_id
            frame.add_data_id(image.data_id)
            database.write_frame(frame)
            database.write_keypoints(image.image_id, to_pixels(one.rays, height).astype("float32"))
            ids.append(image.image_id)
        for (first, second), pairs in matches.items():
            rows = pairs.numpy().astype("uint32")
            database.write_matches(ids[first], ids[second], rows)
            geometry = pycolmap.TwoViewGeometry()
            geometry.config = pycolmap.TwoViewGeometryConfiguration.CALIBRATED
            geometry.inlier_matches = rows
            database.write_two_view_geometry(ids[first], ids[second], geometry)
    finally:
        database.close()


def _linked(
    model,
    features: Sequence[SphereFeatures],
    pairs: Mapping[tuple[int, int], PanoramaPair],
    tolerance: float,
) -> dict[int, Tensor] | None:
    """Poses with those of panoramas that hang on the model by single pairs, or None where nothing does."""
    index_of = {image.image_id: int(image.name) for image in model.images.values() if image.has_pose}
    poses = {index: _pose(model.image(number)) for number, index in index_of.items()}
    tracks: dict[int, dict[int, Tensor]] = {index: {} for index in poses}
    for point in model.points3D.values():
        for element in point.track.elements:
            tracks[index_of[element.image_id]][element.point2D_idx] = torch.from_numpy(point.xyz.copy())
    before = len(poses)
    while found := weakly_linked(poses, tracks, features, pairs, tolerance):
        poses[found[0]], tracks[found[0]] = found[1], {}
    return poses if len(poses) > before else None


def _triangulated(pycolmap: ModuleType, path: Path, poses: Mapping[int, Tensor], options):
    """A model of the database with these poses, and the points that follow from them."""
    database = pycolmap.Database.open(str(path))
    try:
        cache = pycolmap.DatabaseCache.create(database, pycolmap.DatabaseCacheOptions())
    finally:
        database.close()
    model = pycolmap.Reconstruction()
    model.load(cache)
    for image in list(model.images.values()):
        if int(image.name) in poses:
            frame = model.frame(image.frame_id)
            frame.rig_from_world = pycolmap.Rigid3d(se3_inverse(poses[int(image.name)])[:3].numpy())
            model.register_frame(frame.frame_id)
    return pycolmap.triangulate_points(model, path, path.parent, path.parent, options=options)


def _pose(image) -> Tensor:
    """(4, 4) float64, T_world_cam."""
    motion = torch.eye(4, dtype=torch.float64)
    motion[:3] = torch.from_numpy(image.cam_from_world().matrix().copy())
    return se3_inverse(motion)


def _refine(pycolmap: ModuleType, model) -> None:
    """Adjust all once more with a loss that lets stitching faults and wrong matches go."""
    options = pycolmap.BundleAdjustmentOptions(
        refine_focal_length=False,
        refine_extra_params=False,
        refine_sensor_from_rig=False,
        print_summary=False,
    )
    options.ceres.loss_function_type = pycolmap.LossFunctionType.CAUCHY
    options.ceres.loss_function_scale = _LOOSE
    options.ceres.solver_options.num_threads = 1
    options.ceres.solver_options.max_num_iterations = 50
    config = pycolmap.BundleAdjustmentConfig()
    for number in model.reg_image_ids():
        config.add_image(number)
    config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    # pycolmap.bundle_adjustment would do the same and set the log level back.
    pycolmap.create_default_bundle_adjuster(options, config, model).solve()


def _read(model, features: Sequence[SphereFeatures]) -> SparseScene:
    count = len(features)
    poses = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
    registered = torch.zeros(count, dtype=torch.bool)
    panorama_of: dict[int, int] = {}
    images = model.images.values() if model is not None else ()
    for image in images:
        if not image.has_pose:
            continue
        index = int(image.name)
        panorama_of[image.image_id] = index
        poses[index] = _pose(image)
        registered[index] = True
    points, panoramas, rows, angles = [], [], [], []
    for _, point in sorted(model.points3D.items()) if model is not None else ():
        place = torch.from_numpy(point.xyz.copy())
        for element in point.track.elements:
            index = panorama_of[element.image_id]
            seen = (place - poses[index, :3, 3]) @ poses[index, :3, :3]
            ray = features[index].rays[element.point2D_idx]
            angles.append(float(torch.atan2(torch.linalg.cross(seen, ray).norm(), seen @ ray)))
            panoramas.append(index)
            rows.append(len(points))
        points.append(place)
    return SparseScene(
        T_world_cam=poses,
        registered=registered,
        points=torch.stack(points) if points else torch.zeros(0, 3, dtype=torch.float64),
        observation_panorama=torch.tensor(panoramas, dtype=torch.int64),
        observation_point=torch.tensor(rows, dtype=torch.int64),
        error=float(torch.tensor(angles).median()) if angles else math.nan,
    )
