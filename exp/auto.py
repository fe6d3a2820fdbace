"""Choose among forecasters by their error on the validation windows (``--model auto`` and ``--model ensemble``).

Shapes: W validation windows, D dates at which they begin to forecast, H pred_len, C scored channels.
"""

import logging
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import models
from data_provider.windows import Split
from exp.base import Experiment
from exp.choice import HORIZONS, Candidate, Span, Trial, by_date, choose, compared, is_twin
from exp.config import RunConfig
from exp.evaluation import Predictor, scored_targets
from exp.long_term_forecast import LongTermForecast
from exp.own_file import RATES, is_own
from exp.recipes import RECIPES
from exp.runs import is_trained
from exp.training import save_training
from models.base import Model
from models.checkpoint import find_checkpoint, read_stored
from models.combination import MEMBERS, Combination
from models.seasons import plausible_seasons
from utils.command import processes
from utils.errors import UserError
from utils.files import replacing
from utils.flags import flags_of

logger = logging.getLogger(__name__)

TABLE, CANDIDATES = "candidates.csv", "candidates"
SIMPLE_FIRST = ("Naive", "SeasonalNaive", "AutoTheta", "AutoETS", "MSTL", "DLinear", "iTransformer", "CALF")
STATISTICAL = ("AutoTheta", "AutoETS", "MSTL")
FITS, FEWEST, MOST = 300, 8, 60  # series that slow candidates are fitted on; windows at least and at most
SIZE_OF_ITRANSFORMER = {"d_model": 128, "d_ff": 128}
IN_ENSEMBLE = 3  # of the best candidates, whose median it is
ENSEMBLE = "ensemble"


def choosing(base: type[Experiment]) -> type[Experiment]:
    """Return a way to run ``base`` whose training is a choice among models."""
    return type(f"Choosing{base.__name__}", (Choosing, base), {})


