"""What the host lists: every node, described for people."""

from __future__ import annotations

import re

import pytest

DESIGNED = {
    "LoadPanorama",
    "Build3DCache",
    "TrajectoryFromKeyframes",
    "RenderERPScaffold",
    "PantheonModelLoader",
    "PantheonSampler",
    "DualAnchorLatentFusion",
    "SaveERPVideo",
}


@pytest.fixture(scope="module")
def ours(host):
    listed = host.get("/object_info")
    return {name: node for name, node in listed.items() if node["category"].startswith("Pantheon360/")}


def test_every_designed_node_is_there_and_others_carry_the_prefix(ours):
    assert set(ours) >= DESIGNED
    assert all(name.startswith("Pantheon") for name in set(ours) - DESIGNED)


def test_every_input_and_output_has_a_tooltip(ours):
    for name, node in ours.items():
        assert node["description"], name
        inputs = {**node["input"].get("required", {}), **node["input"].get("optional", {})}
        for key, (_kind, options) in inputs.items():
            assert options.get("tooltip"), f"{name}.{key}"
        assert len(node["output_tooltips"]) == len(node["output"])
        assert all(node["output_tooltips"]), name


def test_every_node_has_a_help_page(ours, host):
    for name in ours:
        page, _ = host.get_bytes(f"/extensions/{host.pack.name}/docs/{name}/en.md")
        text = page.decode()
        assert len(text) > 200, name
        assert text.startswith("# "), name


def test_sockets_are_the_packs_own_types(ours):
    kinds = {kind for node in ours.values() for kind in node["output"] if isinstance(kind, str)}
    assert kinds >= {
        "PANTHEON_PANORAMA",
        "PANTHEON_CACHE",
        "PANTHEON_TRAJECTORY",
        "PANTHEON_SCAFFOLD",
        "PANTHEON_MODEL",
        "PANTHEON_FUSION",
    }


def test_sample_panoramas_are_in_the_list(ours, host):
    options = ours["LoadPanorama"]["input"]["required"]["image"][1]
    assert "pantheon360/hotel_room.jpg" in options["options"]
    assert options["default"] in options["options"]
    picture, kind = host.get_bytes("/view?type=input&subfolder=pantheon360&filename=hotel_room.jpg")
    assert kind == "image/jpeg"
    assert picture[:2] == b"\xff\xd8"


def test_the_pack_adds_little_to_the_start(host):
    found = re.search(rf"([\d.]+) seconds: .*{re.escape(host.pack.name)}\n", host.log_text())
    assert found, "the host did not report how long the pack took"
    # 0.1 s on a free machine; this is for a busy one.
    assert float(found[1]) < 2.0


def test_the_host_imported_the_pack_without_complaint(host):
    assert "IMPORT FAILED): " not in host.log_text()


def test_templates_are_listed_with_thumbnails(host):
    listed = host.get("/workflow_templates")[host.pack.name]
    assert {"01_walk_from_one_photo", "02_between_two_panoramas", "03_scaffold_for_other_models"} <= set(
        listed
    )
    for name in listed:
        thumbnail, kind = host.get_bytes(f"/api/workflow_templates/{host.pack.name}/{name}.jpg")
        assert kind == "image/jpeg"
        assert len(thumbnail) > 5000
