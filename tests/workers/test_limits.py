"""Every limit of an inspection is a setting, and reaches the child."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from app.settings import Settings
from app.storage import BlobStore
from glocert.graph.limits import SETTINGS, Limits
from models import Network
from workers import briefs


def test_limits_and_settings_are_the_same_with_the_same_defaults() -> None:
    settings, limits = Settings(), Limits()
    assert set(SETTINGS) == {field.name for field in fields(Limits)}
    assert {name: getattr(settings, setting) for name, setting in SETTINGS.items()} == {
        name: getattr(limits, name) for name in SETTINGS
    }


def test_the_command_holds_the_limits_and_the_purpose(tmp_path: Path) -> None:
    changed = {setting: 7 + number for number, setting in enumerate(sorted(SETTINGS.values()))}
    settings = Settings(data_dir=tmp_path, **changed)
    network = Network(sha256="0" * 64, role="regressor", output="1", threshold=None, decision="max")
    command = briefs._inspect_network(network, settings, BlobStore(tmp_path), tmp_path)
    assert command is not None
    assert Limits(**command["limits"]) == Limits(**{name: changed[SETTINGS[name]] for name in SETTINGS})
    assert command["purpose"] == {"role": "regressor", "threshold": None, "decision": "max"}
    assert command["output"] == "1"
