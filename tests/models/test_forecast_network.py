"""What is loaded to forecast: the same numbers as the whole model, and nothing that is not needed."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from layers import hub
from layers.backbone import load_backbone
from layers.lora import LoRA
from models.forecast_network import load_forecast_network
from models.stored import load_model
from tests.conftest import save_gpt2
from tests.models.conftest import LOW_RANK
from tests.models.test_stored import CONFIG, Code, add, drop, holder, read_config, reshape, save, write_config
from utils.errors import UserError
from utils.fingerprint import fingerprint

INITS = ("pretrained", "random", "local")


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("lora", [LOW_RANK, None], ids=["lora", "no lora"])
@pytest.mark.parametrize("task", ["long_term_forecast", "short_term_forecast"])
def test_it_forecasts_what_the_whole_model_forecasts(
    tmp_path: Path, tiny_gpt2: Path, init: str, lora: LoRA | None, task: str
) -> None:
    model = save(tmp_path, tiny_gpt2, init, replace(CONFIG, lora=lora, task_name=task))
    network, config = load_forecast_network(tmp_path)
    x = torch.randn(4, 7, 3)
    with torch.no_grad(), model.merged_adapters():
        torch.testing.assert_close(network(x), model(x).forecast, rtol=1e-5, atol=1e-6)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(network(x), model(x).forecast, rtol=0.05, atol=0.05)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert config["data"] == {"columns": ["a", "b", "OT"]}


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_a_backbone_is_read_without_transformers_from_any_layout_of_its_file(tmp_path: Path, prefix: str) -> None:
    folder = save_gpt2(tmp_path / "gpt2")
    path = folder / "model.safetensors"
    tensors = {prefix + name.removeprefix("transformer."): tensor for name, tensor in load_file(path).items()}
    masks = {f"{prefix}h.0.attn.bias": torch.ones(1, 1, 16, 16), f"{prefix}h.0.attn.masked_bias": torch.zeros(1)}
    half = len(tensors) // 2
    names = sorted(tensors)
    path.unlink()
    save_file({name: tensors[name] for name in names[:half]} | masks, folder / "model-00001-of-00002.safetensors")
    save_file({name: tensors[name] for name in names[half:]}, folder / "model-00002-of-00002.safetensors")
    read = hub.read_gpt2(str(folder), 2)
    original = load_backbone(str(save_gpt2(tmp_path / "again")), "pretrained", 2)
    assert fingerprint(read) == original.fingerprint


def test_another_backbone_under_the_same_name_is_refused(tmp_path: Path) -> None:
    gpt2 = save_gpt2(tmp_path / "gpt2")
    save(tmp_path / "checkpoint", gpt2, "pretrained")
    save_gpt2(gpt2, seed=1)
    with pytest.raises(UserError, match=r"checkpoint cannot be loaded: it was trained on .* with fingerprint"):
        load_forecast_network(tmp_path / "checkpoint")


def test_a_backbone_that_is_gone_is_named(tmp_path: Path) -> None:
    gpt2 = save_gpt2(tmp_path / "gpt2")
    save(tmp_path / "checkpoint", gpt2, "pretrained")
    gpt2.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=f"{gpt2}: there is no such folder"):
        load_forecast_network(tmp_path / "checkpoint")


def test_loading_imports_nothing_that_only_training_needs(tmp_path: Path, tiny_gpt2: Path) -> None:
    save(tmp_path, tiny_gpt2, "local")
    code = (
        "import sys; from pathlib import Path; from models.forecast_network import load_forecast_network; "
        f"load_forecast_network(Path({str(tmp_path)!r})); "
        "print({'transformers', 'peft', 'sklearn', 'scipy', 'matplotlib', 'pandas'} & set(sys.modules))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_only_the_tensors_of_the_forecast_are_read(
    tmp_path: Path, tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models import forecast_network

    save(tmp_path, tiny_gpt2, "local")
    read: list[str] = []
    opened = forecast_network.safe_open

    class Spy:
        def __init__(self, *args: object) -> None:
            self.file = opened(*args)

        def __enter__(self) -> "Spy":
            self.inner = self.file.__enter__()
            return self

        def __exit__(self, *error: object) -> None:
            self.file.__exit__(*error)

        def keys(self) -> list[str]:
            return self.inner.keys()

        def get_tensor(self, name: str) -> Tensor:
            read.append(name)
            return self.inner.get_tensor(name)

    monkeypatch.setattr(forecast_network, "safe_open", Spy)
    load_forecast_network(tmp_path)
    assert read
    assert not [name for name in read if name.startswith(("text_", "match", "time_proj"))]


def nan(tensors: dict[str, Tensor]) -> None:
    tensors["head.bias"][0] = torch.nan


def double(tensors: dict[str, Tensor]) -> None:
    tensors["head.bias"] = tensors["head.bias"].double()


def lose_adapter(tensors: dict[str, Tensor]) -> None:
    del tensors["time_gpt2.h.0.attn.c_attn.lora_A.default.weight"]


@pytest.mark.parametrize("damage", [drop, reshape, nan, double, lose_adapter])
def test_tensors_that_cannot_be_used_are_refused(
    tmp_path: Path, tiny_gpt2: Path, damage: Callable[[dict[str, Tensor]], None]
) -> None:
    save(tmp_path, tiny_gpt2, "local")
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    damage(tensors)
    save_file(tensors, file)
    with pytest.raises(UserError, match=r"model\.safetensors"):
        load_forecast_network(tmp_path)


def test_tensors_it_does_not_need_do_not_matter(tmp_path: Path, tiny_gpt2: Path) -> None:
    save(tmp_path, tiny_gpt2, "local")
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    add(tensors)
    before, _ = load_forecast_network(tmp_path)
    save_file(tensors, file)
    network, _ = load_forecast_network(tmp_path)
    x = torch.randn(2, 7, 3)
    assert torch.equal(network(x), before(x))


@pytest.mark.parametrize("length", [0, 4, 8, 100, 4000, -1])
def test_truncated_weights_are_refused(tmp_path: Path, tiny_gpt2: Path, length: int) -> None:
    save(tmp_path, tiny_gpt2, "local")
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(UserError, match=r"model\.safetensors is damaged"):
        load_forecast_network(tmp_path)


def test_a_pickle_in_place_of_the_weights_is_refused_and_not_run(tmp_path: Path, tiny_gpt2: Path) -> None:
    save(tmp_path, tiny_gpt2, "local")
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Code(tmp_path / "ran")))
    load_forecast_network(tmp_path)  # what else lies there is not even opened
    (tmp_path / "model.safetensors").write_bytes(pickle.dumps(Code(tmp_path / "ran")))
    with pytest.raises(UserError, match=r"model\.safetensors is damaged"):
        load_forecast_network(tmp_path)
    torch.save({"head.weight": Code(tmp_path / "ran")}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"model\.safetensors is damaged"):
        load_forecast_network(tmp_path)
    assert not (tmp_path / "ran").exists()


SIZES = [("model", key) for key in ("seq_len", "pred_len", "channels")]
SIZES += [("backbone", "config", key) for key in ("n_embd", "n_head", "n_positions", "n_layer")]


IMPOSSIBLE = (10**9, 10**30, -1, 0, 1.5, "7", None, [7], True)
# The whole model is built in memory: there, sizes of which a machine may have enough are not tried.
TRIED = [
    (load, path, wrong)
    for load in (load_forecast_network, load_model)
    for path in SIZES
    for wrong in IMPOSSIBLE
    if load is load_forecast_network or wrong != 10**9 or path[-1] == "n_layer"
]


@pytest.mark.parametrize(("load", "path", "wrong"), TRIED)
def test_sizes_that_cannot_be_are_refused_without_building_them(
    tmp_path: Path, tiny_gpt2: Path, load: Callable[[Path], object], path: tuple[str, ...], wrong: object
) -> None:
    save(tmp_path, tiny_gpt2, "local")
    config = read_config(tmp_path)
    holder(config, path)[path[-1]] = wrong
    write_config(tmp_path, config)
    with pytest.raises(UserError, match=str(tmp_path)):
        load(tmp_path)


@pytest.mark.parametrize("part", ["model", "backbone", "backbone.config"])
@pytest.mark.parametrize("wrong", [None, 3, [], "text", {}])
def test_parts_of_a_wrong_kind_are_refused(tmp_path: Path, tiny_gpt2: Path, part: str, wrong: object) -> None:
    save(tmp_path, tiny_gpt2, "local")
    config = read_config(tmp_path)
    path = tuple(part.split("."))
    holder(config, path)[path[-1]] = wrong
    write_config(tmp_path, config)
    with pytest.raises(UserError, match=str(tmp_path)):
        load_forecast_network(tmp_path)
