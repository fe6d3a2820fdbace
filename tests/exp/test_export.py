"""``python -m exp.export``: graphs that forecast as the model does, without this repository."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import models
from data_provider.known import CALENDAR
from exp import export_graph as graphs
from exp import export_json
from exp.export import MOST_BYTES, PACKAGES, _check_size, main
from exp.forecaster import Forecaster
from models.timesnet import TimesBlock
from tests.conftest import hourly_table
from tests.helpers.commands import model_in, small
from tests.helpers.exports import build, data_of, described, forecast_of, stored
from tests.helpers.shell import ROOT
from utils.conformal import Intervals
from utils.errors import UserError

SLOW = [name for name in models.MODELS if models.find_config(name).slow]
CASES = [name for name in models.MODELS if name not in SLOW]
FEW = {"TimesNet": {"num_kernels": 1, "top_k": 2, "e_layers": 1}}  # each period is a part of the graph of a layer
KNOWN = [name for name in CASES if models.find_config(model_in(name)).takes_known]
MARKS = [name for name in CASES if hasattr(models.find_config(model_in(name)), "marks")]
LENGTH, STEPS = 24, 6
TABLE = hourly_table(300)
COLUMNS = ["c0", "c1", "OT"]
FORMS = {"onnx": (graphs.save_onnx, graphs.run_onnx), "torch": (graphs.save_torch, graphs.run_torch)}

Store = Callable[..., Path]
Forecast = Callable[[dict[str, Tensor]], np.ndarray]


def need_onnx() -> None:
    for name in PACKAGES:
        pytest.importorskip(name, reason=f"{name} is missing: python -m pip install -r requirements-onnx.txt")


@pytest.fixture
def store(tmp_path: Path, tiny_gpt2: Path, tiny_words: Path) -> Store:
    """Save a small model of a name; keyword arguments are fields of its Config."""

    def store(name: str, data: Mapping[str, Any] | None = None, precision: str = "fp32", **fields: Any) -> Path:
        sizes = {**small(name, tiny_gpt2, tiny_words), **FEW.get(name, {}), **fields}
        folder = tmp_path / "checkpoints" / name.replace(" ", "-")
        return stored(build(model_in(name), sizes), folder, data or data_of(TABLE), precision)

    return store


def exported(checkpoint: Path, folder: Path, forms: tuple[str, ...] = ("onnx", "torch")) -> dict[str, Forecast]:
    """Return a function that forecasts by each form of the graph of a checkpoint."""
    if "onnx" in forms:
        need_onnx()
    forecaster = Forecaster.load(checkpoint)
    forecaster.model.drop_training_parts()
    program = graphs.trace(graphs.ForecastGraph(forecaster).eval())
    found = {}
    for form in forms:
        save, load = FORMS[form]
        save(program, str(folder / form))
        found[form] = load(str(folder / form))
    return found


def check_on(
    forecasts: Mapping[str, Forecast],
    checkpoint: Path,
    table: pd.DataFrame,
    inputs: Callable[[int], dict[str, np.ndarray]],
    **options: Any,
) -> None:
    """Compare graphs with the forecaster, relative to the scale of each column, for one window and for three at once.

    Args:
        inputs: of the window that ends before a row.
    """
    scale = TABLE[COLUMNS].std(ddof=0).to_numpy()
    ends = (200, 233, 270)
    for rows in (ends[:1], ends):
        windows = [inputs(end) for end in rows]
        batch = {name: torch.from_numpy(np.stack([one[name] for one in windows])) for name in windows[0]}
        expected = np.stack([forecast_of(checkpoint, table.iloc[:end], **options) for end in rows])
        for form, forecast in forecasts.items():
            np.testing.assert_allclose(forecast(batch) / scale, expected / scale, rtol=0, atol=1e-5, err_msg=form)


@pytest.mark.parametrize("name", CASES)
def test_a_graph_forecasts_as_the_model_one_window_or_several(name: str, store: Store, tmp_path: Path) -> None:
    checkpoint = store(name)
    check_on(
        exported(checkpoint, tmp_path),
        checkpoint,
        TABLE,
        lambda end: {"x": TABLE[COLUMNS].to_numpy()[end - LENGTH : end]},
    )


def marks_of(dates: pd.Series) -> np.ndarray:
    parts = [dates.dt.hour / 23, dates.dt.day_of_week / 6, (dates.dt.day - 1) / 30, (dates.dt.day_of_year - 1) / 365]
    return np.stack(parts, axis=-1).astype(np.float32) - 0.5


@pytest.mark.parametrize("name", KNOWN)
def test_known_columns_in_the_units_of_the_file_and_calendar_marks_are_inputs_of_a_model_that_reads_them(
    name: str, store: Store, tmp_path: Path
) -> None:
    table = TABLE.assign(price=1000 + 50 * np.cos(np.arange(len(TABLE))), flat=7.0)
    known = {"columns": ["price", "flat"], "mean": [1000.0, 7.0], "scale": [35.0, 1e300], "calendar": ["hour"]}
    marked = {"marks": 1} if name in MARKS else {}
    fewer = {"top_k": 1} if name == "TimesNet" else {}
    checkpoint = store(name, data_of(TABLE, known={**known, "holidays": []}), known=3, **marked, **fewer)
    columns = np.column_stack([table[["price", "flat"]], table["date"].dt.hour / 24 - 0.5])
    marks = marks_of(TABLE["date"])

    def inputs(end: int) -> dict[str, np.ndarray]:
        seen = slice(end - LENGTH, end)
        found = {"x": table[COLUMNS].to_numpy()[seen], "known": columns[end - LENGTH : end + STEPS]}
        return {**found, "marks": marks[seen]} if marked else found

    future = table[["date", "price", "flat"]]
    check_on(exported(checkpoint, tmp_path, ("onnx",)), checkpoint, table, inputs, future=future)


def test_a_target_alone_is_forecast_where_the_model_was_trained_for_it(store: Store, tmp_path: Path) -> None:
    checkpoint = store("DLinear", data_of(TABLE, features="MS"))
    for forecast in exported(checkpoint, tmp_path).values():
        window = torch.from_numpy(TABLE[COLUMNS].to_numpy()[-LENGTH:][None].copy())
        assert forecast({"x": window}).shape == (1, STEPS, 1)
        np.testing.assert_allclose(forecast({"x": window})[0], forecast_of(checkpoint, TABLE), rtol=1e-6)


def test_small_changes_of_large_values_are_not_lost(store: Store, tmp_path: Path) -> None:
    table = TABLE.assign(**{name: 1e6 + 0.01 * TABLE[name] for name in COLUMNS})
    checkpoint = store("DLinear", data_of(table))
    window = torch.from_numpy(table[COLUMNS].to_numpy()[-LENGTH:][None].copy())
    scale = table[COLUMNS].std(ddof=0).to_numpy()
    assert (scale < 0.01).all()
    for forecast in exported(checkpoint, tmp_path).values():
        np.testing.assert_allclose((forecast({"x": window})[0] - forecast_of(checkpoint, table)) / scale, 0, atol=1e-5)


def test_each_of_many_series_brings_its_own_scale(store: Store, tmp_path: Path) -> None:
    names, parts = ("a", "b", "c"), [hourly_table(60, channels=1, seed=i) for i in range(3)]
    for i, part in enumerate(parts):
        part["OT"] = part["OT"] * 10**i
    scales = np.array([[part["OT"].mean(), part["OT"].std(ddof=0)] for part in parts])
    table = pd.concat([part.assign(id=name) for name, part in zip(names, parts, strict=True)])
    data = data_of(
        parts[0],
        ids=list(names),
        id_column="id",
        value_column="OT",
        lowest=[[-1e9]] * 3,
        scaler={"mean": scales[:, :1].tolist(), "scale": scales[:, 1:].tolist()},
    )
    kind = models.find_model("DLinear")
    checkpoint = stored(kind.build(kind.Config(LENGTH, STEPS, 1)), tmp_path / "checkpoint", data)
    future = Forecaster.load(checkpoint).predict(table, interval=None)
    inputs = {
        "x": torch.from_numpy(np.stack([part[["OT"]].to_numpy()[-LENGTH:] for part in parts])),
        "mean": torch.from_numpy(scales[:, :1]),
        "scale": torch.from_numpy(scales[:, 1:]),
    }
    for forecast in exported(checkpoint, tmp_path).values():
        off = forecast(inputs)[..., 0] - future["forecast"].to_numpy().reshape(3, STEPS)
        np.testing.assert_allclose(off / scales[:, 1:], 0, atol=1e-5)


def test_the_graph_of_timesnet_folds_each_window_at_its_own_periods(store: Store, tmp_path: Path) -> None:
    (forecast,) = exported(store("TimesNet"), tmp_path, ("torch",)).values()
    hours = np.arange(LENGTH)[:, None]
    windows = np.stack([10 + np.sin(2 * np.pi * hours / period + np.arange(3)) for period in (3, 8, 24)])
    together = forecast({"x": torch.from_numpy(windows)})
    alone = np.concatenate([forecast({"x": torch.from_numpy(window[None])}) for window in windows])
    np.testing.assert_allclose(together, alone, atol=1e-5)


class Strengths(torch.nn.Module):
    """What TimesNet weighs periods by."""

    def forward(self, x: Tensor) -> Tensor:
        return TimesBlock(16, 1, 1, 5, False)._periods(x)[1]


def test_the_strengths_of_periods_are_exact_in_onnx(tmp_path: Path) -> None:
    need_onnx()
    x = 10 * torch.randn(2, 192, 16, generator=torch.Generator().manual_seed(0))
    graphs.save_onnx(torch.export.export(Strengths(), (), {"x": x}), str(tmp_path / "onnx"))
    exact = np.sort(np.abs(np.fft.rfft(x.double().numpy(), axis=1)).mean(-1)[:, 1:])[:, :-6:-1]
    np.testing.assert_allclose(graphs.run_onnx(str(tmp_path / "onnx"))({"x": x}), exact, rtol=1e-6)


ALONE = """
import sys
import numpy as np
import torch
assert not {"models", "exp", "transformers", "pandas"} & sys.modules.keys()
graph = torch.export.load(sys.argv[1]).module()
np.save(sys.argv[3], graph(x=torch.from_numpy(np.load(sys.argv[2])))[0].detach().numpy())
assert not {"models", "exp", "transformers", "pandas"} & sys.modules.keys()
"""


def test_the_torch_file_needs_torch_alone_and_holds_no_training_parts_and_no_paths(
    store: Store, tmp_path: Path
) -> None:
    checkpoint, output = store("CALF"), tmp_path / "exports"
    assert main(["--load", str(checkpoint), "--format", "torch", "--output", str(output)]) == 0
    path = output / "CALF.pt2"
    assert sorted(output.iterdir()) == [output / "CALF.json", path]
    assert str(ROOT).encode() not in path.read_bytes()
    assert not [name for name in torch.export.load(path).state_dict if "text_" in name or "match" in name]
    np.save(tmp_path / "x.npy", TABLE[COLUMNS].to_numpy()[None, -LENGTH:])
    command = [sys.executable, "-I", "-W", "ignore", "-c", ALONE, str(path), "x.npy", "forecast.npy"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "forecast.npy")[0], forecast_of(checkpoint, TABLE), atol=1e-5)


def test_the_command_writes_a_graph_and_what_is_needed_beside_it(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    need_onnx()
    checkpoint, output = store("DLinear", precision="bf16"), tmp_path / "new" / "exports"
    paths = np.random.default_rng(0).normal(size=(99, STEPS, 3)).astype(np.float32)
    paths[10:, -1] = np.nan
    intervals = Intervals(paths, np.full(3, 0.1), 99)
    intervals.save(checkpoint)
    flags = ["--load", str(checkpoint), "--format", "onnx", "--output", str(output), "--interval", "0.5,0.9"]
    assert main(flags) == 0
    assert sorted(output.iterdir()) == [output / "DLinear.json", output / "DLinear.onnx"]
    assert str(ROOT).encode() not in (output / "DLinear.onnx").read_bytes()
    about, scale = described(output), TABLE[COLUMNS].std(ddof=0).to_numpy()
    assert about["inputs"] == {"x": {"type": "float64", "shape": ["batch", LENGTH, 3]}}
    assert about["outputs"]["forecast"]["shape"] == ["batch", STEPS, 3]
    assert (about["lookback"], about["pred_len"], about["target"]) == (LENGTH, STEPS, "OT")
    assert about["columns"] == about["forecast_columns"] == COLUMNS
    assert about["dates"] == {"frequency": "h", "kind": "fixed", "seconds": 3600}
    np.testing.assert_allclose(about["scaler"]["scale"], scale)
    assert list(about["intervals"]) == ["0.5", "0.9"]
    for level in (0.5, 0.9):
        band = about["intervals"][f"{level:g}"]
        lower, upper = intervals.bounds(level)
        np.testing.assert_allclose(np.array(band["lower"], float), lower, rtol=1e-6)
        np.testing.assert_allclose(np.array(band["upper"], float), upper, rtol=1e-6)
    assert about["outputs"]["unit"]["shape"] == ["batch", 3] and about["least"] == [None, None, None]
    assert "trained with --precision bf16; the graph computes in float32" in caplog.text


def test_the_description_says_how_known_columns_come_about(store: Store, tmp_path: Path) -> None:
    known = {"columns": ["price"], "mean": [3.0], "scale": [2.0], "calendar": ["hour"], "holidays": ["DE"]}
    forecaster = Forecaster.load(store("TimesNet", data_of(TABLE, known=known), known=3, marks=1))
    about = export_json.describe_graph(forecaster, "any", graphs.ForecastGraph(forecaster).shapes, [0.9])
    assert about["inputs"]["known"] == {"type": "float64", "shape": ["batch", LENGTH + STEPS, 3]}
    assert about["inputs"]["marks"] == {"type": "float32", "shape": ["batch", LENGTH, 4]}
    assert [(one["name"], one["from"]) for one in about["known"]] == [
        ("price", "file"),
        ("hour", "calendar"),
        ("DE", "holidays"),
    ]
    assert about["known"][0]["mean"] == 3
    assert len(about["marks"]) == 4
    assert about["intervals"] == {}


def test_every_column_of_the_calendar_is_described_as_it_is_computed() -> None:
    dates = pd.date_range("2024-02-28 21:15", periods=50, freq="7h45min")
    assert export_json.CALENDAR.keys() == CALENDAR.keys()
    for name, formula in export_json.CALENDAR.items():
        parts = {part: getattr(dates, part.replace(" ", "_").replace("weekday", "day_of_week")).to_numpy()
                 for part in ("hour", "minute", "weekday", "month", "day of year")}  # fmt: skip
        spelled = {part.replace(" ", "_"): values for part, values in parts.items()}
        found = eval(formula.replace("day of year", "day_of_year"), {}, spelled)
        np.testing.assert_allclose(found, CALENDAR[name][0](dates))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--load", "nosuch", "--format", "torch"], "There is no checkpoint in nosuch"),
        (["--load", "CALF", "--format", "torch", "--interval", "90"], "--interval 90: choose a share"),
    ],
)
def test_what_cannot_be_exported_is_refused_with_one_message(
    flags: list[str],
    message: str,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = store("DLinear")
    monkeypatch.chdir(tmp_path)
    flags = [str(folder) if flag == "CALF" else flag for flag in flags]
    assert main(flags) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
    assert not (tmp_path / "exports").exists()


def test_an_unknown_format_is_refused_with_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--load", "any", "--format", "excel"])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: argument --format: invalid choice: 'excel'")
    assert len(error.splitlines()) == 2


def test_missing_packages_are_named_with_the_way_to_get_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert main(["--load", "any", "--format", "onnx"]) == 2
    error = capsys.readouterr().err
    assert "onnxscript" in error and "python -m pip install -r requirements-onnx.txt" in error


def test_the_packages_that_are_looked_for_are_those_that_are_required() -> None:
    lines = (ROOT / "requirements-onnx.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split(">=")[0] for line in lines if not line.startswith("#")] == list(PACKAGES)
    assert all(",<" in line for line in lines if not line.startswith("#"))
    assert "-r requirements-onnx.txt" in (ROOT / "requirements-test.txt").read_text(encoding="utf-8")


def test_weights_that_no_onnx_file_holds_are_refused() -> None:
    _check_size(MOST_BYTES + 1, "torch")
    with pytest.raises(UserError, match="more than one ONNX file holds"):
        _check_size(MOST_BYTES + 1, "onnx")


@pytest.mark.parametrize("wrong", [1e-3, np.nan])
def test_a_graph_that_forecasts_something_else_is_refused_and_leaves_no_file(
    wrong: float, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load = graphs.run_torch
    monkeypatch.setattr(graphs, "run_torch", lambda path: lambda inputs: load(path)(inputs) + wrong)
    output = tmp_path / "exports"
    assert main(["--load", str(store("DLinear")), "--format", "torch", "--output", str(output)]) == 2
    assert capsys.readouterr().err.startswith("error: DLinear cannot be exported faithfully")
    assert list(output.iterdir()) == []


def test_a_model_whose_values_decide_its_steps_is_refused_by_name(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.compiler.is_exporting", lambda: False)
    flags = ["--load", str(store("TimesNet")), "--format", "torch", "--output", str(tmp_path / "exports")]
    assert main(flags) == 2
    assert capsys.readouterr().err.startswith("error: TimesNet cannot be exported: its steps depend on its input")


@pytest.mark.parametrize(("form", "name"), [("torch", "DLinear.pt2"), ("onnx", "DLinear.onnx")])
def test_a_full_disk_leaves_what_was_there(
    form: str,
    name: str,
    store: Store,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if form == "onnx":
        need_onnx()
    checkpoint, output = store("DLinear"), tmp_path / "exports"
    output.mkdir()
    (output / name).write_text("before")
    request.getfixturevalue("full_disk")
    assert main(["--load", str(checkpoint), "--format", form, "--output", str(output)]) == 2
    assert f"error: {output}/{name}: " in capfd.readouterr().err
    assert (output / name).read_text() == "before"
    assert [path.name for path in output.iterdir()] == [name]


def test_help_answers_without_pytorch() -> None:
    code = (
        "import sys\nfrom exp.export import build_parser\nbuild_parser().format_help()\n"
        "assert not {'torch', 'pandas', 'transformers'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


def test_a_model_that_a_package_fits_anew_is_refused(store: Store) -> None:
    pytest.importorskip("statsforecast", reason="statsforecast is not installed")
    graph = graphs.ForecastGraph(Forecaster.load(store(SLOW[0])))
    with pytest.raises(UserError, match=f"{SLOW[0]} is fitted on each window anew"):
        graphs.trace(graph)
