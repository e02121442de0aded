"""The settings, ``.env.example`` and the table of docs/operations.md name the same things and defaults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

from app.settings import Settings

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / ".env.example"
TABLE = ROOT / "docs/operations.md"
FIELDS = Settings.model_fields


def row(name: str, field: FieldInfo) -> str:
    default = str(field.default)
    return f"| `GLOCERT_{name.upper()}` | {f'`{default}`' if default else ''} | {field.description} |"


def example() -> dict[str, str]:
    lines = [line for line in EXAMPLE.read_text().splitlines() if line.startswith("GLOCERT_")]
    return dict(line.split("=", 1) for line in lines)


def test_the_example_lists_the_settings_with_their_defaults():
    expected = {f"GLOCERT_{name.upper()}": str(field.default) for name, field in FIELDS.items()}
    assert example() == expected


def test_the_example_is_read_as_the_defaults(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    defaults = Settings()
    for name, value in example().items():
        monkeypatch.setenv(name, value)
    assert Settings().model_dump(exclude={"data_dir"}) == defaults.model_dump(exclude={"data_dir"})
    assert Settings().data_dir == tmp_path / ".glocert"


@pytest.mark.parametrize(("name", "field"), FIELDS.items(), ids=FIELDS)
def test_the_operators_table_has_the_row(name, field):
    assert row(name, field) in TABLE.read_text().splitlines()


def test_the_operators_table_has_no_other_row():
    rows = re.findall(r"^\| `(GLOCERT_\w+)` \|", TABLE.read_text(), flags=re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert set(rows) == {f"GLOCERT_{name.upper()}" for name in FIELDS}


def test_every_setting_is_described():
    assert [name for name, field in FIELDS.items() if not field.description] == []
