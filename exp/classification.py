"""Classify whole cases: train on a share of TRAIN, choose the epoch on the rest of it, score TEST once.

The benchmark of TimesNet, section 4.5, and of GPT4TS on the UEA archive; CALF's authors have code for it.

Shapes: N cases, L steps of the longest one, C channels, K classes.
"""

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from data_provider.classification import ClassificationData, load_classification
from data_provider.windows import Split, make_loader
from exp.base import Experiment
from exp.class_rivals import rivals, why_no_minirocket
from exp.classifier import Classifier
from exp.training import Score
from models.base import check_finite
from utils.class_scores import class_scores, class_table, class_verdict, confusions, write_confusions
from utils.device import peak_memory
from utils.errors import UserError, shown_path
from utils.files import write_json
from utils.plots import plot_matrix
from utils.results import RECORD, TEST

CONFUSIONS, PICTURE = "confusion.csv", "confusion.png"


class Classification(Experiment):
    """Train on cases, choose the epoch by cross entropy, and score beside the majority class and MiniRocket.

    Cross entropy chooses because a small validation split knows few values of accuracy, and many epochs tie. The
    protocol ``release`` takes the error on TEST, as the authors' code does, and of epochs that tie the last one.
    """

    data: ClassificationData

    def load_data(self) -> None:
        config = self.config
        self.refuse_marks()
        self.data = load_classification(config.data, config.seed)
        self.train_loader = make_loader(
            self.data.splits[Split.TRAIN],
            config.training.batch_size * config.training.accumulate,
            shuffle_seed=config.seed,
            drop_last=False,
            workers=config.runtime.num_workers,
            pin=self.device.type == "cuda",
        )
        if config.data.selects_on_test:
            self.selected_on = "test"
            self.score = Score("test error (selected on test)", "test_error", ties=True)
        else:
            self.selected_on, self.score = "validation", Score("val cross entropy", "validation_cross_entropy")

    def sizes(self) -> dict[str, int]:
        _, length, channels = self.data.train.x.shape
        windows = {"seq_len": length, "pred_len": length, "classes": len(self.data.classes)}
        return {"channels": channels, "season": 1, "known": 0, **windows}

    def data_record(self) -> dict[str, Any]:
        return {
            "source": str(self.data.source),
            "columns": [f"channel {number}" for number in range(1, self.data.train.x.shape[2] + 1)],
            "classes": list(self.data.classes),
            "scaler": self.data.scaler.to_json(),
            "selected_on": self.selected_on,
        }

    def describe_data(self) -> list[str]:
        data, sizes = self.data, self.sizes()
        counts = ", ".join(f"{split.value} {len(cases):,}" for split, cases in data.splits.items())
        lengths = torch.cat([data.train.lengths, data.splits[Split.TEST].lengths])
        how = (
            "TEST, as the release does: this run is selected on test"
            if self.config.data.selects_on_test
            else f"{len(data.splits[Split.VAL]):,} cases of TRAIN that are not trained on"
        )
        return [
            f"data: {shown_path(data.source)}, {len(data.classes)} classes, {sizes['channels']} channels",
            f"cases of {lengths.min()} to {lengths.max()} steps: {counts}; {len(self.train_loader)} training batches",
            f"the best epoch is chosen on {how}",
            *(f"note: {note}" for note in data.notes),
        ]

    def restore(self, folder: Path) -> None:
        super().restore(folder)
        here, there = self.data_record(), self.model.stored.extras["data"]
        for what in ("classes", "scaler"):
            if here[what] != there.get(what):
                words = "classes" if what == "classes" else "statistics"
                raise UserError(
                    f"{shown_path(folder)} was trained on other data than {shown_path(self.data.source)}: the {words} "
                    "differ. A test is of the files trained on; --do_classify classifies another one."
                )

    def validate(self) -> float:
        cases = self.data.splits[Split.VAL]
        logits = self._logits(cases, "validation")
        if not self.compute.is_main_process:
            return math.nan
        if self.config.data.selects_on_test:
            return float((logits.argmax(-1) != cases.classes).double().mean())
        return float(F.cross_entropy(logits.double(), cases.classes))

    def test(self) -> list[dict[str, Any]]:
        config, cases, results = self.config, self.data.splits[Split.TEST], self.config.results
        started = time.perf_counter()
        logits = self._logits(cases, "test")
        seconds = time.perf_counter() - started
        if not self.compute.is_main_process:
            return []
        check_finite(logits, str(self.data.source))
        found, truth = logits.argmax(-1).numpy(), cases.classes.numpy()
        trained = self.training.get("seconds", 0.0)
        reports = {config.model: class_scores(truth, found) | {"seconds": trained + seconds}}
        for name, of_rival, taken in rivals(self.data.train, cases, config.seed):
            reports[name] = class_scores(truth, of_rival) | {"seconds": taken}
        counts, names = confusions(truth, found, len(self.data.classes)), self.data.classes
        write_confusions(results / CONFUSIONS, counts, names)
        selected = ", selected on test" if config.data.selects_on_test else ""
        picture = config.pictures / PICTURE
        title = f"{config.model} on {config.data.data}, test cases{selected}"
        plot_matrix(picture, counts, names, names, title, "true class", "class found", whole=True)
        own = {name: value for name, value in reports[config.model].items() if name != "seconds"}
        cross_entropy = float(F.cross_entropy(logits.double(), cases.classes))
        scores = {**own, "cross_entropy": cross_entropy, "cases": len(cases), "metrics": reports}
        record = self.record(results / RECORD, scores, {"selected_on": self.selected_on})
        record["cost"] = {"milliseconds_per_case": 1e3 * seconds / len(cases), "peak_memory": peak_memory(self.device)}
        write_json(self.folder / TEST, {"model": config.model, "cases": len(cases), "metrics": reports})
        said = [*self._said(reports, cross_entropy, selected), f"confusions: {results / CONFUSIONS}, {picture}"]
        self.save(results / RECORD, record, _score_lines(reports, cross_entropy), said)
        return [record]

    def _logits(self, cases: Any, name: str) -> Tensor:
        """Return the logits (N, K) of cases; a call of every rank."""
        predictor = Classifier(self.model, self.compute, self.eval_batch_size(self.sizes()["channels"]))
        return predictor.logits(cases, name)

    def _said(self, reports: Mapping[str, Any], cross_entropy: float, selected: str) -> Iterator[str]:
        """Yield the table of a test, and who found more classes."""
        yield from class_table(reports)
        yield f"cross entropy of the test cases: {cross_entropy:.4f}"
        for line in class_verdict(reports, self.config.model):
            yield f"{line.removesuffix('.')}{selected}."
        if why := why_no_minirocket(self.data.train):
            yield f"note: {why}"
        if not self.config.data.selects_on_test:
            yield "note: rivals train on all of TRAIN, as they choose no epoch"


def _score_lines(reports: Mapping[str, Any], cross_entropy: float) -> list[str]:
    lines = [
        f"{name} accuracy:{one['accuracy']:.6f}, balanced accuracy:{one['balanced_accuracy']:.6f}, "
        f"macro F1:{one['macro_f1']:.6f}, seconds:{one['seconds']:.1f}"
        for name, one in reports.items()
    ]
    return [*lines, f"cross entropy:{cross_entropy:.6f}"]
