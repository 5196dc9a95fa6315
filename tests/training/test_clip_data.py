"""Clips with points: files, shards, order, scaffold, corruption."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
import tarfile

import numpy as np
import pytest
import torch

from pantheon_core.errors import InputError, MediaError
from pantheon_core.training import CorruptionConfig
from pantheon_core.training.clip_format import read_cameras, read_frames, read_points, write_clip_files
from pantheon_core.training.clip_store import open_store, pack_shards
from pantheon_core.training.corruption import corrupt
from pantheon_core.training.point_clips import PointClips
from pantheon_core.training.sources import SyntheticClips, ordered_clips


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def shards(clip_folder, tmp_path_factory):
    target = tmp_path_factory.mktemp("shards")
    pack_shards(clip_folder, target, max_bytes=clip_bytes(clip_folder) // 2)
    return target


def clip_bytes(folder) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def test_shards_hold_what_the_folder_holds(clip_folder, shards):
    assert 1 < len(list(shards.glob("*.tar"))) <= 3
    folder, packed = open_store(clip_folder), open_store(shards)
    assert len(folder) == len(packed) == 3
    for number in range(3):
        one, other = folder.in_order(number), packed.in_order(number)
        assert one.name == other.name == f"clip{number}"
        assert torch.equal(read_cameras(one), read_cameras(other))
        assert torch.equal(read_frames(one, [4, 1], 32), read_frames(other, [4, 1], 32))
        assert torch.equal(read_points(one, torch.eye(4).double()).points,
                           read_points(other, torch.eye(4).double()).points)  # fmt: skip


def test_packing_again_gives_the_same_bytes(clip_folder, shards, tmp_path):
    again = pack_shards(clip_folder, tmp_path, max_bytes=clip_bytes(clip_folder) // 2)
    for path in again:
        assert path.read_bytes() == (shards / path.name).read_bytes()
    with tarfile.open(again[0]) as tar:
        assert tar.getnames()[0].startswith("clip0.")


def test_shards_of_other_programs_may_have_folders(clip_folder, tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for path in sorted(clip_folder.iterdir()):
            for place in ("./one", "./two"):
                tar.add(path, f"{place}/{path.name}")
    names = {open_store(tmp_path).in_order(number).name for number in range(6)}
    assert names == {f"{place}/clip{number}" for place in ("one", "two") for number in range(3)}


@pytest.mark.parametrize("name", ["x" * 140, "Straße bei Nacht"])
def test_names_that_plain_tar_headers_cannot_hold(clip_folder, tmp_path, name):
    folder = tmp_path / "long"
    folder.mkdir()
    for path in clip_folder.glob("clip0.*"):
        shutil.copy(path, folder / path.name.replace("clip0", name))
    (path,) = pack_shards(folder, tmp_path / "shards")
    one, other = open_store(folder).in_order(0), open_store(path).in_order(0)
    assert other.name == name
    assert torch.equal(read_cameras(one), read_cameras(other))
    assert torch.equal(read_frames(one, [2], 32), read_frames(other, [2], 32))
    assert path.read_bytes() == pack_shards(folder, tmp_path / "again")[0].read_bytes()


def test_every_epoch_has_every_clip_once_in_another_order(shards):
    store = open_store(shards)
    epochs = [[store.at(3 * epoch + i, seed=5).name for i in range(3)] for epoch in range(8)]
    assert all(sorted(names) == ["clip0", "clip1", "clip2"] for names in epochs)
    assert len({tuple(names) for names in epochs}) > 1
    assert store.at(17, seed=5).name == epochs[5][2]


def test_clips_of_a_shard_follow_one_another(shards):
    store = open_store(shards)
    home = {entry.name: number for number, shard in enumerate(store.shards) for entry in shard}
    for epoch in range(6):
        visited = [home[store.at(3 * epoch + i, seed=1).name] for i in range(3)]
        changes = sum(a != b for a, b in itertools.pairwise(visited))
        assert changes == len(store.shards) - 1


def test_scaffold_follows_from_the_points(tune, clip_folder):
    source = PointClips(tune(), str(clip_folder), training=False)
    clip = source.draw(0, _generator(), frames=4, height=32)
    assert torch.equal(clip.scaffold[0], clip.rgb[0])
    assert bool(clip.coverage[0].all())
    inner = clip.coverage[1:]
    assert float(inner.float().mean()) > 0.5
    error = (clip.scaffold[1:].float() - clip.rgb[1:].float()).abs().mean(1)[inner]
    assert float(error.mean()) < 20
    sparse = tune(data={"corruption": CorruptionConfig(share=1.0, point_keep=(0.02, 0.02))})
    clip = PointClips(sparse, str(clip_folder)).draw(0, _generator(), frames=4, height=32)
    holes = ~clip.coverage[1:]
    assert 0.1 < float(holes.float().mean()) < 1.0
    assert int(clip.scaffold[1:].permute(0, 2, 3, 1)[holes].max()) == 0


def test_windows_stride_turn_round_and_repeat(tune, clip_folder):
    source = PointClips(tune(data={"max_stride": 2}), str(clip_folder))
    firsts = set()
    for seed in range(12):
        one = source.draw(seed, _generator(seed), frames=3, height=32)
        firsts.add(tuple(one.rgb.float().mean((1, 2, 3)).tolist()))
    assert len(firsts) > 8
    again = source.draw(11, _generator(11), frames=3, height=32)
    assert torch.equal(again.rgb, one.rgb)
    assert torch.equal(again.scaffold, one.scaffold)


def test_threads_do_not_change_the_clips(tune, shards):
    source = PointClips(tune(), str(shards))
    orders = [(n, 3, 32) for n in range(5)]

    def clips(workers: int):
        asked = ((n, _generator(n), frames, height) for n, frames, height in orders)
        return list(ordered_clips(source, asked, workers=workers))

    for one, other in zip(clips(0), clips(2), strict=True):
        assert torch.equal(one.scaffold, other.scaffold)


def test_far_coordinates_lose_nothing(tmp_path, clip_folder):
    store = open_store(clip_folder)
    entry = store.in_order(0)
    frames = read_frames(entry, range(2), 32).float() / 255
    far = torch.eye(4).double()
    far[:3, 3] = torch.tensor([4e5, 0.0, 5e6])
    cloud = read_points(entry, torch.eye(4).double())
    shifted = dataclasses.replace(cloud, origin=far[:3, 3].clone())
    write_clip_files(tmp_path, "far", frames, far @ read_cameras(entry)[:2], shifted, fps=7.0, images=True)
    moved = open_store(tmp_path).in_order(0)
    torch.testing.assert_close(read_points(moved, read_cameras(moved)[0]).points, cloud.points,
                               atol=1e-5, rtol=0)  # fmt: skip


def test_damaged_data_is_named(tmp_path, clip_folder):
    with pytest.raises(InputError, match="no clips"):
        open_store(tmp_path)
    (tmp_path / "x.tar").write_bytes(b"no tar at all" * 100)
    with pytest.raises(MediaError, match="not a readable tar"):
        open_store(tmp_path / "x.tar")
    folder = tmp_path / "broken"
    folder.mkdir()
    np.save(folder / "a.poses.npy", np.ones((3, 4, 4)))
    entry = open_store(folder).in_order(0)
    with pytest.raises(InputError, match="clip a"):
        read_cameras(entry)
    for content in (b"PK\x03\x04 no archive", b"no array", b""):
        (folder / "b.poses.npy").write_bytes(content)
        with pytest.raises((InputError, MediaError), match=r"clip b: poses\.npy"):
            read_cameras(open_store(folder).in_order(1))
    (folder / "a.json").write_text("{oops", encoding="utf-8")
    with pytest.raises(InputError, match="clip a: json"):
        read_cameras(open_store(folder).in_order(0))
    with pytest.raises(InputError, match=r"no a\.points\.npz"):
        read_points(entry, torch.eye(4).double())
    with pytest.raises(InputError, match="no frame 0"):
        read_frames(entry, [0], 32)


def test_no_share_corrupts_nothing(clip_folder):
    entry = open_store(clip_folder).in_order(0)
    cache, path = read_points(entry, torch.eye(4).double()), read_cameras(entry).float()
    settings = CorruptionConfig(share=0.0, point_keep=(0.1, 0.1), pose_shift=0.5)
    assert corrupt(cache, path, settings, _generator()) == (cache, path)


def test_points_are_dropped_by_the_share_asked_for(clip_folder):
    entry = open_store(clip_folder).in_order(0)
    cache, path = read_points(entry, torch.eye(4).double()), read_cameras(entry).float()
    worse, same = corrupt(cache, path, CorruptionConfig(share=1.0, point_keep=(0.2, 0.2)), _generator())
    assert len(worse.points) == pytest.approx(0.2 * len(cache.points), rel=0.1)
    assert torch.equal(same, path)


def test_depth_moves_along_the_first_cameras_rays(clip_folder):
    entry = open_store(clip_folder).in_order(0)
    cache, path = read_points(entry, torch.eye(4).double()), read_cameras(entry).float()
    path[:, 0, 3] += 0.3
    settings = CorruptionConfig(share=1.0, depth_noise=0.05, depth_warp=0.05)
    worse, _ = corrupt(cache, path, settings, _generator())
    before, after = cache.points - path[0, :3, 3], worse.points - path[0, :3, 3]
    turn = torch.nn.functional.cosine_similarity(before, after, dim=-1)
    assert float(turn.min()) > 0.9999
    change = (after.norm(dim=-1) / before.norm(dim=-1)).log()
    assert 0.04 < float(change.std()) < 0.1


def test_cameras_shake_but_the_first(clip_folder):
    entry = open_store(clip_folder).in_order(0)
    cache, path = read_points(entry, torch.eye(4).double()), read_cameras(entry).float()
    settings = CorruptionConfig(share=1.0, pose_shift=0.01, pose_turn_deg=1.0)
    _, shaken = corrupt(cache, path, settings, _generator())
    assert torch.equal(shaken[0], path[0])
    assert not torch.isclose(shaken[1:, :3, 3], path[1:, :3, 3], atol=1e-5).all()
    gram = shaken[:, :3, :3] @ shaken[:, :3, :3].transpose(-1, -2)
    torch.testing.assert_close(gram, torch.eye(3).expand_as(gram), atol=1e-5, rtol=0)


def test_synthetic_scenes_on_the_fly_repeat_and_are_held_apart(tune):
    config = tune(
        data={
            "source": "synthetic",
            "path": "",
            "corruption": CorruptionConfig(share=1.0, point_keep=(0.5, 0.5)),
        }
    )
    source = SyntheticClips(config)
    one, two = (source.draw(3, _generator(1), frames=3, height=32) for _ in range(2))
    assert torch.equal(one.scaffold, two.scaffold)
    assert one.window
    assert len(one.rgb) == 3
    held = SyntheticClips(config, held_out=True).draw(3, _generator(1), frames=3, height=32)
    assert not torch.equal(held.rgb, one.rgb)
