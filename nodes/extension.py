"""The list of nodes, and what happens once when the host loads the pack."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import fusion, host, model, panorama, reconstruct, sample, scaffold, synthetic, trajectory, video


class PantheonExtension(ComfyExtension):
    """Everything that the pack adds to ComfyUI."""

    async def on_load(self) -> None:
        """Register the model folder and put the sample panoramas where the host can show them."""
        host.register_model_folder()
        host.copy_sample_panoramas()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """In the order of the work."""
        return [
            panorama.LoadPanorama,
            panorama.PanoramaFromImage,
            panorama.PlacePanorama,
            panorama.JoinPanoramas,
            synthetic.SyntheticPanoramas,
            reconstruct.Build3DCache,
            trajectory.TrajectoryFromKeyframes,
            scaffold.RenderERPScaffold,
            model.PantheonModelLoader,
            fusion.DualAnchorLatentFusion,
            sample.PantheonSampler,
            video.SaveERPVideo,
        ]
