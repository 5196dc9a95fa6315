"""A real Chromium on the host's real frontend. Needs Playwright: run with the host's environment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import test_host

if TYPE_CHECKING:
    from host_session import HostSession
    from playwright.sync_api import Page

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
# A new user is greeted with dialogs that would lie over the graph.
_SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Notification.ShowVersionUpdates": False,
    "Comfy.Workflow.WarnBlueprintOverwrite": False,
    "Comfy.Workflow.Persist": False,
}
READY_JS = """() => Boolean(
  window.app?.graph && window.app?.extensionManager && window.LiteGraph?.registered_node_types?.SaveERPVideo
)"""
_TIMEOUT_MS = 240_000

LOAD_JS = """async (workflow) => { await window.app.loadGraphData(workflow); }"""
PROMPT_JS = """async (workflow) => {
  await window.app.loadGraphData(workflow);
  return (await window.app.graphToPrompt()).output;
}"""


@contextmanager
def open_frontend(session: HostSession, *, vue_nodes: bool = False) -> Iterator[Page]:
    """The frontend's page, loaded and without the dialogs that greet new users."""
    from playwright.sync_api import sync_playwright

    for name, value in {**_SETTINGS, "Comfy.VueNodes.Enabled": vue_nodes}.items():
        session.post(f"/settings/{name}", value)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=test_host.find_chromium(), args=_ARGUMENTS)
        try:
            page = browser.new_page(viewport={"width": 1920, "height": 1080})
            page.set_default_timeout(_TIMEOUT_MS)
            page.goto(session.url, wait_until="domcontentloaded")
            page.wait_for_function(READY_JS)
            yield page
        finally:
            browser.close()


def to_prompts(page: Page, workflows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Workflows in the API's format, converted by the frontend itself."""
    return {name: page.evaluate(PROMPT_JS, workflow) for name, workflow in workflows.items()}


def read_workflows() -> dict[str, dict[str, Any]]:
    """The example workflows by name."""
    folder = test_host.ROOT / "example_workflows"
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
