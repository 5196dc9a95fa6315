"""The list of nodes, and what happens once when the host loads the pack."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import (
    clean,
    fusion,
    hold,
    host,
    importers,
    long_video,
    masks,
    model,
    native,
    panorama,
    path_routes,
    poses,
    reconstruct,
    routes,
    sample,
    scaffold,
    synthetic,
    trajectory,
    trajectory_files,
    video,
    video_in,
    viewer,
)


class PantheonExtension(ComfyExtension):
    """Everything that the pack adds to ComfyUI."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """In the order of the work. Before they are listed, their folders must be there."""
        # Hosts before 0.3.76 know no `on_load`.
        host.register_model_folder()
        host.copy_sample_panoramas()
        routes.register()
        path_routes.register()
        return [
            panorama.LoadPanorama,
            panorama.PanoramaFromImage,
            panorama.PlacePanorama,
            panorama.JoinPanoramas,
            masks.PantheonMaskPanorama,
            masks.PantheonSkyMask,
            poses.PantheonEstimatePoses,
            video_in.PantheonLoadPanoramaVideo,
            importers.PantheonImportScene,
            synthetic.SyntheticPanoramas,
            reconstruct.Build3DCache,
            clean.PantheonCleanCache,
            clean.PantheonScaleCache,
            trajectory.TrajectoryFromKeyframes,
            trajectory_files.PantheonLoadTrajectory,
            trajectory_files.PantheonSaveTrajectory,
            scaffold.RenderERPScaffold,
            model.PantheonModelLoader,
            fusion.DualAnchorLatentFusion,
            hold.PantheonHoldScaffold,
            sample.PantheonSampler,
            native.PantheonNativeConditioning,
            video.SaveERPVideo,
            long_video.PantheonLongVideo,
            viewer.PantheonPreview360,
        ]
