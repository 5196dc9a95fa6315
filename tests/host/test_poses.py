"""Estimate Poses in the host: the places of two pictures found anew, and the cache made of them."""

from __future__ import annotations

import importlib.util

import pytest


def prompt(**change):
    """Two panoramas of a made-up room, their poses, their cache."""
    return {
        "pair": {
            "class_type": "PantheonSyntheticPanoramas",
            "inputs": {"kind": "room", "scene_seed": 3, "height": 256, "reach": 2.0},
        },
        "poses": {
            "class_type": "PantheonEstimatePoses",
            "inputs": {
                "panoramas": ["pair", 0],
                "method": "given places",
                "distances": "auto",
                "first_to_second": 0.0,
                **change,
            },
        },
        "cache": {
            "class_type": "Build3DCache",
            "inputs": {
                "panoramas": ["poses", 0],
                "backend": "auto",
                "scale": 1.0,
                "confidence": 0.25,
                "sky": True,
                "edge_step": 0.05,
                "depth_kind": "inverse distance",
            },
        },
        "show": {"class_type": "PreviewImage", "inputs": {"images": ["cache", 1]}},
    }


def report_of(result):
    (text,) = result.outputs["poses"]["text"]
    return text


@pytest.mark.skipif(importlib.util.find_spec("pycolmap") is None, reason="pycolmap is not installed")
def test_places_are_found_from_the_pictures(host):
    result = host.run(prompt(method="from the pictures"))
    assert result.ok, result.error
    assert "2 of 2 panoramas placed (sfm), distances in metres" in report_of(result)
    assert len(result.outputs["show"]["images"]) == 2


def test_given_places_are_kept_and_checked(host):
    result = host.run(prompt(distances="none"))
    assert result.ok, result.error
    assert "2 of 2 panoramas placed (given)" in report_of(result)


def test_a_missing_record_of_gps_is_said(host):
    result = host.run(prompt(method="GPS and compass"))
    assert not result.ok
    assert "records latitude, longitude and heading" in str(result.error)
