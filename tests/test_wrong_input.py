"""What a run says to input that it cannot use: one message, exit code 2, nothing written."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import run
from exp.config import RunConfig
from exp.long_term_forecast import LongTermForecast
from layers.word_embeddings import WordEmbeddings, principal_words, save_word_embeddings
from tests.conftest import Tiny, WriteCsv, hourly_table, save_gpt2
from tests.helpers.commands import refused, succeed


class TestWrongInput:
    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            ({"data": "nosuch"}, "--data nosuch: choose one of ETTh1, .*, sample."),
            ({"task_name": "nosuch"}, "--task_name nosuch: choose one of long_term_forecast, "),
            ({"model": "Nosuch"}, "--model Nosuch: choose one of CALF, GPT4TS, "),
            ({"task_loss": "huber"}, "--task_loss huber: choose one of l1, smooth_l1, mse, smape, mape, mase."),
            ({"feature_loss": "smape"}, "--feature_loss smape: choose one of l1, smooth_l1, mse."),
            (
                {"task_loss": "smape"},
                "--task_loss smape is for --task_name short_term_forecast; choose one of l1, smoo",
            ),
            ({"lradj": "type9"}, "--lradj type9: choose one of type1, "),
            ({"features": "X"}, "--features X: choose one of M, S, MS."),
            ({"target": "revenue"}, "has no column 'revenue'.*c0, c1, OT"),
            ({"data_path": "nosuch.csv"}, "nosuch.csv does not exist"),
            ({"seq_len": 0}, "--seq_len 0: choose a whole number from 1 to "),
            ({"pred_len": 110}, "the val split has 40 rows, a window takes 110"),
            ({"percent": 3}, "the train split has 31 rows .--percent 3.*larger --percent"),
            ({"percent": 0}, "--percent 0: choose a whole number from 1 to 100."),
            ({"llm": "./nosuch"}, "--llm ./nosuch: there is no such folder"),
            ({"llm_init": "zeros"}, "--llm_init zeros: choose one of pretrained, random."),
            ({"gpt_layers": 9}, "--gpt_layers 9: .* has 3 blocks"),
            ({"device": "tpu"}, "--device tpu"),
            ({"freq": "fortnight"}, "--freq fortnight"),
            ({"zero_shot": 1}, "--zero_shot 1"),
            ({"is_training": 0}, "There is no checkpoint in"),
        ],
    )
    def test_ends_with_one_message_and_nothing_written(
        self, tiny: Tiny, flags: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert re.search(message, refused(tiny(**flags), capsys))

    def test_more_channels_than_positions_are_refused(
        self, tiny: Tiny, write_csv: WriteCsv, workplace: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        flags = tiny(data_path=write_csv(name="wide.csv", channels=17), word_embedding_path=None)
        assert "17 channels, but the backbone has 16 positions" in refused(flags, capsys)

    def test_word_embeddings_of_another_width_are_refused(
        self, tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "wide.pt"
        save_word_embeddings(path, WordEmbeddings(principal_words(torch.randn(60, 48), 10)))
        assert run.main(tiny(word_embedding_path=path)) == 2
        assert re.search(r"wide.pt has word embeddings of width 48, .* of width 24", capsys.readouterr().err)

    def test_word_embeddings_of_another_backbone_are_refused(
        self, tiny: Tiny, workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = Path("words.pt")
        other = save_gpt2(tmp_path / "other-gpt2", seed=9)
        assert run.main([*tiny(word_embedding_path=words)]) == 0
        assert run.main([*tiny(word_embedding_path=words, llm=other)]) == 2
        assert re.search(
            r"words.pt has word embeddings of width 24, .*tiny-gpt2.*; this run's backbone is .*other-gpt2",
            capsys.readouterr().err,
        )

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"pred_len": 4}, "--pred_len is 4 here and 8 in"),
            ({"features": "S"}, "--features is S here and M in"),
            ({"lora": 0}, "--lora is 0 here and 1 in"),
            ({"seed": 5}, "--seed is 5 here and 2021 in"),
            ({"is_training": 1}, "--load names a checkpoint to test"),
        ],
    )
    def test_flags_that_contradict_the_checkpoint_to_test_are_refused(
        self, tiny: Tiny, workplace: Path, change: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (record,) = succeed(tiny())
        load = Path("checkpoints") / record["run"]["setting"]
        before = {path: path.read_bytes() for path in load.iterdir()}
        assert run.main(tiny(**{"is_training": 0, "load": load, **change})) == 2
        assert message in capsys.readouterr().err
        assert {path: path.read_bytes() for path in load.iterdir()} == before

    def test_another_precision_than_in_training_is_refused(
        self, tiny: Tiny, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (record,) = succeed(tiny())
        load = ["--is_training", "0", "--load", f"checkpoints/{record['run']['setting']}"]
        for flags, message in ((["--use_amp"], "--use_amp is True here and False in"),
                               (["--precision", "bf16"], "--precision is bf16 here and fp32 in")):  # fmt: skip
            assert run.main([*load, *flags]) == 2
            assert message in capsys.readouterr().err

    def test_another_data_set_is_read_from_its_own_file(self, tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
        (record,) = succeed(tiny())
        load = ["--is_training", "0", "--load", f"checkpoints/{record['run']['setting']}"]
        assert run.main([*load, "--data", "sample"]) == 2
        assert "the number of channels is 7 here and 3 there" in capsys.readouterr().err

    def test_a_checkpoint_of_other_columns_is_refused(
        self, tiny: Tiny, write_csv: WriteCsv, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (record,) = succeed(tiny())
        other = write_csv(hourly_table().rename(columns={"c0": "new"}), name="other.csv")
        load = Path("checkpoints") / record["run"]["setting"]
        assert run.main(["--is_training", "0", "--load", str(load), "--data", "custom", "--data_path", str(other)]) == 2
        assert "the columns is ['new', 'c1', 'OT'] here and ['c0', 'c1', 'OT'] there" in capsys.readouterr().err

    def test_several_checkpoints_that_fit_are_listed(self, tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
        for patience in (1, 2):
            succeed(tiny(patience=patience))
        assert run.main(tiny(is_training=0)) == 2
        error = capsys.readouterr().err
        assert error.count("--load checkpoints/") == 2

    def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_place(
        self, tiny: Tiny, workplace: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run.main(tiny(learning_rate=1e30, train_epochs=3)) == 2
        error = capsys.readouterr().err
        assert re.search(r"not finite in epoch \d", error)
        assert "lower --learning_rate" in error

    def test_a_checkpoint_whose_record_of_the_data_is_damaged_is_refused(
        self, tiny: Tiny, workplace: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (record,) = succeed(tiny())
        file = workplace / "checkpoints" / record["run"]["setting"] / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "data": []}))
        assert run.main(tiny(is_training=0)) == 2
        assert "has no proper 'data'" in capsys.readouterr().err

    def test_a_folder_that_cannot_be_written_ends_with_a_message(
        self, tiny: Tiny, workplace: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (workplace / "checkpoints").write_text("a file where a folder should be")
        assert run.main(tiny()) == 2
        assert re.search(r"error: checkpoints.*: (File exists|Not a directory)", capsys.readouterr().err)

    def test_ctrl_c_ends_with_a_message_and_keeps_the_best_epoch(
        self,
        tiny: Tiny,
        workplace: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        validate, calls = LongTermForecast.validate, []

        def interrupted(self: LongTermForecast) -> float:
            calls.append(None)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return validate(self)

        monkeypatch.setattr(LongTermForecast, "validate", interrupted)
        assert run.main(tiny(train_epochs=3)) == 130
        assert "stopped by hand" in capsys.readouterr().err
        monkeypatch.undo()
        monkeypatch.chdir(workplace)
        caplog.clear()
        assert run.main(tiny(train_epochs=3, is_training=0)) == 0
        assert "training was not finished" in caplog.text

    def test_a_local_backbone_is_remembered_by_its_full_path(
        self, tiny: Tiny, tiny_gpt2: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tiny_gpt2.parent)
        config = RunConfig.from_flags(run.parse(tiny(llm=f"./{tiny_gpt2.name}")))
        assert config.network["llm"] == str(tiny_gpt2)


class TestAnEnvironmentThatLacksAPackage:
    def test_is_named_with_the_remedy(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def missing(*args: object) -> None:
            raise ModuleNotFoundError("No module named 'nosuch'", name="nosuch")

        monkeypatch.setattr(run, "run", missing)
        assert run.main([]) == 2
        assert re.search("lacks nosuch: .*pip install -r requirements.txt", capsys.readouterr().err)

    def test_but_a_missing_part_of_the_project_is_a_bug(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(*args: object) -> None:
            raise ModuleNotFoundError("No module named 'exp.nosuch'", name="exp.nosuch")

        monkeypatch.setattr(run, "run", missing)
        with pytest.raises(ModuleNotFoundError):
            run.main([])