class Choosing(LongTermForecast):
    """An experiment that tries candidates and keeps a combination of them as its model."""

    model: Combination

    def train_and_test(self, dry_run: bool = False, overwrite: bool = False) -> list[dict[str, Any]]:
        """Choose and test; with ``overwrite`` no candidate of an earlier choice is kept."""
        if overwrite and not dry_run:
            shutil.rmtree(self.config.checkpoint / CANDIDATES, ignore_errors=True)
        return super().train_and_test(dry_run, overwrite)

    def fit(self) -> None:
        """Train the candidates, compare their forecasts of validation windows, and save what was chosen.

        On all rows nothing is chosen: the members of the run's own checkpoint are trained once more.
        """
        if processes() > 1:
            raise UserError(f"--model {self.config.model} chooses in one process: start it without a launcher.")
        started = time.monotonic()
        if self.config.is_refit:
            self._train_members_again()
        else:
            self._choose(self._trials(started))
        self.save_best(0, self.best.get(self.score.key, math.nan) if self.best else 0.0)
        self.training = save_training(self, time.monotonic() - started, epochs=[])

    # --- candidates ---

    def _candidates(self) -> list[Candidate]:
        """Return the candidates, the simplest first: those that were named, or those that fit data and machine."""
        config, sizes = self.config, self.sizes()
        named = config.network["candidates"]
        names = [part.strip() for part in (named or "").split(",") if part.strip()]
        names = names or [name for name in SIMPLE_FIRST if self._fits(name)]
        if unknown := [name for name in names if name not in models.MODELS]:
            raise UserError(f"--candidates {unknown[0]}: no such model; choose among {', '.join(models.MODELS)}.")
        seasons = [season for season in plausible_seasons(sizes["season"]) if self._rows_before() >= season]
        found = []
        for name in sorted(dict.fromkeys(names), key=lambda name: (*SIMPLE_FIRST, name).index(name)):
            if name == "SeasonalNaive":
                found += [Candidate(name, None if season == sizes["season"] else season) for season in seasons]
            else:
                found.append(Candidate(name))
        if not found:
            raise UserError(f"--candidates {named}: none of them suits the data, which have no season; add Naive.")
        return found

    def _fits(self, name: str) -> bool:
        """Return whether a candidate suits the data, where the user named none."""
        channels = len(self.data.columns)
        if name in STATISTICAL:
            return find_spec("statsforecast") is not None and channels <= FITS // FEWEST
        if name == "iTransformer":
            return channels > 1 or bool(self.data.known.names)
        return True

    def _rows_before(self) -> int:
        """Return how many rows lie before the first validation window's forecast."""
        windows = self.data.windows[Split.VAL]
        return int(windows.origins[0]) if len(windows) else 0

    def _config_of(self, candidate: Candidate, seconds: float) -> RunConfig:
        """Return the configuration to train a candidate with, in so many seconds.

        The seconds are no part of what it is known by: a choice that was stopped finds what is trained.
        """
        config, kind = self.config, models.find_config(candidate.model)
        network = {name: one.default for name, one in flags_of(kind).items()}
        network |= {name: config.network[name] for name in ("llm", "llm_init", "gpt_layers") if name in network}
        network |= {"task_loss": config.network["task_loss"]}
        if candidate.model == "iTransformer":
            network |= SIZE_OF_ITRANSFORMER
        network |= {name: value for name, value in RECIPES[config.recipe].items() if name in network}
        if "output_w" in network and is_own({"data": config.data.data}):
            network["output_w"] = 0.0
        rate = config.schedule.learning_rate * (1 if "llm" in network else RATES[False] / RATES[True])
        data = config.data
        if not kind.takes_known and data.known_flags:
            unread = ",".join(filter(None, (data.ignore, data.future_cols)))
            data = replace(data, future_cols=None, calendar=0, holidays=None, ignore=unread or None)
        return replace(
            config,
            model=candidate.model,
            data=data,
            network=network,
            schedule=replace(config.schedule, learning_rate=rate),
            training=replace(config.training, time_limit=None, init_from=self._earlier_weights(candidate)),
            runtime=replace(config.runtime, part_of=f"{config.part}/{CANDIDATES}/{candidate.label}", seconds=seconds),
        )

    def _earlier_weights(self, candidate: Candidate) -> str | None:
        """Return the folder of a candidate in the choice that training goes on from; None where that has none."""
        if self.config.training.init_from is None:
            return None
        folder = find_checkpoint(Path(self.config.training.init_from))
        labels = [member["label"] for member in read_stored(folder).origin.get(MEMBERS, [])]
        return str(folder / MEMBERS / str(labels.index(candidate.label))) if candidate.label in labels else None

    # --- trials ---

    def _trials(self, started: float) -> list[Trial]:
        """Train every candidate in turn, as long as there is time, and forecast the same windows with each."""
        candidates, trials = self._candidates(), []
        windows = self._windows()
        earlier = self._earlier_windows()
        training = [candidate for candidate in candidates if models.find_config(candidate.model).trains]
        for candidate in candidates:
            left = self.config.training.seconds - (time.monotonic() - started)
            if left < 1 and trials:
                logger.info("left out, for --time_limit has passed: %s", candidate.label)
                continue
            share = left / max(1, len(training))
            if candidate in training:
                training.remove(candidate)
            logger.info("\ncandidate: %s", candidate.label)
            trials.append(self._try(candidate, share, windows, earlier))
        return trials

    def _earlier_windows(self) -> Any:
        """Return windows over the newer half of all rows before the test, to compare what trains on none of them.

        None for many series.
        """
        if self.config.holds_many:
            return None
        windows = self.data.windows[Split.VAL]
        longest = max(windows.seq_len, max(plausible_seasons(self.sizes()["season"]), default=1))
        first = max(windows.last // 2, min(longest, windows.first + windows.seq_len)) - windows.seq_len
        whole = replace(windows, first=min(windows.first, first), every=1)
        return whole.thinned(int(np.clip(FITS // len(self.data.scored_columns), FEWEST, MOST)))

    def _windows(self) -> Any:
        """Return the validation windows to compare on: all that there is time for."""
        windows, most = self.data.windows[Split.VAL], FITS // len(self.data.scored_columns)
        return windows.thinned(max(FEWEST, most if self.config.holds_many else min(most, MOST)))

    def _dates(self, windows: Any) -> np.ndarray:
        """Return the date at which each window begins to forecast, as its place among all dates, (W,)."""
        origins = windows.origins.numpy()
        return self.data.panel.places[origins] if self.config.holds_many else origins

    def _span(self, windows: Any) -> Span:
        return Span.of(self._dates(windows), windows.pred_len)

    def _truth(self, windows: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the truth of windows (W, H, C), and where it is known."""
        batch = windows.__getitems__(range(len(windows)))
        truth = batch.y[..., self.data.scored]
        observed = scored_targets(batch, self.data)
        return truth.double().numpy(), np.ones(truth.shape, bool) if observed is None else observed.numpy()

    def _try(self, candidate: Candidate, seconds: float, windows: Any, earlier: Any) -> Trial:
        started = time.monotonic()
        model = self._trained(candidate, seconds)
        forecasts = self._forecasts(model, windows, candidate.label)
        errors, before = self._errors(forecasts, windows), None
        if earlier is not None and not model.trains:
            before = self._errors(self._forecasts(model, earlier, candidate.label), earlier)
        return Trial(candidate, model, forecasts, errors, time.monotonic() - started, before)

    def _forecasts(self, model: Model, windows: Any, name: str) -> np.ndarray:
        """Return the forecasts of a candidate, (W, H, C)."""
        alone = Combination(self.model.config, [model]).eval()  # which knows what a member cannot read
        predictor = Predictor(alone, self.compute, self.eval_batch_size(len(self.data.columns)))
        parts = [forecast.double().numpy() for _, forecast in predictor.batches(self.data, windows, name)]
        return np.concatenate(parts)

    def _trained(self, candidate: Candidate, seconds: float, epochs: int | None = None) -> Model:
        """Return the model of a candidate, trained; a training that was finished before is not repeated."""
        config = self._config_of(candidate, seconds)
        if not models.find_config(candidate.model).trains:
            kind = models.find_model(candidate.model)
            season = candidate.season or self.sizes()["season"]
            sizes = {"channels": len(self.data.columns), "season": season}
            return kind(kind.Config(config.data.seq_len, config.data.pred_len, **sizes, **config.network)).eval()
        if epochs is not None:
            config = replace(config, training=replace(config.training, train_epochs=epochs, patience=epochs))
        own = type(self).__mro__[2](config)  # the kind of experiment that this one chooses for
        own.prepare()
        if not is_trained(config):
            own.fit()
        return models.load(config.checkpoint).to(self.device)

    def _errors(self, forecasts: np.ndarray, windows: Any) -> np.ndarray:
        """Return the mean absolute error of each date and channel, (D, C)."""
        truth, observed = self._truth(windows)
        errors = np.where(observed, np.abs(forecasts - truth), 0).sum(axis=1)
        count = observed.sum(axis=1)
        return by_date(np.where(count > 0, errors / np.maximum(count, 1), np.nan), self._dates(windows))

    # --- the choice ---

    def _choose(self, trials: list[Trial]) -> None:
        """Take the best trials as the model, and say how they compare."""
        span, earlier = self._span(self.data.windows[Split.VAL]), self._earlier_windows()
        is_short = span.horizons < HORIZONS
        members = self._in_ensemble(trials, all_of_them=is_short)
        averaged = len(members) > 1
        median = self._errors(np.median([trials[i].forecasts for i in members], axis=0), self._windows())
        errors = np.stack([*(trial.errors for trial in trials), *([median] if averaged else [])])  # (trials + 1, D, C)
        labels = [*(trial.candidate.label for trial in trials), *([ENSEMBLE] if averaged else [])]
        channels, scored = len(self.data.columns), range(errors.shape[2])

        def picked(column: int) -> int:
            return choose(trials, errors, column, span, None if earlier is None else self._span(earlier))

        if averaged and (is_short or self.config.model == ENSEMBLE):
            chosen = dict.fromkeys(scored, len(trials))
        elif self.config.network.get("auto_per") == "column":
            chosen = {c: picked(c) for c in scored}
        else:
            chosen = dict.fromkeys(scored, picked(-1))
        used = np.zeros((len(trials), channels))
        for c in range(channels):
            place = chosen.get(c - (channels - len(scored)), next(iter(chosen.values())))
            used[members if place == len(trials) else [place], c] = 1
        self._say(trials, labels, errors, span, chosen)
        if averaged and is_short:
            logger.info(
                "  validation spans %.1f horizons, too few to tell the best by: the median of all but Naive is taken",
                span.horizons,
            )
        kept = np.flatnonzero(used.any(axis=1))
        self._combine([trials[i].candidate for i in kept], [trials[i].model for i in kept], used[kept])
        target_choice = chosen[max(chosen)]
        self.best = {"epoch": 1, self.score.key: float(np.nanmean(errors[target_choice, :, -1]))}

    def _in_ensemble(self, trials: list[Trial], all_of_them: bool) -> list[int]:
        """Return the places of the trials whose median is the ensemble: the best on the target, each method once.

        Args:
            all_of_them: take all that forecast more than the last value, where there are any.
        """
        means = [np.nanmean(trial.errors[:, -1]) for trial in trials]
        order = [i for i in np.argsort(means, kind="stable") if not is_twin(trials, i)]
        if not all_of_them:
            return order[:IN_ENSEMBLE]
        return [i for i in order if trials[i].candidate.model != "Naive"] or order

    def _combine(self, candidates: Sequence[Candidate], members: Sequence[Model], used: np.ndarray) -> None:
        self.model = type(self.model)(self.model.config, members, torch.tensor(used, dtype=torch.float32))
        self.model.origin = {
            MEMBERS: [
                {"label": candidate.label, "model": candidate.model, "season": candidate.season,
                 "epochs": (member.stored.best.get("epoch") if member.stored else None)}
                for candidate, member in zip(candidates, members, strict=True)
            ]
        }  # fmt: skip
        self._place()

    def _say(
        self, trials: Sequence[Trial], labels: Sequence[str], errors: np.ndarray, span: Span,
        chosen: Mapping[int, int],
    ) -> None:  # fmt: skip
        """Print how the candidates compare on the target, and keep the table."""
        target, unit = errors[..., -1], self._unit()
        means = np.nanmean(target, axis=1)
        best = int(np.argmin(means))
        rows = []
        for i, label in enumerate(labels):
            difference, uncertainty = compared(target[i], target[best], span.overlap(target.shape[1]))
            seconds = round(trials[i].seconds, 1) if i < len(trials) else None
            rows.append((label, means[i] * unit, difference * unit, uncertainty * unit, seconds))
        columns = ["candidate", "validation_mae", "minus_best", "standard_error", "seconds"]
        table = pd.DataFrame(rows, columns=columns)
        for c, name in enumerate(self.data.scored_columns):
            table[f"chosen for {name}"] = [int(chosen[c] == i) for i in range(len(labels))]
        with replacing(self.config.results / TABLE) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
        name = self.data.scored_columns[-1]
        logger.info("\n%s from %d dates of validation on, mean absolute error (difference to the best ± its error):",
                    name, target.shape[1])  # fmt: skip
        for i, (label, mean, difference, uncertainty, _) in enumerate(rows):
            mark = "  <- chosen" if chosen[max(chosen)] == i else ""
            logger.info("  %-18s %12.5g   %+.3g ± %.2g%s", label, mean, difference, uncertainty, mark)
        others = {self.data.scored_columns[c]: labels[i] for c, i in chosen.items() if i != chosen[max(chosen)]}
        if others:
            logger.info("  for other columns: %s", ", ".join(f"{name}: {label}" for name, label in others.items()))

    def _unit(self) -> float:
        """Return the standard deviation of the target in the data's units; 1 for many series, each with its own."""
        scaler = getattr(self.data, "scaler", None)
        return 1.0 if scaler is None else float(scaler.scale_[-1])

    # --- all rows ---

    def _train_members_again(self) -> None:
        """Train the members of the run's own checkpoint on all rows, for as many epochs as there."""
        tested = models.load(Path(self.config.runtime.checkpoints) / str(Path(self.config.part).parent))
        candidates = [Candidate(one["model"], one["season"]) for one in tested.origin[MEMBERS]]
        epochs = [one["epochs"] for one in tested.origin[MEMBERS]]
        seconds = self.config.seconds / max(1, sum(member.trains for member in tested.members))
        members = [self._trained(one, seconds, count) for one, count in zip(candidates, epochs, strict=True)]
        self._combine(candidates, members, tested.used.numpy())
