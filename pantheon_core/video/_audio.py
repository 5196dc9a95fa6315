"""Sound beside the frames, as AAC."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from torch import Tensor

from ..check import check_finite, check_shape
from ..errors import InputError
from ._codecs import import_av

_LAYOUTS = {1: "mono", 2: "stereo"}
_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_BLOCK = 1024  # samples of one AAC frame


class AudioFeed:
    """Encodes a waveform piece by piece, as far as the video has come."""

    def __init__(self, waveform: Tensor, sample_rate: int) -> None:
        check_shape("audio", waveform, "channels samples")
        if waveform.shape[0] not in _LAYOUTS:
            raise InputError(f"audio: expected 1 or 2 channels, got {waveform.shape[0]}; mix it down")
        if not waveform.is_floating_point():
            raise InputError(f"audio: expected floats in -1..1, got {waveform.dtype}")
        if sample_rate not in _RATES:
            rates = ", ".join(map(str, _RATES))
            raise InputError(f"audio: expected a sample rate of {rates}; got {sample_rate!r}; resample it")
        check_finite("audio", waveform)
        self._samples = waveform.detach().float().cpu().contiguous().numpy()
        self._rate = int(sample_rate)
        self._done = 0
        self._end = 0
        self._stream: Any = None

    def add_stream(self, container: Any) -> None:
        """Add the stream; to be done before the first packet is written."""
        self._stream = container.add_stream("aac", rate=self._rate, layout=self._layout)
        self._stream.bit_rate = 96_000 * self._samples.shape[0]

    @property
    def _layout(self) -> str:
        return _LAYOUTS[self._samples.shape[0]]

    def mux_until(self, container: Any, seconds: Fraction) -> None:
        """Write the whole blocks before a time; the rest waits for more video or for `flush`."""
        self._end = min(self._samples.shape[1], int(seconds * self._rate))
        while self._done + _BLOCK <= self._end:
            self._mux_block(container, _BLOCK)

    def flush(self, container: Any) -> None:
        """Write what is left before the end of the video."""
        if self._done < self._end:
            self._mux_block(container, self._end - self._done)
        container.mux(self._stream.encode(None))

    def _mux_block(self, container: Any, count: int) -> None:
        av = import_av()
        block = self._samples[:, self._done : self._done + count].copy()
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=self._layout)
        frame.sample_rate = self._rate
        frame.pts, frame.time_base = self._done, Fraction(1, self._rate)
        container.mux(self._stream.encode(frame))
        self._done += count
