"""Results of several sessions in one file."""

from __future__ import annotations

import json

from benchmarks import agreement, kept, throughput


def test_rows_of_now_replace_their_own_and_leave_the_others(tmp_path):
    file = tmp_path / "found.json"
    file.write_text(json.dumps({"machine": "old", "rows": [{"name": "b", "x": 1}, {"name": "a", "x": 1}]}))
    rows = kept.merged(kept.rows(file), [{"name": "b", "x": 2, "machine": "new"}], ["name"], ["a", "b"])
    kept.write(file, {"rows": rows})
    assert kept.rows(file) == [
        {"machine": "old", "name": "a", "x": 1},
        {"machine": "new", "name": "b", "x": 2},
    ]
    assert kept.machines({"rows": rows}) == "old; new"
    assert [part.name for part in tmp_path.iterdir()] == ["found.json"]


def test_machines_are_named_once_with_their_loads():
    rows = [{"machine": f"one, 2 cores, load {load}, fast"} for load in (3.0, 1.5, 2.0)]
    found = {"machine": "two, load 4.0", "rows": [*rows, {}]}
    assert kept.machines(found) == "one, 2 cores, load 1.5 to 3.0, fast; two, load 4.0"


def test_a_small_campaign_replaces_a_large_one_only_where_it_contradicts(tmp_path):
    file = tmp_path / "agreement.json"

    def row(model: str, samples: int, contradictions: int = 0) -> dict[str, object]:
        inputs = {"inputs": [0, 50], "points": samples}
        return {"model": model, **inputs, "samples": samples, "contradictions": contradictions}

    agreement.keep(file, [row("acasxu_1_1", 100), row("mnist_tiny_20", 100)])
    agreement.keep(file, [row("mnist_tiny_20", 10)])
    agreement.keep(file, [row("acasxu_1_1", 10, contradictions=1)])
    assert kept.rows(file) == [row("mnist_tiny_20", 100), row("acasxu_1_1", 10, contradictions=1)]


def test_throughput_on_other_inputs_or_batches_begins_anew(tmp_path):
    file = tmp_path / "throughput.json"

    def row(name: str, *sizes: int) -> dict[str, object]:
        return {"network": name, "per_second": dict.fromkeys(sizes, 1.0)}

    throughput.keep(file, [row("acasxu_1_1", 1, 4)], 64)
    throughput.keep(file, [row("mnist_tiny_20", 1, 4)], 64)
    assert [one["network"] for one in kept.rows(file)] == ["mnist_tiny_20", "acasxu_1_1"]
    throughput.keep(file, [row("mnist_tiny_20", 1, 8)], 64)
    throughput.keep(file, [row("acasxu_1_1", 1, 8)], 32)
    assert [one["network"] for one in kept.rows(file)] == ["acasxu_1_1"]
