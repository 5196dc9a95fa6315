"""What a run leaves to look at."""

from __future__ import annotations

import importlib.util

import pytest
from PIL import Image

from pantheon_core.errors import BackendUnavailableError
from pantheon_core.training.curves import draw_curves
from pantheon_core.training.run_log import RunLog, read_rows


def test_rows_after_the_resumed_step_are_dropped(tmp_path):
    log = RunLog(tmp_path, 0, tensorboard=False)
    for step in (1, 2, 3):
        log.write("train", step, {"loss": 1.0 / step})
    log.write("validation", 3, {"psnr": 20.0})
    with (tmp_path / "log.jsonl").open("a") as stream:
        stream.write('{"step": 4, "lo')  # killed while it wrote
    RunLog(tmp_path, 2, tensorboard=False)
    assert [row["step"] for row in read_rows(tmp_path / "log.jsonl")] == [1, 2]
    assert read_rows(tmp_path / "validation.jsonl") == []


def test_curves_show_every_value_and_need_two_points(tmp_path):
    path = tmp_path / "curves.png"
    draw_curves(path, {"train": [{"step": 1, "loss": 1.0, "seconds": 2.0}]})
    assert not path.exists()
    rows = [{"step": step, "loss": 1.0 / step, "flat": 2.0, "seconds": 9.0} for step in range(1, 60)]
    draw_curves(path, {"train": rows, "validation": [{"step": 1, "psnr": 3.0}, {"step": 9, "psnr": 4.0}]})
    with Image.open(path) as picture:
        # Three charts in two columns.
        assert picture.size == (920, 460)
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 16)}
    assert (24, 84, 160) in colours


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is not None, reason="TensorBoard is installed")
def test_tensorboard_that_is_missing_is_named(tmp_path):
    with pytest.raises(BackendUnavailableError, match=r"pip install 'pantheon360\[train\]'"):
        RunLog(tmp_path, 0, tensorboard=True)


def test_tensorboard_gets_the_same_values(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = RunLog(tmp_path, 0)
    for step in (1, 2):
        log.write("train", step, {"loss": 0.5 * step})
    log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("train/loss")] == [(1, 0.5), (2, 1.0)]
