"""Find the forecasters by the name they have on the command line. A new model is one more row of ``MODELS``.

Their modules are imported when asked for: PyTorch and transformers take seconds, and ``--help`` needs neither.
"""

import ast
import sys
from pathlib import Path
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from models.config import ModelConfig
from utils.errors import UserError, shown_path

if TYPE_CHECKING:
    from models.base import Model

MODELS = {
    "CALF": "models.calf:CALF",
    "GPT4TS": "models.gpt4ts:GPT4TS",
    "DLinear": "models.dlinear:DLinear",
    "PatchTST": "models.patchtst:PatchTST",
    "iTransformer": "models.itransformer:iTransformer",
    "TimesNet": "models.timesnet:TimesNet",
    "PAttn": "models.pattn:PAttn",
    "Naive": "models.naive:Naive",
    "SeasonalNaive": "models.naive:SeasonalNaive",
    "AutoETS": "models.statistical:AutoETS",
    "AutoTheta": "models.statistical:AutoTheta",
    "MSTL": "models.statistical:MSTL",
}
# Ways to choose among them, by the name that stands in their place on the command line.
CHOICES = {"auto": "models.combination:auto", "ensemble": "models.combination:ensemble"}
AVERAGE = "models.members:SeedAverage"
SEEDS = "seeds_averaged"  # in the origin of a model that averages several seeds: the seeds
# Modules of the project that a Config may use and that import nothing heavy.
LIGHT = ("models.config", "utils.flags", "utils.errors")


def __getattr__(name: str) -> Any:
    if name not in MODELS | CHOICES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return find_model(name)


def find_model(name: str) -> "type[Model]":
    """Return the class of a model; raise UserError where there is none of that name."""
    return resolve_name(_place(name))


def _place(name: str) -> str:
    places = MODELS | CHOICES
    if name not in places:
        raise UserError(f"--model {shown_path(name[:40])}: no such model; choose one of {', '.join(places)}.")
    return places[name]


def find_config(name: str) -> type[ModelConfig]:
    """Return the ``Config`` of a model without importing PyTorch.

    Of the model's file only the class statement of its Config is run, with the light imports above it. A Config that
    needs more is imported with all of its file.
    """
    place, _, class_name = _place(name).partition(":")
    if place in sys.modules:
        return find_model(name).Config
    file = Path(__file__).parent.parent / f"{place.replace('.', '/')}.py"
    module = ast.parse(file.read_text(encoding="utf-8"))
    model = next(node for node in module.body if isinstance(node, ast.ClassDef) and node.name == class_name)
    config = next((node for node in model.body if isinstance(node, ast.ClassDef) and node.name == "Config"), None)
    if config is None:
        return ModelConfig
    light = [node for node in module.body if isinstance(node, ast.Import | ast.ImportFrom) and _is_light(node)]
    names: dict[str, Any] = {"Model": SimpleNamespace(Config=ModelConfig), "__name__": place}
    try:
        exec(compile(ast.Module([*light, config], []), str(file), "exec"), names)
    except NameError:
        return find_model(name).Config
    return names["Config"]


def _is_light(statement: ast.Import | ast.ImportFrom) -> bool:
    named = statement.module or "" if isinstance(statement, ast.ImportFrom) else statement.names[0].name
    return named in LIGHT or named.split(".")[0] in sys.stdlib_module_names


def load(folder: str | Path, merge: bool = False, **options: Any) -> "Model":
    """Load whatever model a checkpoint holds, in evaluation mode on the CPU; no code from a file is run.

    Args:
        folder: a checkpoint folder, or a repository of the Hugging Face hub (``user/name``).
        merge: fold adapters into the weights, for a model that will only forecast.
        options: of ``huggingface_hub.snapshot_download``.

    Raises:
        UserError: there is none, it is damaged, or its parts do not fit together.
    """
    from models.checkpoint import find_checkpoint, read_stored

    stored = read_stored(find_checkpoint(folder, **options))
    if stored.name not in MODELS | CHOICES:
        where, name = shown_path(stored.folder), shown_path(stored.name[:40])
        raise UserError(f"{where} holds a model {name}, which is not one of {', '.join(MODELS | CHOICES)}.")
    kind = resolve_name(AVERAGE) if SEEDS in stored.origin else find_model(stored.name)
    return kind.from_stored(stored, merge)


def from_public(folder: str | Path) -> "Model":
    """Load the weights of a public implementation, in evaluation mode.

    The folder holds ``config.json`` (``model``, its name here, and the sizes) and ``weights.safetensors`` with the
    tensors under that implementation's names.

    Raises:
        UserError: a file cannot be read, the model is unknown, or the tensors do not fit the sizes.
    """
    from models.tensors import read_public

    sizes, tensors = read_public(Path(folder))
    try:
        return find_model(sizes["model"]).from_public(sizes, tensors)
    except UserError as error:
        raise UserError(f"{shown_path(folder)} cannot be loaded: {error}") from error
