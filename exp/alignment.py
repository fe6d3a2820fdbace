"""Show and measure how near a model's temporal tokens come to the words of its language model (CALF, figure 1).

``python -m exp.alignment --load checkpoints/CALF_… --load checkpoints/GPT4TS_…`` writes to ``results/alignment/``:
``tokens.png``, the tokens that each model gives its language model beside the words, in one t-SNE; ``layers_*.png``, a
t-SNE of words and tokens after each block; ``attention_*.png``, which words the channels of CALF attend to; and the
numbers of all pictures as CSV, with the distances between the clouds in ``distances.csv``.
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

import models
from data_provider.factory import load_data
from data_provider.windows import Batch, Split
from exp.options import RuntimeOptions
from exp.runs import trained_config
from layers.backbone import Stack, load_backbone
from layers.branches import branch_states
from layers.hub import CONFIG, find_model, first_line
from layers.word_embeddings import DEFAULT_COMPONENTS, make_word_embeddings
from models.calf import CALF
from models.checkpoint import find_checkpoint
from models.config import STAND_INS
from models.on_backbone import OnBackbone
from utils.alignment import Distances, distances, largest_by_chance, linear_cka
from utils.command import Parser, run_command, typed
from utils.errors import UserError, shown_path
from utils.files import replacing
from utils.plots import plot_clouds, plot_heat_map

logger = logging.getLogger("calf")

SHOWN_WORDS, NEAREST = 5, 5  # words printed for a channel, tokens named for a word
MOST = 10_000  # windows or points
WORDS, HALF = "words", "half of the words"
TOKENS = {"time": "temporal tokens", "text": "text tokens"}
PAIRS = [("time", WORDS), ("text", WORDS), ("time", "text"), ("projected time", "projected text")]
COLUMNS = ["model", "layer", "first", "second", *Distances._fields, "cka"]


@dataclass(frozen=True)
class Examined:
    """A trained model, and the states of its branches on some windows.

    Attributes:
        windows: what it saw.
        states: by branch, ``time`` first: (S, D) after each of the N blocks, the tokens themselves first; equal rows
            belong together. ``projected time`` and ``projected text`` are what the feature loss compares.
        words: (K, D), likewise, of the words as one sequence, as far as there are positions for them.
    """

    name: str
    model: OnBackbone
    columns: tuple[str, ...]
    windows: Batch
    states: dict[str, list[np.ndarray]]
    words: list[np.ndarray]

    @property
    def layers(self) -> list[str]:
        """Return the names of the layers."""
        return ["tokens", *(f"block {n}" for n in range(1, len(self.words)))]


def load(folder: Path) -> OnBackbone:
    """Load a model; raise UserError where no language model makes its forecast."""
    model = models.load(folder)
    backbone = getattr(model.config, "backbone", "") not in STAND_INS
    if not (isinstance(model, OnBackbone) and "backbone" in model.origin and backbone):
        raise UserError(f"--load {shown_path(folder)}: its forecast is not made by a language model.")
    return model


def words_for(loaded: Sequence[OnBackbone]) -> Tensor:
    """Return the words (K, D) of the first model that has some, else principal words of the first language model."""
    for model in loaded:
        if isinstance(model, CALF) and model.match is not None:
            return model.match.words.detach()
    origin, config = loaded[0].origin["backbone"], loaded[0].config
    if origin["init"] == "random":
        raise UserError("the token table of a random language model is not kept: --load a CALF with its words as well.")
    backbone = load_backbone(config.llm, "pretrained", 1)
    return make_word_embeddings(backbone, min(DEFAULT_COMPONENTS, *backbone.token_table.shape)).words


def examine(name: str, model: OnBackbone, words: Tensor, windows: int, points: int) -> Examined:
    """Run a model on evenly spaced test windows of the data it was trained on.

    Args:
        windows: how many.
        points: most rows of each cloud, chosen at random, of all branches the same.

    Raises:
        UserError: the data are not there, or the words have another width.
    """
    config = trained_config(model.stored.folder, RuntimeOptions())
    data = load_data(config.data.parts[0], marks=model.config.reads_marks)
    test = data.windows[Split.TEST]
    chosen = np.unique(np.linspace(0, len(test) - 1, windows).round().astype(int))
    batch = test.__getitems__(chosen.tolist())
    with torch.inference_mode(), model.merged_adapters():
        inputs = model.branch_inputs(batch.x, **batch.covariates)
        language_model, tokens = inputs["time"]
        if tokens.shape[-1] != words.shape[1]:
            widths = f"has width {tokens.shape[-1]}, the words have {words.shape[1]}"
            raise UserError(f"{name} {widths}: --load models on one language model.")
        states = {branch: [one[:, model.config.known :] for one in branch_states(*of)] for branch, of in inputs.items()}
        if isinstance(model, CALF) and model.time_projections:
            output = model.branches(batch.x, **batch.covariates)
            states |= {"projected time": output.time_features, "projected text": output.text_features}
        of_words = branch_states(language_model, words[None, : Stack(language_model).positions])
    flat = {branch: [_rows(state) for state in of_branch] for branch, of_branch in states.items()}
    rows = np.sort(np.random.default_rng(0).permutation(len(flat["time"][0]))[:points])
    states = {branch: [state[rows] for state in of_branch] for branch, of_branch in flat.items()}
    return Examined(name, model, data.columns, batch, states, [_rows(state) for state in of_words])


def _rows(state: Tensor) -> np.ndarray:
    return state.float().flatten(0, -2).numpy()


def measure(one: Examined) -> Iterator[dict[str, object]]:
    """Yield a row of distances for each layer and each two clouds; the last of a layer is of halves of the words."""
    for n, layer in enumerate(one.layers):
        clouds = {"words": one.words[n], **{branch: states[n] for branch, states in one.states.items()}}
        for first, second in PAIRS:
            if first in clouds and second in clouds:
                row = {"model": one.name, "layer": layer, "first": first, "second": second}
                together = second != "words"  # a row of one cloud belongs to that of the other
                cka = linear_cka(clouds[first], clouds[second]) if together else None
                yield {**row, **distances(clouds[first], clouds[second])._asdict(), "cka": cka}
        chance = largest_by_chance(one.words[n], np.random.default_rng(0))
        yield {"model": one.name, "layer": layer, "first": HALF, "second": HALF, **chance._asdict(), "cka": None}


def embed(clouds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return one t-SNE (van der Maaten and Hinton 2008) of several clouds (N, D): coordinates (N, 2) by name."""
    from sklearn.manifold import TSNE

    points = np.concatenate(list(clouds.values()))
    perplexity = min(30.0, (len(points) - 1) / 3)
    places = TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(points)
    ends = np.cumsum([len(cloud) for cloud in clouds.values()])[:-1]
    return dict(zip(clouds, np.split(places, ends), strict=True))


