"""The backbone: where it comes from, what is refused, how it is split."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2Model

from layers.backbone import KNOWN_SIZES, Backbone, empty_backbone, load_backbone
from layers.branches import split_branches
from layers.lora import LoRA
from tests.conftest import LAYERS, POSITIONS, VOCABULARY, WIDTH, save_gpt2
from utils.errors import UserError


@pytest.fixture
def own_gpt2(tiny_gpt2: Path, tmp_path: Path) -> Path:
    """A copy of the tiny GPT-2 that a test may damage."""
    return shutil.copytree(tiny_gpt2, tmp_path / "own-gpt2")


def edit_config(folder: Path, **changes: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def states_equal(a: GPT2Model, b: GPT2Model) -> bool:
    one, two = a.state_dict(), b.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("layers", range(1, LAYERS + 1))
def test_pretrained_weights_of_a_folder_are_the_first_blocks_of_it(tiny_gpt2: Path, layers: int) -> None:
    stored = load_file(tiny_gpt2 / "model.safetensors")
    backbone = load_backbone(str(tiny_gpt2), "pretrained", layers)
    assert len(backbone.gpt2.h) == backbone.gpt2.config.n_layer == layers
    assert backbone.width == WIDTH
    kept = backbone.gpt2.state_dict()
    assert {name for name in kept if name.startswith("h.")} == {
        name for name in stored if name.startswith("h.") and int(name.split(".")[1]) < layers
    }
    for name, tensor in kept.items():
        assert torch.equal(tensor, stored[name]), name
    assert torch.equal(backbone.token_table, stored["wte.weight"])


@pytest.mark.parametrize("init", ["pretrained", "random"])
def test_no_token_table_stays_in_the_stack(tiny_gpt2: Path, init: str) -> None:
    backbone = load_backbone(str(tiny_gpt2), init, 1, token_table=False)
    assert backbone.token_table is None
    assert backbone.gpt2.wte is None
    assert not [name for name in backbone.gpt2.state_dict() if "wte" in name]


def test_a_known_size_starts_at_random_without_reading_anything() -> None:
    backbone = load_backbone("gpt2-tiny", "random", 2)
    assert (backbone.width, len(backbone.gpt2.h)) == (96, 2)
    assert backbone.token_table.shape == (512, 96)
    assert backbone.init == "random"


def test_every_known_size_is_a_valid_gpt2() -> None:
    for name, sizes in KNOWN_SIZES.items():
        config = GPT2Config(**sizes)
        assert config.n_embd % config.n_head == 0, name


def test_a_random_start_takes_its_sizes_from_a_config_without_weights(own_gpt2: Path) -> None:
    (own_gpt2 / "model.safetensors").unlink()
    backbone = load_backbone(str(own_gpt2), "random", 2)
    assert backbone.gpt2.wpe.weight.shape == (POSITIONS, WIDTH)
    assert backbone.token_table.shape == (VOCABULARY, WIDTH)


def test_the_same_seed_gives_the_same_random_weights_and_another_seed_others(tiny_gpt2: Path) -> None:
    def start(seed: int) -> Backbone:
        torch.manual_seed(seed)
        return load_backbone(str(tiny_gpt2), "random", 2)

    first, again, other = start(3), start(3), start(4)
    assert states_equal(first.gpt2, again.gpt2)
    assert torch.equal(first.token_table, again.token_table)
    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_the_fingerprint_follows_the_weights_and_the_number_of_blocks(tiny_gpt2: Path) -> None:
    backbone = load_backbone(str(tiny_gpt2), "pretrained", 2)
    before = backbone.fingerprint
    assert load_backbone(str(tiny_gpt2), "pretrained", 2, token_table=False).fingerprint == before
    assert load_backbone(str(tiny_gpt2), "pretrained", 3).fingerprint != before
    with torch.no_grad():
        backbone.gpt2.wpe.weight[0, 0] += 1e-3
    assert backbone.fingerprint != before


def test_a_description_is_json_and_rebuilds_the_stack(tiny_gpt2: Path) -> None:
    backbone = load_backbone(str(tiny_gpt2), "random", 2)
    described = json.loads(json.dumps(backbone.describe()))
    assert (described["name"], described["init"]) == (str(tiny_gpt2), "random")
    assert described["fingerprint"] == backbone.fingerprint
    rebuilt = empty_backbone(described["config"])
    rebuilt.load_state_dict(backbone.gpt2.state_dict())
    x = torch.randn(2, 5, WIDTH)
    ours, theirs = (m.eval()(inputs_embeds=x).last_hidden_state for m in (rebuilt, backbone.gpt2))
    assert torch.equal(ours, theirs)


def test_the_fused_gelu_gives_the_numbers_of_the_stored_model(tiny_gpt2: Path) -> None:
    theirs = GPT2Model.from_pretrained(tiny_gpt2).eval()
    ours = load_backbone(str(tiny_gpt2), "pretrained", LAYERS).gpt2.eval()
    assert theirs.config.activation_function == "gelu_new"
    assert ours.config.activation_function == "gelu_pytorch_tanh"
    x = 3 * torch.randn(2, 5, WIDTH)
    torch.testing.assert_close(ours(inputs_embeds=x)[0], theirs(inputs_embeds=x)[0])


def test_another_activation_is_left_alone(own_gpt2: Path) -> None:
    edit_config(own_gpt2, activation_function="relu")
    assert load_backbone(str(own_gpt2), "pretrained", 1).gpt2.config.activation_function == "relu"


@pytest.mark.parametrize("init", ["pretrained", "random"])
@pytest.mark.parametrize("layers", [0, LAYERS + 1])
def test_more_blocks_than_there_are_or_none_are_refused(tiny_gpt2: Path, init: str, layers: int) -> None:
    with pytest.raises(UserError, match=rf"--gpt_layers {layers}: .* has {LAYERS} blocks; choose 1 to {LAYERS}"):
        load_backbone(str(tiny_gpt2), init, layers)


@pytest.mark.parametrize("init", ["pretrained", "random"])
@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "../a/b/c", "a/b/c"])
def test_a_folder_that_is_not_there_is_not_sought_on_the_hub(name: str, init: str) -> None:
    with pytest.raises(UserError, match="there is no such folder"):
        load_backbone(name, init, 1)


def test_the_tiny_size_has_no_pretrained_weights() -> None:
    with pytest.raises(UserError, match="add --llm_init random"):
        load_backbone("gpt2-tiny", "pretrained", 1)


def test_without_network_three_ways_out_are_named() -> None:
    ways = r"(?s)'no-such-model-7f3a' cannot be had.*1\. connect.*2\. --llm FOLDER.*3\. --llm_init random"
    with pytest.raises(UserError, match=ways):
        load_backbone("no-such-model-7f3a", "pretrained", 1)


def remove_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def truncate_config(folder: Path) -> None:
    file = folder / "config.json"
    file.write_text(file.read_text()[:60])


def nest_config(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 200_000)


def binary_config(folder: Path) -> None:
    (folder / "config.json").write_bytes(b"\xff\xfe\x00")


@pytest.mark.parametrize("init", ["pretrained", "random"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove_config, "holds no config.json"),
        (truncate_config, "is not valid JSON"),
        (nest_config, "is not valid JSON"),
        (binary_config, "is not valid JSON"),
    ],
)
def test_a_damaged_config_is_refused(own_gpt2: Path, init: str, damage: Callable[[Path], None], message: str) -> None:
    damage(own_gpt2)
    with pytest.raises(UserError, match=f"own-gpt2.*{message}"):
        load_backbone(str(own_gpt2), init, 1)


@pytest.mark.parametrize("init", ["pretrained", "random"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("n_embd", "24"),
        ("n_embd", None),
        ("n_embd", [24]),
        ("n_layer", "three"),
        ("n_head", 5),
        ("n_positions", -1),
        ("activation_function", "none such"),
        ("activation_function", 3),
        ("layer_norm_epsilon", "small"),
        ("resid_pdrop", 3.0),
        ("model_type", None),
        ("model_type", "none such"),
    ],
)
def test_a_config_of_impossible_values_is_refused(own_gpt2: Path, init: str, key: str, value: object) -> None:
    edit_config(own_gpt2, **{key: value})
    with pytest.raises(UserError, match="own-gpt2: cannot read the model in this folder"):
        load_backbone(str(own_gpt2), init, 1)


@pytest.mark.parametrize("content", ["[]", "3", "null", '"gpt2"', "{}"])
def test_json_that_is_no_config_is_refused(own_gpt2: Path, content: str) -> None:
    (own_gpt2 / "config.json").write_text(content)
    with pytest.raises(UserError, match="cannot read the model in this folder"):
        load_backbone(str(own_gpt2), "pretrained", 1)


def test_a_model_that_is_no_gpt2_is_refused(own_gpt2: Path) -> None:
    edit_config(own_gpt2, model_type="bert")
    with pytest.raises(UserError, match="is a bert model; CALF needs a GPT-2"):
        load_backbone(str(own_gpt2), "random", 1)


def test_code_that_a_config_brings_along_is_neither_run_nor_asked_about(
    own_gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_gpt2 / "evil.py").write_text("from pathlib import Path\nPath(__file__).with_name('ran').touch()\n")
    edit_config(own_gpt2, model_type="evil", auto_map={"AutoConfig": "evil.Config"})
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked at the prompt"))
    with pytest.raises(UserError, match="cannot read the model in this folder"):
        load_backbone(str(own_gpt2), "pretrained", 1)
    assert not (own_gpt2 / "ran").exists()


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_truncated_weights_are_refused(own_gpt2: Path, length: int) -> None:
    file = own_gpt2 / "model.safetensors"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(UserError, match="cannot read the model in this folder"):
        load_backbone(str(own_gpt2), "pretrained", 1)


def test_weights_of_other_sizes_than_the_config_are_refused(own_gpt2: Path) -> None:
    edit_config(own_gpt2, n_embd=36)
    with pytest.raises(UserError, match="cannot read the model in this folder"):
        load_backbone(str(own_gpt2), "pretrained", 1)


def test_missing_weights_are_refused(own_gpt2: Path) -> None:
    (own_gpt2 / "model.safetensors").unlink()
    with pytest.raises(UserError, match="cannot read the model in this folder"):
        load_backbone(str(own_gpt2), "pretrained", 1)


@pytest.mark.parametrize(
    "name", ["wpe.weight", "wte.weight", "ln_f.bias", "h.0.attn.c_attn.weight", "h.0.mlp.c_fc.bias"]
)
def test_a_missing_tensor_is_named_and_never_filled_at_random(own_gpt2: Path, name: str) -> None:
    file = own_gpt2 / "model.safetensors"
    tensors = load_file(file)
    del tensors[name]
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(UserError, match=f"lack 1 tensors of a GPT-2, the first is {name}"):
        load_backbone(str(own_gpt2), "pretrained", 1)


def test_blocks_that_are_not_used_may_be_missing(own_gpt2: Path) -> None:
    file = own_gpt2 / "model.safetensors"
    save_file({n: t for n, t in load_file(file).items() if not n.startswith("h.2.")}, file, {"format": "pt"})
    assert len(load_backbone(str(own_gpt2), "pretrained", 2).gpt2.h) == 2
    with pytest.raises(UserError, match="lack 12 tensors"):
        load_backbone(str(own_gpt2), "pretrained", 3)


def test_weights_saved_with_a_language_model_head_load_too(tiny_gpt2: Path, own_gpt2: Path) -> None:
    file = own_gpt2 / "model.safetensors"
    save_file({f"transformer.{n}": t for n, t in load_file(file).items()}, file, {"format": "pt"})
    ours, theirs = (load_backbone(str(folder), "pretrained", 2) for folder in (own_gpt2, tiny_gpt2))
    assert states_equal(ours.gpt2, theirs.gpt2)


def test_reading_leaves_transformers_as_talkative_as_it_was(tiny_gpt2: Path) -> None:
    from transformers import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_backbone(str(tiny_gpt2), "pretrained", 1)
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    logging.disable_progress_bar()
    try:
        load_backbone(str(tiny_gpt2), "pretrained", 1)
        assert not logging.is_progress_bar_enabled()
    finally:
        logging.enable_progress_bar()


def test_a_backbone_of_another_seed_has_another_fingerprint(tiny_gpt2: Path, tmp_path: Path) -> None:
    other = save_gpt2(tmp_path / "other", seed=1)
    prints = {load_backbone(str(folder), "pretrained", 1).fingerprint for folder in (tiny_gpt2, other)}
    assert len(prints) == 2


@pytest.mark.parametrize("lora", [None, LoRA(r=2)])
def test_the_branches_start_with_equal_numbers_and_lora_goes_to_the_time_branch(
    tiny_gpt2: Path, lora: LoRA | None
) -> None:
    time, text = split_branches(load_backbone(str(tiny_gpt2), "pretrained", 2).gpt2, lora)
    x = torch.randn(2, 5, WIDTH)
    torch.testing.assert_close(time.eval()(inputs_embeds=x)[0], text.eval()(inputs_embeds=x)[0])
    assert not [name for name, _ in text.named_parameters() if "lora" in name]
    adapters = [name for name, _ in time.named_parameters() if "lora_A" in name]
    assert adapters == ([] if lora is None else [f"h.{i}.attn.c_attn.lora_A.default.weight" for i in range(2)])


@pytest.mark.parametrize(
    "wrong", [{"r": 0}, {"r": 2.0}, {"alpha": 0}, {"alpha": "32"}, {"dropout": 1.0}, {"dropout": -0.1}]
)
def test_adapters_of_impossible_sizes_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"LoRA\(.*r and alpha are whole numbers of at least 1"):
        LoRA(**wrong)
