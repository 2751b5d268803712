"""Every benchmark runs and finds figures that can be shown; how fast anything is, is not asked."""

import json
from pathlib import Path

import pytest
from benchmarks.__main__ import main
from benchmarks.context import Context
from benchmarks.figures import Figure, Report, at_least, less_than, none_at_all
from benchmarks.peers import PEERS
from benchmarks.registry import BENCHMARKS
from benchmarks.timing import fit_line, median, percentile

# What each must tell, by the beginning of the figure's name.
EXPECTED = {
    "start": ["first start", "later start", "bare FastAPI", "resident memory"],
    "overhead": ["run of 1", "run of 3", "run of 6", "overhead of a run", "overhead of a model"],
    "crews": ["a crew", "a task of a crew", "crews a second", "most crews at once"],
    "steps": [
        "sqlite, 1 process: Muster",
        "sqlite, 1 process: DBOS",
        "sqlite, 1 process: Muster to",
    ],
    "journal": ["sqlite: bare", "sqlite: 1 writer", "sqlite: 16 writers", "sqlite: 64 writers"],
    "reading": ["sqlite: list of runs", "sqlite: list of failed", "sqlite: trace of a run"],
    "live": ["5 events to 10 subscribers"],
    "logs": ["sqlite, 16 clients", "sqlite, 50 posts at once"],
    "gate": ["model call", "tool call", "approved tool call"],
    "policies": ["100 policies, 50 steps", "100 policies, 100 steps", "growth"],
}


def test_every_benchmark_is_tried() -> None:
    assert list(EXPECTED) == list(BENCHMARKS)


@pytest.mark.repeats
@pytest.mark.anyio
@pytest.mark.parametrize("name", EXPECTED)
async def test_a_benchmark_finds_its_figures(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.peers.FOLDER", tmp_path / "no-peers")
    context = Context(size="tiny", databases=("sqlite",), folder=tmp_path)
    report = await BENCHMARKS[name](context)
    assert report.name == name
    names = [figure.name for figure in report.figures]
    for beginning in EXPECTED[name]:
        assert any(each.startswith(beginning) for each in names), (beginning, names)
    assert len(set(names)) == len(names)
    assert all(figure.unit and figure.shown for figure in report.figures)
    if name in {"overhead", "crews"}:
        assert report.notes == [
            f"{peer.title}: not installed: run with --with-peers" for peer in PEERS
        ]
    if name == "live":
        assert [f.value for f in report.figures if f.name.endswith("lost")] == [0, 0]
    if name == "logs":
        assert [f.value for f in report.figures if f.unit == "breaks"] == [0]


def test_verdicts() -> None:
    def verdict(value: float) -> str:
        return Figure(name="a", value=value, unit="ms", bar=less_than(15)).verdict

    assert verdict(14.9) == "meets the bar"
    assert verdict(15.0) == "misses the bar by 0 ms"
    assert verdict(18.25) == "misses the bar by 3.25 ms"
    slow = Figure(name="a", value=150, unit="/s", bar=at_least(200))
    assert (slow.met, slow.verdict, slow.shown_bar) == (
        False,
        "misses the bar by 50.0 /s",
        "≥ 200 /s",
    )
    lost = Figure(name="a", value=0, unit="messages", bar=none_at_all())
    assert (lost.met, lost.shown_bar) == (True, "= 0 messages")
    free = Figure(name="a", value=1234.5, unit="µs")
    assert (free.met, free.verdict, free.shown_bar, free.shown) == (None, "", "", "1,234 µs")


def test_arithmetic() -> None:
    values = list(range(1, 101))
    assert [percentile(values, p) for p in (50, 99, 100)] == [50, 99, 100]
    assert percentile([7.0], 50) == 7
    assert median([3, 1, 2]) == 2
    assert fit_line([(1, 12.0), (3, 16.0), (6, 22.0)]) == pytest.approx((10.0, 2.0))


def test_the_command_writes_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def measure(context: Context) -> Report:
        context.say("measuring")
        report = Report(name="gate", title="The gate", how="By asking it.", notes=["A note."])
        report.add("decision", 300.0, "µs", less_than(296))
        return report

    async def broken(_: Context) -> Report:
        raise RuntimeError("it broke")

    monkeypatch.setitem(BENCHMARKS, "gate", measure)
    page, data = tmp_path / "benchmarks.md", tmp_path / "found.json"
    arguments = ["gate", "--quick", "--json", str(data), "--markdown", str(page)]
    assert main(arguments) == 0
    assert main([*arguments, "--strict"]) == 1
    assert "misses the bar by 4.00 µs" in capsys.readouterr().out
    found = json.loads(data.read_text(encoding="utf-8"))
    assert found["machine"]["cores"] >= 1
    (benchmark,) = found["benchmarks"]
    assert benchmark["figures"][0]["met"] is False
    text = page.read_text(encoding="utf-8")
    assert "| decision | 300 µs | < 296 µs | misses the bar by 4.00 µs |" in text
    assert "load average" in text
    monkeypatch.setitem(BENCHMARKS, "start", broken)
    assert main(["start", "gate", "--json", str(data)]) == 1
    assert "it broke" in capsys.readouterr().out
    found = json.loads(data.read_text(encoding="utf-8"))["benchmarks"]
    assert [len(each["figures"]) for each in found] == [0, 1]
    with pytest.raises(SystemExit):
        main(["no-such-benchmark"])
    with pytest.raises(SystemExit):
        main(["--database", "oracle"])
