"""A running ComfyUI with the pack in it, for tests and tools. Standard library only."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import test_host

ROOT = test_host.ROOT


@dataclass
class RunResult:
    """What became of one prompt.

    Attributes:
        ok: it ran to the end.
        outputs: node id -> what the node showed.
        cached: ids of nodes that were not run again.
        error: exception message, or None.
        error_node: class of the node that raised, or None.
        interrupted: the user's stop ended it.
    """

    ok: bool
    outputs: dict[str, Any]
    cached: set[str] = field(default_factory=set)
    error: str | None = None
    error_node: str | None = None
    interrupted: bool = False


class HostError(RuntimeError):
    """The host did not start, or refused a request."""

    def __init__(self, message: str, body: Any = None) -> None:
        super().__init__(message)
        self.body = body


def copy_pack(target: Path) -> None:
    """Copy the checkout as a clone of it would be: what git knows or would take in, no more."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    for name in filter(None, names):
        source = ROOT / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / name)


class HostSession:
    """One ComfyUI process with its own base directory on a free port of the loopback."""

    def __init__(self, base: Path, *, pack_name: str | None = "my-360.nodes") -> None:
        """Lay out the base directory; `pack_name` None leaves the pack out."""
        self.base = base
        self.client_id = uuid.uuid4().hex
        for folder in ("input", "output", "temp", "user", "models", "custom_nodes"):
            (base / folder).mkdir(parents=True, exist_ok=True)
        self.pack = base / "custom_nodes" / pack_name if pack_name else None
        if self.pack is not None:
            copy_pack(self.pack)
        self.log = base / "host.log"
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address of the user interface."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, *extra: str, timeout: float = 180.0) -> float:
        """Start and wait until it answers; returns the seconds that took."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        begin = time.monotonic()
        command = test_host.comfyui_command(self.base, self.port, "--cpu", *extra)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=test_host.COMFYUI, stdout=log, stderr=log)
        while time.monotonic() - begin < timeout:
            if self._process.poll() is not None:
                raise HostError(f"ComfyUI ended at start:\n{self.log_text()[-4000:]}")
            try:
                self.get("/system_stats")
            except OSError:
                time.sleep(0.05)
            else:
                return time.monotonic() - begin
        self.stop()
        raise HostError(f"ComfyUI did not answer within {timeout:.0f} s:\n{self.log_text()[-4000:]}")

    def stop(self) -> None:
        """End the process."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def log_text(self) -> str:
        """All that the host wrote."""
        return self.log.read_text(errors="replace") if self.log.is_file() else ""

    def get(self, path: str) -> Any:
        """GET and parse JSON."""
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def get_bytes(self, path: str) -> tuple[bytes, str]:
        """GET raw bytes and their content type."""
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return answer.read(), answer.headers.get_content_type()

    def post(self, path: str, body: Any) -> Any:
        """POST JSON; the answer's JSON or None.

        Raises:
            HostError: the host refused; `body` holds its reasons.
        """
        data = json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            reasons = json.loads(text) if text.startswith("{") else text
            raise HostError(f"{path}: HTTP {error.code}: {text[:2000]}", reasons) from error
        return json.loads(text) if text else None

    def queue(self, prompt: dict[str, Any]) -> str:
        """Queue a prompt in API format; its id."""
        return self.post("/prompt", {"prompt": prompt, "client_id": self.client_id})["prompt_id"]

    def interrupt(self) -> None:
        """Ask the running prompt to stop."""
        self.post("/interrupt", {})

    def wait(self, prompt_id: str, timeout: float = 300.0) -> RunResult:
        """Wait until a queued prompt has ended."""
        begin = time.monotonic()
        while time.monotonic() - begin < timeout:
            entry = self.get(f"/history/{prompt_id}").get(prompt_id)
            if entry is not None:
                return _result(entry)
            time.sleep(0.05)
        raise HostError(f"the prompt did not end within {timeout:.0f} s:\n{self.log_text()[-2000:]}")

    def run(self, prompt: dict[str, Any], timeout: float = 300.0) -> RunResult:
        """Queue and wait."""
        return self.wait(self.queue(prompt), timeout)

    def output_file(self, shown: dict[str, str]) -> Path:
        """The file behind an entry of a node's output."""
        return self.base / shown["type"] / shown["subfolder"] / shown["filename"]


def _result(entry: dict[str, Any]) -> RunResult:
    messages = dict(entry["status"]["messages"])
    failure = messages.get("execution_error", {})
    return RunResult(
        ok=entry["status"]["status_str"] == "success",
        outputs=entry["outputs"],
        cached=set(messages.get("execution_cached", {}).get("nodes", ())),
        error=failure.get("exception_message"),
        error_node=failure.get("node_type"),
        interrupted="execution_interrupted" in messages,
    )


@contextmanager
def running_host(base: Path, **options: Any) -> Iterator[HostSession]:
    """A host that is stopped at the end, whatever happens."""
    session = HostSession(base, **options)
    session.start()
    try:
        yield session
    finally:
        session.stop()
