"""JUnit XML, as every CI system shows it: one test case per input and job."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urljoin
from xml.etree import ElementTree

from glocert_client.titles import describe_request

# XML 1.0 has no way at all to write these; text of users and services may contain them.
UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Undecided = Literal["skip", "fail"]


@dataclass(frozen=True, slots=True)
class Suite:
    """One job and its rows.

    Attributes:
        job: the document of the API.
        rows: its results.
        name: what the test cases are filed under: the model's name.
        url: address of the job.
    """

    job: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    name: str
    url: str


def write(suites: Iterable[Suite], *, undecided: Undecided) -> bytes:
    """Return the document.

    Falsified inputs are failures, skipped ones are skipped; a job without an answer adds an error.

    Args:
        suites: the jobs.
        undecided: whether an undecided input is a skipped test or a failed one.
    """
    root = ElementTree.Element("testsuites", {"name": "glocert"})
    total: Counter[str] = Counter()
    for suite in suites:
        element, counts = _suite(suite, undecided)
        root.append(element)
        total.update(counts)
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(total[name]))
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _suite(suite: Suite, undecided: Undecided) -> tuple[ElementTree.Element, Counter[str]]:
    asked = describe_request(suite.job["request"])
    element = ElementTree.Element("testsuite", {"name": _clean(f"{suite.name} {asked}")})
    properties = ElementTree.SubElement(element, "properties")
    for name, value in _properties(suite).items():
        ElementTree.SubElement(properties, "property", {"name": name, "value": _clean(str(value))})
    counts: Counter[str] = Counter()
    for row in suite.rows:
        outcome = _case(element, suite, asked, row, undecided)
        counts.update(["tests", outcome] if outcome else ["tests"])
    if suite.job["status"] != "succeeded":
        _error(element, suite)
        counts.update(["tests", "errors"])
    for name in ("tests", "failures", "errors", "skipped"):
        element.set(name, str(counts[name]))
    element.set("time", f"{sum(row.get('seconds', 0.0) for row in suite.rows):.3f}")
    return element, counts


def _properties(suite: Suite) -> dict[str, Any]:
    summary = suite.job.get("summary") or {}
    members = {
        "job": suite.url,
        "arithmetic": summary.get("arithmetic"),
        "clean_accuracy": summary.get("clean_accuracy"),
        "certified_rate": summary.get("certified_rate"),
    }
    return {name: value for name, value in members.items() if value is not None}


def _case(
    parent: ElementTree.Element, suite: Suite, asked: str, row: Mapping[str, Any], undecided: Undecided
) -> str:
    """Add the case of one row and return what it counts as, or nothing for a passed one."""
    label = row["predicted"] if row["label"] is None else row["label"]
    kept = "outputs" if label is None else f"label {label}"
    name = f"{asked} input {row['index']} ({kept})"
    case = ElementTree.SubElement(
        parent, "testcase",
        {"classname": _clean(suite.name), "name": _clean(name), "time": f"{row.get('seconds', 0.0):.3f}"},
    )  # fmt: skip
    match row["verdict"]:
        case "certified":
            return ""
        case "falsified":
            failure = _child(case, "failure", "falsified", describe_counterexample(row))
            if image := (row.get("counterexample") or {}).get("image"):
                failure.text = _clean(f"{failure.text}\n{urljoin(suite.url, image)}")
            return "failures"
        case "undecided" if undecided == "fail":
            _child(case, "failure", "undecided", describe_reason(row))
            return "failures"
        case verdict:
            _child(case, "skipped", str(verdict), f"{verdict}: {describe_reason(row)}")
            return "skipped"


def describe_counterexample(row: Mapping[str, Any]) -> str:
    """Say in one sentence where a falsified input breaks."""
    found = row.get("counterexample") or {}
    reached = row.get("certified_to") or {}
    if row["label"] is None:
        sentence = "an output leaves its band"
    else:
        sentence = f"classified {found.get('predicted', '?')} instead of {row['label']}"
    if found.get("parameters"):
        sentence += f" at {describe_parameters(found['parameters'], 6)}"
    elif "value" in found:
        sentence += (
            f" at {found['value']:.6g} {reached.get('unit', '')}".rstrip() + f" (t = {found['t']:.6g})"
        )
    if found.get("confirmed_in"):
        sentence += f", confirmed in {' and '.join(found['confirmed_in'])}"
    return sentence


def describe_parameters(parameters: Sequence[Mapping[str, Any]], digits: int) -> str:
    """Write the parameters of several mutations at once."""
    return ", ".join(f"{one['type']} {one['value']:.{digits}g} {one['unit']}" for one in parameters)


def describe_reason(row: Mapping[str, Any]) -> str:
    """Say why an input has no proof either way, and what can be done."""
    parts = (str(row.get("reason") or "no reason given"), str(row.get("next_step") or ""))
    return "; ".join(part for part in parts if part)


def _error(parent: ElementTree.Element, suite: Suite) -> None:
    problem = suite.job.get("error") or {}
    case = ElementTree.SubElement(
        parent, "testcase", {"classname": _clean(suite.name), "name": "job", "time": "0.000"}
    )
    code = str(problem.get("type") or suite.job["status"]).rsplit("/", 1)[-1]
    _child(case, "error", code, str(problem.get("detail") or f"the job was {suite.job['status']}"))


def _child(parent: ElementTree.Element, tag: str, kind: str, message: str) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, tag, {"type": _clean(kind), "message": _clean(message)})
    element.text = _clean(message)
    return element


def _clean(text: str) -> str:
    return UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)