def draw(folder: Path, examined: Sequence[Examined], table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Draw all clouds; yield the name of each picture with its coordinates."""
    tokens = {one.name: one.states["time"][0] for one in examined}
    places = embed({WORDS: examined[0].words[0], **tokens})
    titles = {one.name: f"{one.name}\n{_beside(table, one.name, 'tokens', 'time')}" for one in examined}
    panels = {titles[name]: {WORDS: places[WORDS], TOKENS["time"]: places[name]} for name in tokens}
    plot_clouds(folder / "tokens.png", [panels], "Words, and the tokens given to the language model: one t-SNE")
    yield "tokens", _coordinates({("", "tokens"): places})
    for one in examined:
        branches = [branch for branch in one.states if branch in TOKENS]
        found = {}
        for n, layer in enumerate(one.layers):
            found[one.name, layer] = embed({WORDS: one.words[n], **{b: one.states[b][n] for b in branches}})
        rows = [
            {
                f"{branch} branch, {layer}\n{_beside(table, one.name, layer, branch)}": {
                    WORDS: of_layer[WORDS],
                    TOKENS[branch]: of_layer[branch],
                }
                for (_, layer), of_layer in found.items()
            }
            for branch in branches
        ]
        plot_clouds(folder / f"layers_{one.name}.png", rows, f"{one.name}: words and tokens, a t-SNE for each layer")
        yield f"layers_{one.name}", _coordinates(found)


def _beside(table: pd.DataFrame, model: str, layer: str, branch: str) -> str:
    """Return the numbers that stand beside a panel."""
    wanted = (table.model == model) & (table.layer == layer) & (table["first"] == branch) & (table.second == WORDS)
    row = table[wanted].iloc[0]
    return f"centroids {row.centroids:.2f}, MMD² {row.mmd2:.3f}"


def _coordinates(found: Mapping[tuple[str, str], Mapping[str, np.ndarray]]) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"model": model, "layer": layer, "cloud": cloud, "x": points[:, 0], "y": points[:, 1]})
        for (model, layer), clouds in found.items()
        for cloud, points in clouds.items()
    ]
    return pd.concat(parts, ignore_index=True)


def attention(one: Examined) -> pd.DataFrame:
    """Return how much each channel (C rows) attends to each word (K columns), times K: 1 is an even share.

    The mean over the windows and heads of the match (section 3.2).
    """
    model = one.model
    with torch.inference_mode():
        weights = model.match.weights(model.channel_tokens(one.windows.x, **one.windows.covariates)).mean(0)  # (C, K)
    names = [one.columns[i] for i in model.order.tolist()]
    shares = (weights * weights.shape[1]).numpy()
    return pd.DataFrame(shares, index=pd.Index(names, name="channel"), columns=range(shares.shape[1]))


def nearest_tokens(model: CALF) -> pd.DataFrame:
    """Return the tokens nearest to each word by the size of their cosine, the nearest first.

    Raises:
        UserError: the token table cannot be had.
    """
    config = model.config
    if config.llm_init == "random":
        raise UserError("its language model is random: its words are near to no meaning")
    table = load_backbone(config.llm, "pretrained", 1).token_table
    unit = torch.nn.functional.normalize
    cosines = unit(model.match.words.detach(), dim=1) @ unit(table, dim=1).T  # (K, V)
    ids = cosines.abs().topk(min(NEAREST, len(table)), dim=1).indices
    names = _token_names(config.llm, ids.flatten().tolist())
    rows = np.arange(len(ids)).repeat(ids.shape[1])
    found = cosines.gather(1, ids).flatten().numpy()
    return pd.DataFrame({"word": rows, "token": ids.flatten().numpy(), "text": names, "cosine": found})


def _token_names(llm: str, ids: Sequence[int]) -> list[str | None]:
    """Return how tokens are written, by the tokenizer beside the language model; None each where there is none."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(find_model(llm, (CONFIG, "tokenizer*")), local_files_only=True)
        return [str(name) for name in tokenizer.convert_ids_to_tokens(ids)]
    except Exception as error:  # a missing or foreign tokenizer can surface as anything inside transformers
        logger.info("note: no tokenizer of %s (%s): tokens are numbers", shown_path(llm), first_line(error))
        return [None] * len(ids)


def describe(table: pd.DataFrame) -> Iterator[str]:
    """Yield the distances as lines, and for each model what they say of the tokens that the language model is given."""
    yield table.to_string(index=False, float_format="{:.4g}".format, na_rep="")
    yield "centroids and covariances in spreads of the second cloud; halves of the words: the largest of 20 splits"
    for name, rows in table.groupby("model", sort=False):
        for layer in dict.fromkeys((rows.layer.iloc[0], rows.layer.iloc[-1])):
            of_layer = rows[rows.layer == layer].set_index(["first", "second"])
            time, chance = of_layer.loc[("time", WORDS)], of_layer.loc[(HALF, HALF)]
            apart = [measure for measure in ("centroids", "covariances", "mmd2") if time[measure] > chance[measure]]
            verdict = "one cloud with" if not apart else f"apart by {', '.join(apart)} from"
            yield f"{name}, {layer}: the temporal tokens are {verdict} the words (beyond what halves of the words are)."


def work(folders: Sequence[str], windows: int, points: int, output: Path) -> None:
    """Examine the models and write everything that the module's first lines name."""
    loaded = [load(find_checkpoint(folder)) for folder in folders]
    kinds = [type(model).__name__ for model in loaded]
    names = [kind if kinds.count(kind) == 1 else f"{kind}_{kinds[: i + 1].count(kind)}" for i, kind in enumerate(kinds)]
    words = words_for(loaded)
    examined = [examine(name, model, words, windows, points) for name, model in zip(names, loaded, strict=True)]
    for name, folder in zip(names, folders, strict=True):
        logger.info("%s: %s", name, shown_path(folder))
    table = pd.DataFrame([row for one in examined for row in measure(one)], columns=COLUMNS)
    _write(output / "distances.csv", table)
    for name, coordinates in draw(output, examined, table):
        _write(output / f"{name}.csv", coordinates)
    for line in describe(table):
        logger.info(line)
    for one in examined:
        if isinstance(one.model, CALF) and one.model.match is not None:
            _describe_match(one, output)
    logger.info("written to %s", shown_path(output))


def _describe_match(one: Examined, output: Path) -> None:
    shares = attention(one)
    _write(output / f"attention_{one.name}.csv", shares.reset_index())
    title = f"{one.name}: attention of the channels to the words, times the even share"
    plot_heat_map(output / f"attention_{one.name}.png", shares.to_numpy(), list(shares.index), title, "principal word")
    try:
        near = nearest_tokens(one.model)
    except UserError as error:
        logger.info("note: %s: no tokens are named: %s", one.name, error)
        return
    _write(output / f"words_{one.name}.csv", near)
    shown = near.text.fillna(near.token.astype(str)).groupby(near.word).agg(" ".join)
    for channel, row in shares.iterrows():
        best = row.sort_values(ascending=False)[:SHOWN_WORDS]
        told = "; ".join(f"{word} ({share:.1f}: {shown[word]})" for word, share in best.items())
        logger.info("%s, %s attends to words %s", one.name, channel, told)


def _write(path: Path, table: pd.DataFrame) -> None:
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Return exit code 0, or 2 after one message when a checkpoint cannot be used."""
    parser = Parser("python -m exp.alignment", description=__doc__.splitlines()[0], allow_abbrev=False,
                    formatter_class=argparse.ArgumentDefaultsHelpFormatter)  # fmt: skip
    parser.add_argument("--load", action="append", required=True, help="checkpoint of CALF or GPT4TS; may come again")
    parser.add_argument("--windows", type=_count, default=128, help="test windows, evenly spaced")
    parser.add_argument("--points", type=_count, default=500, help="tokens of each cloud at most, chosen at random")
    parser.add_argument("--output", default="results/alignment", help="folder for pictures and CSV files")
    args = parser.parse_args(argv)
    return run_command(
        lambda: work(args.load, args.windows, args.points, Path(args.output)), typed("-m exp.alignment", argv)
    )


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 2 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"{text[:40]} is no whole number from 2 to {MOST:,}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
