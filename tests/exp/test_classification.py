"""Classification from a pair of files to scores, beside rivals, a table of confusions and a picture."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import run
from exp import class_rivals
from exp.class_rivals import rivals, why_no_minirocket
from exp.classification import Classification
from exp.config import RunConfig
from exp.flags import parse
from tests.helpers.commands import prepared, refused, small, succeed, written
from tests.helpers.ts_files import waves, write_pair, write_ts
from tests.test_processes import run_in
from utils.class_scores import class_scores, class_verdict, confusions
from utils.schedule import EarlyStopping

Flags = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def quick_rival(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """MiniRocket finds the first class, at once, except in tests that are marked ``pictures``."""
    if not request.node.get_closest_marker("pictures"):
        monkeypatch.setattr(class_rivals, "minirocket", lambda train, test, seed: (np.zeros(len(test), int), 0.1))


@pytest.fixture
def flags(tmp_path: Path, workplace: Path, tiny_gpt2: Path, tiny_words: Path) -> Flags:
    """Return the flags of a short run on a small pair of files."""
    write_pair(tmp_path / "files")

    def flags(model: str = "DLinear", **more: object) -> list[str]:
        values = {
            "task_name": "classification", "model": model, "data": "custom", "root_path": tmp_path / "files",
            "batch_size": 8, "train_epochs": 3, "learning_rate": 0.01, "device": "cpu",
            **small(model, tiny_gpt2, tiny_words), "patch_len": 4 if model in ("PatchTST", "PAttn", "GPT4TS") else None,
            **more,
        }  # fmt: skip
        return [part for name, value in values.items() if value is not None for part in (f"--{name}", str(value))]

    return flags


@pytest.mark.pictures
def test_a_run_leaves_scores_beside_rivals_and_what_was_confused(
    flags: Flags, workplace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (record,) = succeed(flags(train_epochs=15))
    setting = record["run"]["setting"]
    assert set(written(workplace)) == {
        *(
            f"checkpoints/{setting}/{name}"
            for name in ("config.json", "model.safetensors", "training.json", "test.json")
        ),
        *(f"results/{setting}/{name}" for name in ("metrics.json", "log.csv", "loss.png", "run.yaml", "confusion.csv")),
        f"test_results/{setting}/confusion.png",
        "results_classification.txt",
    }
    assert torch.get_num_threads() == 1  # as before, though numba has set its own number
    scores = record["scores"]
    assert list(scores["metrics"]) == ["DLinear", "majority_class", "MiniRocket"]
    assert scores["accuracy"] == scores["metrics"]["DLinear"]["accuracy"] > 0.7
    assert scores["metrics"]["majority_class"]["accuracy"] == pytest.approx(1 / 3)
    assert scores["metrics"]["MiniRocket"]["accuracy"] > 0.9 and scores["metrics"]["MiniRocket"]["seconds"] > 0
    assert 0 < scores["cross_entropy"] < np.log(3) and scores["cases"] == 12
    table = pd.read_csv(f"results/{setting}/confusion.csv", index_col="true class")
    assert list(table.columns) == list(table.index) == ["Fast", "slow", "still"]
    assert table.to_numpy().sum() == 12
    assert np.diag(table).sum() / 12 == pytest.approx(scores["accuracy"])
    assert record["data"]["selected_on"] == "validation"
    assert record["model"]["config"]["classes"] == 3
    assert "DLinear beats the majority class: accuracy" in caplog.text
    assert "-> 3 classes, seed 2021" in Path("results_classification.txt").read_text()


@pytest.mark.parametrize("model", ["CALF", "TimesNet", "GPT4TS", "PatchTST", "iTransformer", "PAttn"])
def test_every_model_classifies(model: str, flags: Flags) -> None:
    (record,) = succeed(flags(model, train_epochs=1))
    assert record["model"]["name"] == model and 0 <= record["scores"]["accuracy"] <= 1
    assert record["model"]["config"]["task_loss"] == "ce"


def test_the_release_chooses_on_test_and_says_so_wherever_it_appears(
    flags: Flags, caplog: pytest.LogCaptureFixture
) -> None:
    (record,) = succeed(flags(classification_protocol="release"))
    assert record["data"]["selected_on"] == "test"
    assert "_selected-on-test_" in record["run"]["setting"]
    assert record["run"]["best"]["test_error"] == pytest.approx(1 - record["scores"]["accuracy"])
    assert "this run is selected on test" in caplog.text
    assert "against 0.3333, selected on test." in caplog.text
    assert "3 classes, selected on test" in Path("results_classification.txt").read_text()


def test_of_epochs_that_tie_the_release_takes_the_last_one_and_others_the_first() -> None:
    for ties, best in ((True, 2), (False, 0)):
        stopping = EarlyStopping(2, ties=ties)
        for epoch in range(3):
            stopping.update(0.5, epoch)
        assert (stopping.best_epoch, stopping.should_stop) == (best, not ties)


def test_the_test_file_is_not_looked_at_before_the_epoch_is_chosen(flags: Flags, tmp_path: Path) -> None:
    (first,) = succeed(flags())
    cases, labels = waves(12, seed=1)
    write_ts(tmp_path / "files" / "Waves_TEST.ts", cases[::-1], labels)  # other classes, the same lengths
    records = succeed(flags(name="again"))
    again = next(one for one in records if one["run"]["setting"].startswith("again"))
    epochs = [
        [epoch["validation_cross_entropy"] for epoch in one["run"]["training"]["epochs"]] for one in (first, again)
    ]
    assert epochs[0] == epochs[1]
    assert first["scores"]["accuracy"] != again["scores"]["accuracy"]


def test_the_split_follows_the_seed(flags: Flags) -> None:
    splits = [prepared(flags(seed=seed), Classification).data.splits for seed in (1, 1, 2)]
    kept = [one[next(iter(one))].x for one in splits]
    assert kept[0].equal(kept[1]) and not kept[0].equal(kept[2])


@pytest.mark.parametrize("model", ["DLinear", "PatchTST"])
def test_no_case_is_lost_in_batches_of_any_size(model: str, flags: Flags) -> None:
    experiment = prepared(flags(model, batch_size=23), Classification)
    assert [batch.size for batch in experiment.train_loader] == [23, 1]
    (record,) = succeed(flags(model, batch_size=1, eval_batch_size=1, train_epochs=1))
    assert record["scores"]["cases"] == 12


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"task_loss": "l1"}, "--task_loss l1 is no loss of --task_name classification: leave it out, or say ce."),
        ({"task_name": "long_term_forecast", "task_loss": "ce", "data": "sample", "root_path": None},
         "--task_loss ce is for --task_name classification; choose one of"),
        ({"model": "Naive"}, "--model Naive learns nothing, and --task_name classification is for models that do"),
        ({"data": "ETTh1"}, "--data ETTh1 has no classes; --task_name classification takes"),
        ({"data": "m4"}, "--task_name classification does not go with --data m4"),
        ({"model": "iTransformer", "marks": 1}, "--marks 1 is for forecasts, not for --task_name classification"),
        ({"do_predict": 1}, "--do_predict is for --task_name long_term_forecast, not for classification"),
        ({"check_data": ""}, "--check_data is for series in a CSV file"),
        ({"root_path": "nowhere"}, "has to hold one file called NAME_TRAIN.ts, and there is none"),
        ({"validation_share": 0}, "--validation_share 0: choose a number between 0 and 1"),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    more: dict[str, Any], said: str, flags: Flags, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [part for part in flags(**{**{"model": "DLinear"}, **more}) if part]
    assert said in refused(argv, capsys)


def test_flags_of_windows_have_no_effect(flags: Flags, caplog: pytest.LogCaptureFixture) -> None:
    succeed(flags(seq_len=5, shuffle_input="all", output="x.csv", train_epochs=1))
    assert "no effect with --data custom: --seq_len" in caplog.text
    assert "no effect with --task_name classification: --shuffle_input" in caplog.text
    assert "no effect without --do_predict: --output" in caplog.text


def test_a_dry_run_writes_nothing(flags: Flags, workplace: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert run.main([*flags(), "--dry_run"]) == 0
    assert written(workplace) == []
    assert "cases of 10 to 16 steps: train 24, val 6, test 12; 3 training batches" in caplog.text


def test_a_run_that_was_stopped_goes_on_to_the_same_end(flags: Flags, monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = succeed(flags())

    def stop(self: Classification) -> float:
        if len(calls) == 1:
            raise KeyboardInterrupt
        calls.append(1)
        return validate(self)

    calls, validate = [], Classification.validate
    with monkeypatch.context() as stopped:
        stopped.setattr(Classification, "validate", stop)
        assert run.main([*flags(), "--overwrite"]) == 130
    (again,) = succeed(flags())
    figures = [[epoch["train_loss"] for epoch in one["run"]["training"]["epochs"]] for one in (whole, again)]
    assert figures[0] == figures[1]
    assert whole["scores"]["cross_entropy"] == again["scores"]["cross_entropy"]


def test_a_finished_run_is_not_repeated_and_its_flags_repeat_it(
    flags: Flags, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (record,) = succeed(flags())
    config = (Path("results") / record["run"]["setting"] / "run.yaml").resolve()
    assert run.main(["--config", str(config)]) == 0
    assert "is finished; --overwrite repeats it" in caplog.text
    (tested,) = succeed([*flags(), "--is_training", "0"])
    assert tested["scores"]["cross_entropy"] == record["scores"]["cross_entropy"]


def test_a_checkpoint_is_not_tested_on_other_data(
    flags: Flags, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (record,) = succeed(flags())
    cases, labels = waves(30, seed=5)
    write_ts(tmp_path / "other" / "W_TRAIN.ts", cases, labels)
    write_ts(tmp_path / "other" / "W_TEST.ts", *waves(12, seed=1))
    argv = ["--load", f"checkpoints/{record['run']['setting']}", "--is_training", "0", "--device", "cpu"]
    assert run.main([*argv, "--data_path", str(tmp_path / "other" / "W_TRAIN.ts")]) == 2
    assert "the statistics differ. A test is of the files trained on; --do_classify" in capsys.readouterr().err


def test_bfloat16_and_two_seeds_work(flags: Flags) -> None:
    records = succeed(flags(precision="bf16", itr=2, train_epochs=1))
    assert [record["run"]["seed"] for record in records] == [2021, 2022]
    assert "mean ± std over seeds 2021, 2022" in Path("results_classification.txt").read_text()


def test_two_processes_train_and_test_together(flags: Flags, workplace: Path) -> None:
    for part, count in (("TRAIN", 30), ("TEST", 12)):
        cases, labels = waves(count, seed=0)
        write_ts(workplace / "short" / f"W_{part}.ts", [case[:8] for case in cases], labels)  # too short for MiniRocket
    argv = flags(root_path=workplace / "short", batch_size=23, train_epochs=2, do_classify=1)
    (path,) = run_in(workplace, [*argv, "--name", "together"], 2).glob("results/together_*/metrics.json")
    record = json.loads(path.read_text())
    assert record["run"]["training"]["environment"]["processes"] == 2
    (alone,) = (one for one in succeed([*argv, "--name", "alone"]) if one["run"]["setting"].startswith("alone"))
    assert record["scores"]["cross_entropy"] == pytest.approx(alone["scores"]["cross_entropy"], rel=1e-4)
    assert len(pd.read_csv(path.parent / "classes.csv")) == 12


# --- rivals and scores ---


def test_minirocket_stays_away_from_short_cases_and_very_many(flags: Flags, monkeypatch: pytest.MonkeyPatch) -> None:
    data = prepared(flags(), Classification).data
    assert why_no_minirocket(data.train) == ""
    monkeypatch.setattr(class_rivals, "MOST_CASES", 29)
    assert "too long for 30 training cases" in why_no_minirocket(data.train)
    monkeypatch.setattr(class_rivals, "SHORTEST", 17)
    assert [name for name, *_ in rivals(data.train, data.train, 0)] == ["majority_class"]


def test_scores_are_those_of_their_definitions() -> None:
    truth, found = np.array([0, 0, 0, 1, 2]), np.array([0, 0, 1, 1, 3])
    scores = class_scores(truth, found)
    assert scores["accuracy"] == pytest.approx(3 / 5)
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert scores["macro_f1"] == pytest.approx((0.8 + 2 / 3 + 0 + 0) / 4)
    assert confusions(truth, found, 4).tolist() == [[2, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_the_higher_accuracy_wins() -> None:
    reports = {
        name: {"accuracy": value} for name, value in (("CALF", 0.8), ("majority_class", 0.3), ("MiniRocket", 0.9))
    }
    assert [*class_verdict(reports, "CALF")] == [
        "CALF beats the majority class: accuracy 0.8000 against 0.3000.",
        "CALF does NOT beat the classifier MiniRocket: accuracy 0.8000 against 0.9000.",
        "The better choice for these data is the classifier MiniRocket: use that, not CALF.",
    ]


def test_the_configuration_that_a_checkpoint_holds_is_the_one_of_its_run(flags: Flags) -> None:
    (record,) = succeed(flags())
    stored = json.loads((Path("checkpoints") / record["run"]["setting"] / "config.json").read_text())
    assert stored["data"]["classes"] == ["Fast", "slow", "still"]
    assert len(stored["data"]["scaler"]["mean"]) == 2
    assert RunConfig.from_flags(parse(flags())).identity["data"] == stored["data"]["config"]


def test_where_no_language_model_is_at_hand_a_small_one_stands_in_and_says_so(
    flags: Flags, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("exp.own_file._has_model", lambda name: False)
    assert run.main([*flags("CALF", llm=None, word_embedding_path=None, gpt_layers=1), "--dry_run"]) == 0
    assert "a small random network (gpt2-tiny) stands in for it" in caplog.text
