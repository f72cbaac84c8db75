"""The benchmarks' statistics, result files and chart; and one real run, short, of the platform alone."""

from __future__ import annotations

import json
import re
import signal
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import __main__ as command
from bench import chart, entrants, jobs, machine, report
from bench.measures import Measure, Results, System, percentile
from tests.processes import ROOT, Program, environment, run
from tests.waiting import eventually

MACHINE: dict[str, str | int | float] = {"cores": 2, "system": "Linux x86_64", "python": "3.11.7", "load": 0.1}
AT = datetime(2026, 11, 22, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def results() -> Results:
    """Two systems and two rounds; the second measure is the baseline's alone."""
    made = Results(
        benchmark="letters",
        title="Letters & more",
        measures=[Measure("sent", "Sent", "letters/s", True), Measure("late", "Late", "ms", False)],
        systems=[System("ours", "ours", "with stamps", is_ours=True), System("post", "Post", "by coach")],
        baseline="post",
        parameters={"repeat": 2, "letters": 10},
        versions={"post": "1.0", "ours": "2.0"},
    )
    made.add("ours", {"sent": 3000.0})
    made.add("post", {"sent": 1000.0, "late": 1.23456})
    made.add("post", {"sent": 500.0, "late": 2.5})
    made.add("ours", {"sent": 1000.0})
    return made


def texts(svg: str) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def widths(svg: str) -> list[float]:
    bars = ElementTree.fromstring(svg).iter(f"{SVG}rect")
    return [float(bar.attrib["width"]) for bar in bars if "bar" in bar.attrib["class"]]


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (99, 99), (99.5, 100), (100, 100), (0, 1)])
def test_a_percentile_is_a_sample_that_was_seen(percent: float, expected: float) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == expected


def test_a_percentile_of_one_sample_is_that_sample() -> None:
    assert percentile([7.0], 99) == 7.0


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 50)


def test_a_ratio_is_that_of_the_medians(results: Results) -> None:
    assert results.ratio("ours", "sent") == 2000 / 750
    assert results.ratio("post", "sent") == 1


def test_what_one_of_the_two_did_not_do_has_no_ratio(results: Results) -> None:
    results.add("ours", {"seals": 3.0})
    assert results.ratio("ours", "seals") is None
    assert results.ratio("ours", "late") is None


def test_medians_are_of_each_system_and_measure(results: Results) -> None:
    assert (results.median("ours", "sent"), results.median("post", "sent")) == (2000, 750)
    assert results.median("ours", "late") is None


def test_the_file_holds_every_sample(results: Results, tmp_path: Path) -> None:
    data, _ = report.write(results, MACHINE, AT, tmp_path / "new")
    kept = json.loads(data.read_text())
    assert kept["systems"]["ours"]["measured"] == {
        "sent": {"median": 2000.0, "ratio": 2.67, "samples": [3000.0, 1000.0]}
    }
    assert kept["systems"]["post"]["measured"]["late"]["samples"] == [1.235, 2.5]


def test_the_file_says_what_was_measured_on_what_and_when(results: Results) -> None:
    kept = report.as_dict(results, MACHINE, AT)
    assert (kept["benchmark"], kept["date"], kept["baseline"]) == ("letters", "2026-11-22", "post")
    assert (kept["machine"], kept["versions"]) == (MACHINE, {"ours": "2.0", "post": "1.0"})
    assert (kept["parameters"], kept["measures"]["late"]["more_is_better"]) == ({"repeat": 2, "letters": 10}, False)


def test_the_machine_is_described_without_a_name() -> None:
    assert set(machine.describe()) == {"cores", "system", "python", "load"}


def test_the_table_has_a_row_for_each_system(results: Results) -> None:
    shown = report.table(results)
    assert [list(column.cells) for column in shown.columns] == [
        ["ours", "Post"],
        ["2 000 2.67×", "750"],
        ["–", "1.87"],
    ]


def test_many_measures_have_a_row_each(results: Results) -> None:
    results.measures = [*results.measures, *(Measure(f"m{n}", "More", "s", True) for n in range(report.MOST_COLUMNS))]
    shown = report.table(results)
    cells = [list(column.cells)[:2] for column in shown.columns]
    assert cells == [["Sent, letters/s", "Late, ms"], ["2 000 2.67×", "–"], ["750", "1.87"]]


def test_ratios_are_explained_where_there_are_any(results: Results) -> None:
    assert report.caption(results, MACHINE, AT).endswith("2026-11-22. × is the ratio to Post.")
    results.systems = results.systems[:1]
    assert report.caption(results, MACHINE, AT).endswith("2026-11-22.")


def test_the_longest_bar_fills_its_panel_and_the_others_are_in_proportion(results: Results) -> None:
    ours, post, late = widths(chart.draw(results, "caption"))
    assert post / ours == pytest.approx(750 / 2000, rel=0.01)
    assert late == ours


def test_the_chart_says_what_its_bars_mean(results: Results) -> None:
    shown = texts(chart.draw(results, "seen & done"))
    assert {"Letters & more", "Sent", "letters/s, more is better", "ms, less is better", "seen & done"} <= set(shown)
    assert "2 000  2.67×" in shown


def test_the_chart_stays_inside_its_frame(results: Results) -> None:
    root = ElementTree.fromstring(chart.draw(results, "a long caption " * 40))
    height = float(root.attrib["viewBox"].split()[3])
    assert max(float(node.attrib["y"]) for node in root.iter(f"{SVG}text")) < height


def test_the_chart_is_readable_on_dark_pages(results: Results) -> None:
    svg = chart.draw(results, "caption")
    assert "prefers-color-scheme: dark" in svg
    assert 'class="page"' in svg


