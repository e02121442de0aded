"""The tables of families side by side and of what training data enable, from their results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import fsum
from typing import Any

from experiments.page import table

Result = Mapping[str, Any]


def families(result: Result) -> str:
    """Return a row for every mutation: how strong it is, and what networks keep of it."""
    names = list(result["accuracy"])
    titles = ["family", "mutation", "L2 of the far end", "PSNR, dB", "SSIM",
              *(f"{name}: whole path, lower to upper (certified)" for name in names),
              *(f"{name}: cut at 20 dB" for name in names)]  # fmt: skip
    rows = []
    order = list(dict.fromkeys(row["family"] for row in result["rows"]))
    for row in sorted(result["rows"], key=lambda one: order.index(one["family"])):
        strength, found = row["strength"], [row["networks"][name] for name in names]
        rows.append([
            row["family"], row["title"], f"{strength['length']:.1f}", f"{strength['psnr']:.1f}",
            f"{strength['ssim']:.2f}", *(_mass(one["own"]) for one in found),
            *(f"{_mass(one['equal'])}{_reach(one)}" for one in found),
        ])  # fmt: skip
    return table(titles, rows)


def together(result: Result) -> str:
    """Return the means of the mutations of every family."""
    names = list(result["accuracy"])
    parts = ("whole path", "certified", "cut at 20 dB", "certified")
    columns = [f"{name}: {part}" for name in names for part in parts]
    groups: dict[str, list[Result]] = {}
    for row in result["rows"]:
        groups.setdefault(row["family"], []).append(row)
    rows = []
    for family, members in groups.items():
        cells = [family, f"{len(members)}", f"{_mean([row['strength']['length'] for row in members]):.1f}"]
        for name in names:
            for which in ("own", "equal"):
                cells += _means([row["networks"][name][which] for row in members])
        rows.append(cells)
    return table(["family", "mutations", "L2 of the far end", *columns], rows)


def enabled(result: Result) -> str:
    """Return shares that are explained, by training data and mutation."""
    names = list(result["extents"])
    titles = ["digits varied by", "drawn", "PSNR, dB", *(f"{name}: explained" for name in names)]
    return table(titles, [
        [
            row["augmented"], row["how"], f"{row['psnr']:.1f}",
            *(_pair(row["mutations"][name], "explained", "explained_halfway") for name in names),
        ]
        for row in result["rows"]
    ])  # fmt: skip


def extents(result: Result) -> str:
    """Return how far every mutation goes, with and without augmentation by it."""
    titles = ["mutation", "augmented", "rebuilt up to", "PSNR of the end, dB", "of the middle of codes",
              "of half the mutation, rebuilt", "of the mean of pixels"]  # fmt: skip
    rows = []
    for name, extent in result["extents"].items():
        for row in result["rows"]:
            if row["augmented"] not in {"none", name}:
                continue
            how = "not" if row["augmented"] == "none" else row["how"]
            found = row["mutations"][name]
            rows.append([
                f"{name} by {extent:g}{UNITS[name]}", how, f"{found['reached']:.3g}{UNITS[name]}",
                *(f"{found[which]:.1f}" for which in ("end", "middle", "rebuilt", "blend")),
            ])  # fmt: skip
    return table(titles, rows)


def resolution(result: Result) -> str:
    """Return shares that are explained, by resolution: at the generator's own, and at the finest."""
    sides = sorted({row["side"] for row in result["resolution"]})
    cells: dict[tuple[str, str], dict[int, str]] = {}
    for row in result["resolution"]:
        for name, found in row["shares"].items():
            cells.setdefault((row["data"], name), {})[row["side"]] = _pair(found, "own", "finest")
    titles = ["learned from", "mutation", *(f"{side} x {side}" for side in sides)]
    return table(titles, [[*key, *(found.get(side, "") for side in sides)] for key, found in cells.items()])


UNITS = {"rotation": "°", "translation": " px", "scaling": "", "brightness": ""}


def _mass(found: Result) -> str:
    low, high = (100 * found[side] for side in ("lower", "upper"))
    return f"{low:.2f} to {high:.2f} % ({found['certified']}/{found['paths']})"


def _means(found: Sequence[Result]) -> list[str]:
    """Return the mean robust mass, and the share of paths that are certified, of several mutations."""
    low, high = (100 * _mean([one[side] for one in found]) for side in ("lower", "upper"))
    whole = 100 * _mean([one["certified"] / one["paths"] for one in found])
    return [f"{low:.2f} to {high:.2f} %", f"{whole:.0f} %"]


def _reach(found: Result) -> str:
    """Say how many paths end before the cut."""
    short = found["own"]["paths"] - found["far_enough"]
    return f", {short} end before" if short else ""


def _pair(found: Result, *names: str) -> str:
    return " / ".join(f"{found[name]:.2f}" for name in names)


def _mean(values: Sequence[float]) -> float:
    return fsum(values) / len(values)


TABLES: Mapping[str, Callable[[Result], str]] = {
    "families": together,
    "families.all": families,
    "enabled": enabled,
    "enabled.extents": extents,
    "enabled.resolution": resolution,
}
"""As those of ``experiments.study.page``."""
