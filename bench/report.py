"""Results for programs (``NAME.json``) and for people (a table; the chart is ``bench.chart``'s)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from bench import chart
from bench.measures import Measure, Results, System

#: Of a table that fits a terminal.
MOST_COLUMNS = 6


def write(results: Results, machine: Mapping[str, str | int | float], at: datetime, folder: Path) -> list[Path]:
    """Write ``NAME.json`` and ``NAME.svg`` into the folder, made if need be; returns both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    data, picture = folder / f"{results.benchmark}.json", folder / f"{results.benchmark}.svg"
    text = json.dumps(as_dict(results, machine, at), indent=1, ensure_ascii=False)
    data.write_text(text + "\n", encoding="utf-8")
    picture.write_text(chart.draw(results, caption(results, machine, at)), encoding="utf-8")
    return [data, picture]


def as_dict(results: Results, machine: Mapping[str, str | int | float], at: datetime) -> dict[str, Any]:
    """Everything measured; ``ratio`` is to the baseline, and None where the baseline was not measured."""
    return {
        "benchmark": results.benchmark,
        "title": results.title,
        "date": at.date().isoformat(),
        "machine": dict(machine),
        "versions": dict(sorted(results.versions.items())),
        "parameters": dict(results.parameters),
        "notes": list(results.notes),
        "baseline": results.baseline,
        "measures": {
            m.key: {"title": m.title, "unit": m.unit, "more_is_better": m.more_is_better} for m in results.measures
        },
        "systems": {s.key: _system(results, s) for s in results.systems},
    }


def _system(results: Results, system: System) -> dict[str, Any]:
    found = {m.key: _measured(results, system, m) for m in results.measures if results.of(system.key, m.key)}
    return {"label": system.label, "note": system.note, "measured": found}


def _measured(results: Results, system: System, measure: Measure) -> dict[str, Any]:
    median, ratio = results.median(system.key, measure.key), results.ratio(system.key, measure.key)
    assert median is not None
    return {
        "median": _significant(median),
        "ratio": None if ratio is None else round(ratio, 2),
        "samples": [_significant(sample) for sample in results.of(system.key, measure.key)],
    }


def _significant(value: float) -> float:
    """Four digits: more would be noise."""
    return float(f"{value:.4g}")


def caption(results: Results, machine: Mapping[str, str | int | float], at: datetime) -> str:
    where = f"{machine['cores']} cores, {machine['system']}, Python {machine['python']}"
    rounds = results.parameters["repeat"]
    return f"Medians of {rounds} rounds on {where}; {at.date().isoformat()}. {_legend(results)}".rstrip()


def table(results: Results) -> Table:
    """Medians with the ratio to the baseline behind each; a row for each system, or for each of many measures."""
    shown = Table(title=results.title, box=box.SIMPLE_HEAD, caption=_legend(results))
    shown.add_column("", no_wrap=True)
    if len(results.measures) > MOST_COLUMNS:
        return _with_rows_of_measures(shown, results)
    for measure in results.measures:
        shown.add_column(f"{measure.title}, {measure.unit}", justify="right", min_width=11)
    for system in results.systems:
        style = "bold" if system.is_ours else ""
        shown.add_row(system.label, *(_cell(results, system, m) for m in results.measures), style=style)
    return shown


def _with_rows_of_measures(shown: Table, results: Results) -> Table:
    for system in results.systems:
        shown.add_column(system.label, justify="right", min_width=11)
    for measure in results.measures:
        shown.add_row(f"{measure.title}, {measure.unit}", *(_cell(results, s, measure) for s in results.systems))
    return shown


def _cell(results: Results, system: System, measure: Measure) -> str:
    median, ratio = results.median(system.key, measure.key), results.ratio(system.key, measure.key)
    if median is None:
        return "–"
    behind = "" if ratio is None or system.key == results.baseline else f" {ratio:.2f}×"
    return chart.number(median) + behind


def _legend(results: Results) -> str:
    """Empty where the baseline was not measured: there are no ratios then."""
    labels = [system.label for system in results.systems if system.key == results.baseline]
    return f"× is the ratio to {labels[0]}." if labels else ""