@pytest.mark.parametrize(("value", "shown"), [(12345.6, "12 346"), (99.94, "99.9"), (1.005, "1.00"), (0, "0.00")])
def test_numbers_have_the_digits_they_deserve(value: float, shown: str) -> None:
    assert chart.number(value) == shown


@pytest.mark.parametrize(
    "arguments", [["sockets!"], ["--jobs", "0"], ["--repeat", "many"], ["jobs", "--systems", "carrier-pigeon"]]
)
def test_wrong_usage_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        command.main(arguments)
    assert left.value.code == 2
    assert arguments[-1] in capsys.readouterr().err


def test_in_every_round_every_system_has_its_turn_and_another_begins() -> None:
    order = [(number, entrant.system.key) for number, entrant in entrants.schedule(jobs.ENTRANTS[:3], 3)]
    first, second, third = order[:3], order[3:6], order[6:]
    assert {key for _, key in first} == {key for _, key in second} == {key for _, key in third}
    assert len({first[0][1], second[0][1], third[0][1]}) == 3
    assert [number for number, _ in order] == [1, 1, 1, 2, 2, 2, 3, 3, 3]


def pins(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))


def test_peers_run_on_the_versions_the_platform_runs_on() -> None:
    """Else the comparison would be one of Redis clients."""
    ours, theirs = pins("requirements.lock"), pins("bench/requirements.lock")
    assert {name: theirs[name] for name in ("celery", "kombu", "redis")} == {
        name: ours[name] for name in ("celery", "kombu", "redis")
    }


def test_the_lock_of_the_peers_names_no_host_and_hashes_everything() -> None:
    text = (ROOT / "bench/requirements.lock").read_text()
    assert "://" not in text
    assert len(pins("bench/requirements.lock")) <= text.count("--hash=sha256:")


@pytest.mark.packaging
def test_a_short_run_of_the_platform_alone(tmp_path: Path) -> None:
    arguments = ["jobs", "--systems", "platform", "--jobs", "20", "--repeat", "1", "--output", tmp_path]
    done = run(sys.executable, "-m", "bench", *arguments)
    assert done.returncode == 0, done.stderr
    measured = json.loads((tmp_path / "jobs.json").read_text())["systems"]["platform"]["measured"]
    assert set(measured) == {"submit", "run", "latency_p50", "latency_p99"}
    assert all(found["median"] > 0 and found["ratio"] is None for found in measured.values())
    assert str(tmp_path) not in (tmp_path / "jobs.json").read_text()


def test_a_short_run_of_routing_alone(tmp_path: Path) -> None:
    arguments = ["--systems", "100", "--jobs", "100", "--repeat", "1", "--output", tmp_path]
    done = run(sys.executable, "-m", "bench", *arguments)
    assert done.returncode == 0, done.stderr
    assert {file.name for file in tmp_path.iterdir()} == {"routing.json", "routing.svg"}
    measured = json.loads((tmp_path / "routing.json").read_text())["systems"]["100"]["measured"]
    assert set(measured) == {"batch", "single", "deliver"}
    assert all(found["median"] > 0 for found in measured.values())


def test_a_short_run_of_many_jobs_at_once(tmp_path: Path) -> None:
    arguments = ["bulk", "--systems", "platform", "--jobs", "2", "--repeat", "2", "--output", tmp_path]
    done = run(sys.executable, "-m", "bench", *arguments)
    assert done.returncode == 0, done.stderr
    kept = json.loads((tmp_path / "bulk.json").read_text())
    measured = kept["systems"]["platform"]["measured"]
    assert (kept["parameters"]["jobs"], set(measured), len(measured["bulk"]["samples"])) == (200, {"bulk", "cpu"}, 2)


@pytest.mark.packaging
def test_a_short_run_of_the_pipeline(tmp_path: Path) -> None:
    """Changes lost, failed or given up as gaps end it with an error."""
    done = run(sys.executable, "-m", "bench", "pipeline", "--jobs", "10", "--repeat", "1", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    measured = {
        key: set(system["measured"])
        for key, system in json.loads((tmp_path / "pipeline.json").read_text())["systems"].items()
    }
    assert measured["create"] == measured["patch"] > {"rate", "cpu_write", "in_write", "in_records"}
    assert measured["http"] == {"rate", "idle_p50", "offered_p50", "offered_p99"}


@pytest.mark.packaging
@pytest.mark.parametrize(
    ("interrupt", "state"), [(signal.SIGTERM, "S"), (signal.SIGINT, "T")], ids=["starting", "frozen"]
)
def test_an_interrupted_run_leaves_nothing_behind(tmp_path: Path, interrupt: signal.Signals, state: str) -> None:
    """While the worker starts, and while it is frozen; the second signal is an impatient one."""
    arguments = ["jobs", "--systems", "platform", "--jobs", "100000", "--output", str(tmp_path / "results")]
    env = environment() | {"TMPDIR": str(tmp_path)}
    with Program([sys.executable, "-m", "bench", *arguments], tmp_path / "log", env) as bench:
        eventually(lambda: state in [found for found, line in processes_in(tmp_path) if "worker" in line], 60)
        bench.signal(interrupt)
        bench.signal(interrupt)
        assert bench.wait(60) == 130, bench.tail()
    eventually(lambda: not processes_in(tmp_path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["log"]


def processes_in(folder: Path) -> list[tuple[str, str]]:
    """State and command line of every program whose working directory or command line is of the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            command = (entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            if (entry / "cwd").readlink().is_relative_to(folder) or str(folder) in command:
                found.append((state, command))
    return [(state, command) for state, command in found if "-m bench " not in command]
