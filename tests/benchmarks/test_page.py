"""The page of measurements says what the files of results say."""

from __future__ import annotations

from benchmarks import page, page_engine


def test_the_page_and_its_pictures_are_current(tmp_path, monkeypatch):
    kept = {file.name: file.read_text() for file in page_engine.IMAGES.glob("engine-*.svg")}
    monkeypatch.setattr(page_engine, "IMAGES", tmp_path)
    assert page.text() == page.PAGE.read_text(), "run `python -m benchmarks.page`"
    assert {file.name: file.read_text() for file in tmp_path.glob("*.svg")} == kept
