"""What a run leaves to look at: log.jsonl, validation.jsonl, curves.png and, where installed, TensorBoard."""

from __future__ import annotations

import importlib.util
import json
import logging
from pathlib import Path
from typing import Any

from ..errors import BackendUnavailableError
from ..files import replacing
from .curves import draw_curves

__all__ = ["RunLog", "read_rows"]

_log = logging.getLogger(__name__)
_FILES = {"train": "log.jsonl", "validation": "validation.jsonl"}


class RunLog:
    """The logs of one output folder. Rows of steps that a resume will do again are dropped.

    Args:
        folder: the run's output folder.
        step: step that the run is at.
        tensorboard: True, False, or None for where it is installed.

    Raises:
        BackendUnavailableError: TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, step: int, *, tensorboard: bool | None = None) -> None:
        self.folder = folder
        for name in _FILES.values():
            _drop_after(folder / name, step)
        found = importlib.util.find_spec("tensorboard") is not None
        if tensorboard and not found:
            raise BackendUnavailableError(
                "config: validation.tensorboard = true needs TensorBoard: pip install 'pantheon360[train]'"
            )
        self._board: Any = None
        if found and tensorboard is not False:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def write(self, kind: str, step: int, values: dict[str, float]) -> None:
        """Add a row to the log "train" or "validation", and draw the curves anew."""
        row = {"step": step, **{key: round(value, 6) for key, value in values.items()}}
        with (self.folder / _FILES[kind]).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        _log.info("%s, step %d: %s", kind, step, row)
        if self._board is not None:
            for key, value in values.items():
                self._board.add_scalar(f"{kind}/{key}", value, step)
            self._board.flush()

    def draw(self) -> None:
        """Write curves.png."""
        rows = {kind: read_rows(self.folder / name) for kind, name in _FILES.items()}
        draw_curves(self.folder / "curves.png", rows)

    def close(self) -> None:
        """Close the TensorBoard file."""
        if self._board is not None:
            self._board.close()


def read_rows(path: Path) -> list[dict[str, float]]:
    """Rows of a log; a last line that was cut off by a kill is left out."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            _log.warning("%s: a damaged line is left out", path)
    return rows


def _drop_after(path: Path, step: int) -> None:
    if not path.is_file():
        return
    kept = [row for row in read_rows(path) if row["step"] <= step]
    with replacing(path) as partial:
        partial.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
