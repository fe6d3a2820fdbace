"""The backbone: where it comes from, what is refused, how it is split."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2Model

from layers.backbone import Backbone, Stack, load_backbone, remake_backbone
from layers.branches import copy_branch
from layers.families import FAMILIES, checked_config
from layers.lora import add_adapters
from tests.conftest import LAYERS, POSITIONS, VOCABULARY, WIDTH, save_gpt2
from tests.helpers.forked import ROOT
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
    assert len(backbone.model.h) == backbone.model.config.n_layer == layers
    assert backbone.width == WIDTH
    kept = backbone.model.state_dict()
    assert {name for name in kept if name.startswith("h.")} == {
        name for name in stored if name.startswith("h.") and int(name.split(".")[1]) < layers
    }
    for name, tensor in kept.items():
        assert torch.equal(tensor, stored[name]), name
    assert torch.equal(backbone.token_table, stored["wte.weight"])


@pytest.mark.parametrize("init", ["pretrained", "random"])
def test_no_token_table_stays_in_the_stack(tiny_gpt2: Path, init: str) -> None:
    backbone = load_backbone(str(tiny_gpt2), init, 1)
    assert backbone.model.get_input_embeddings() is None
    assert not [name for name in backbone.model.state_dict() if "wte" in name]


def test_a_known_size_starts_at_random_without_reading_anything() -> None:
    backbone = load_backbone("gpt2-tiny", "random", 2)
    assert (backbone.width, len(backbone.model.h)) == (96, 2)
    assert backbone.token_table.shape == (512, 96)
    assert backbone.origin["init"] == "random"


def test_every_known_size_is_a_valid_gpt2() -> None:
    for name, sizes in FAMILIES["gpt2"].sizes.items():
        config = GPT2Config(**sizes)
        assert config.n_embd % config.n_head == 0, name


def test_a_random_start_takes_its_sizes_from_a_config_without_weights(own_gpt2: Path) -> None:
    (own_gpt2 / "model.safetensors").unlink()
    backbone = load_backbone(str(own_gpt2), "random", 2)
    assert backbone.model.wpe.weight.shape == (POSITIONS, WIDTH)
    assert backbone.token_table.shape == (VOCABULARY, WIDTH)


def test_the_same_seed_gives_the_same_random_weights_and_another_seed_others(tiny_gpt2: Path) -> None:
    def start(seed: int) -> Backbone:
        torch.manual_seed(seed)
        return load_backbone(str(tiny_gpt2), "random", 2)

    first, again, other = start(3), start(3), start(4)
    assert states_equal(first.model, again.model)
    assert torch.equal(first.token_table, again.token_table)
    prints = [start.origin["fingerprint"] for start in (first, again, other)]
    assert prints[0] == prints[1] != prints[2]


def test_the_fingerprint_follows_the_weights_and_the_number_of_blocks(tiny_gpt2: Path) -> None:
    backbone = load_backbone(str(tiny_gpt2), "pretrained", 2)
    before = backbone.origin["fingerprint"]
    assert load_backbone(str(tiny_gpt2), "pretrained", 2).origin["fingerprint"] == before
    assert load_backbone(str(tiny_gpt2), "pretrained", 3).origin["fingerprint"] != before
    with torch.no_grad():
        backbone.model.wpe.weight[0, 0] += 1e-3
    assert Backbone.of(backbone.model).origin["fingerprint"] != before


def test_a_description_is_json_and_rebuilds_the_stack(tiny_gpt2: Path) -> None:
    backbone = load_backbone(str(tiny_gpt2), "random", 2)
    described = json.loads(json.dumps(backbone.origin))
    assert (described["name"], described["init"]) == (str(tiny_gpt2), "random")
    rebuilt = remake_backbone(described, weights=True)
    assert rebuilt.origin == backbone.origin
    rebuilt.model.load_state_dict(backbone.model.state_dict())
    x = torch.randn(2, 5, WIDTH)
    ours, theirs = (m.eval()(inputs_embeds=x).last_hidden_state for m in (rebuilt.model, backbone.model))
    assert torch.equal(ours, theirs)


def test_the_fused_gelu_gives_the_numbers_of_the_stored_model(tiny_gpt2: Path) -> None:
    theirs = GPT2Model.from_pretrained(tiny_gpt2).eval()
    ours = load_backbone(str(tiny_gpt2), "pretrained", LAYERS).model.eval()
    assert theirs.config.activation_function == "gelu_new"
    assert ours.config.activation_function == "gelu_pytorch_tanh"
    x = 3 * torch.randn(2, 5, WIDTH)
    torch.testing.assert_close(ours(inputs_embeds=x)[0], theirs(inputs_embeds=x)[0])


def test_another_activation_is_left_alone(own_gpt2: Path) -> None:
    edit_config(own_gpt2, activation_function="relu")
    assert load_backbone(str(own_gpt2), "pretrained", 1).model.config.activation_function == "relu"


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


def nan_in_config(folder: Path) -> None:
    edit_config(folder, layer_norm_epsilon=float("nan"))


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
        (nan_in_config, "is not valid JSON"),
    ],
)
def test_a_damaged_config_is_refused(own_gpt2: Path, init: str, damage: Callable[[Path], None], message: str) -> None:
    damage(own_gpt2)
    with pytest.raises(UserError, match=f"own-gpt2.*{message}"):
        load_backbone(str(own_gpt2), init, 1)


IMPOSSIBLE = [
    ("n_embd", "24", "expected int, got str"),
    ("n_embd", None, "expected int, got NoneType"),
    ("n_embd", [24], "expected int, got list"),
    ("n_embd", 24.0, "expected int, got float"),
    ("n_embd", 0, "n_embd is 0; it has to be from 1 to 1,048,576"),
    ("hidden_size", 0, "n_embd is 0"),
    ("n_embd", 10**30, "n_embd is 1000"),
    ("n_layer", "three", "expected int, got str"),
    ("n_layer", -1, "n_layer is -1"),
    ("n_layer", 10**5, "100,000 blocks, more than 1,000"),
    ("n_head", 0, "n_head is 0"),
    ("n_head", 5, "width 24 cannot be divided among 5 attention heads"),
    ("n_positions", -1, "n_positions is -1"),
    ("n_positions", 20_000_000, "n_positions is 20000000"),
    ("n_inner", 0, "n_inner is 0"),
    ("n_inner", 10**8, "n_inner is 100000000"),
    ("vocab_size", True, "expected int, got bool"),
    ("activation_function", "none such", "activation_function is 'none such'; there is no such function"),
    ("activation_function", 3, "expected str, got int"),
    ("layer_norm_epsilon", "small", "expected float, got str"),
    ("layer_norm_epsilon", 1e300, r"layer_norm_epsilon is 1e\+300"),
    ("initializer_range", -0.5, "initializer_range is -0.5"),
    ("resid_pdrop", 3.0, "resid_pdrop is 3.0; it has to be from 0 to 1"),
    ("scale_attn_weights", "yes", "expected bool, got str"),
    ("model_type", None, r"does not say its family \(model_type\)"),
    ("model_type", ["gpt2"], r"does not say its family \(model_type\)"),
    ("model_type", "t5", "is a t5 model; this program knows gpt2"),
    ("model_type", "\x1b[31m", r"is a \\x1b\[31m model"),
]


@pytest.mark.parametrize("init", ["pretrained", "random"])
@pytest.mark.parametrize(("key", "value", "message"), IMPOSSIBLE)
def test_a_config_of_impossible_values_is_refused(
    own_gpt2: Path, init: str, key: str, value: object, message: str
) -> None:
    edit_config(own_gpt2, **{key: value})
    with pytest.raises(UserError, match=f"own-gpt2: the backbone.*{message}"):
        load_backbone(str(own_gpt2), init, 1)


@pytest.mark.parametrize(("key", "value", "message"), IMPOSSIBLE)
def test_impossible_values_in_a_checkpoint_are_refused(tiny_gpt2: Path, key: str, value: object, message: str) -> None:
    origin = load_backbone(str(tiny_gpt2), "random", 2).origin
    remake_backbone(origin, weights=False)
    with pytest.raises(UserError, match=message):
        remake_backbone({**origin, "config": {**origin["config"], key: value}}, weights=False)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", 5),
        ("name", ""),
        ("init", "frozen"),
        ("init", ["random"]),
        ("fingerprint", "a72606675f2"),
        ("fingerprint", 5),
        ("stored", "yes"),
        ("stored", False),
        ("config", []),
        ("config", None),
    ],
)
def test_a_record_with_a_wrong_part_is_refused(key: str, value: object) -> None:
    origin = load_backbone("gpt2-tiny", "random", 1).origin
    for wrong in ({**origin, key: value}, {name: part for name, part in origin.items() if name != key}, [], None):
        with pytest.raises(UserError):
            remake_backbone(wrong, weights=False)


@pytest.mark.parametrize("config", [[], 3, None, "gpt2", {}])
def test_what_is_no_configuration_is_refused(config: object, own_gpt2: Path) -> None:
    with pytest.raises(UserError, match="does not say its family"):
        checked_config(config)
    (own_gpt2 / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="own-gpt2: the backbone's configuration does not say its family"):
        load_backbone(str(own_gpt2), "pretrained", 1)


def test_what_the_computation_does_not_depend_on_is_not_taken_from_a_config(own_gpt2: Path) -> None:
    edit_config(own_gpt2, return_dict=False, dtype="float8", to_diff_dict=1, attn_implementation="none", n_ctx=16)
    backbone = load_backbone(str(own_gpt2), "random", 1)
    assert backbone.model.config.return_dict
    assert "n_ctx" not in backbone.origin["config"]


def test_sizes_beyond_the_machine_are_refused_before_memory_is_taken(own_gpt2: Path) -> None:
    edit_config(own_gpt2, n_embd=2**20, n_head=1)
    with pytest.raises(UserError, match=r"describes [\d,]+ parameters, more than this machine's memory can hold"):
        load_backbone(str(own_gpt2), "random", 1)


def test_sizes_beyond_the_weights_are_refused_before_memory_is_taken(own_gpt2: Path) -> None:
    edit_config(own_gpt2, n_positions=2**20)
    with pytest.raises(UserError, match=r"describes [\d,]+ parameters, more than its files of weights can hold"):
        load_backbone(str(own_gpt2), "pretrained", 1)


@pytest.mark.parametrize("init", ["pretrained", "random"])
def test_a_config_that_is_no_file_is_refused(own_gpt2: Path, init: str) -> None:
    (own_gpt2 / "config.json").unlink()
    os.mkfifo(own_gpt2 / "config.json")
    with pytest.raises(UserError, match=r"config\.json is not a regular file"):
        load_backbone(str(own_gpt2), init, 1)


def test_a_bug_in_building_the_model_is_no_message_about_files(
    tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = load_backbone(str(tiny_gpt2), "random", 1).origin
    monkeypatch.setattr(GPT2Model, "post_init", lambda model: model.wrods)
    with pytest.raises(AttributeError, match="wrods"):
        load_backbone(str(tiny_gpt2), "random", 1)
    with pytest.raises(AttributeError, match="wrods"):
        remake_backbone(origin, weights=True)


def test_another_backbone_than_the_one_trained_on_is_refused_with_both_fingerprints(tiny_gpt2: Path) -> None:
    loaded = load_backbone(str(tiny_gpt2), "pretrained", 2)
    origin, found = {**loaded.origin, "stored": False}, loaded.origin["fingerprint"]
    again = remake_backbone(origin, weights=True)
    assert again.origin == origin
    assert states_equal(again.model, loaded.model)
    with pytest.raises(UserError, match=f"gpt2 with fingerprint 0123456789ab; .* has {found}"):
        remake_backbone({**origin, "fingerprint": "0123456789ab"}, weights=True)
    remake_backbone({**origin, "fingerprint": "0123456789ab"}, weights=False)


def test_code_that_a_config_brings_along_is_neither_run_nor_asked_about(
    own_gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_gpt2 / "evil.py").write_text("from pathlib import Path\nPath(__file__).with_name('ran').touch()\n")
    edit_config(own_gpt2, model_type="evil", auto_map={"AutoConfig": "evil.Config"})
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked at the prompt"))
    with pytest.raises(UserError, match="is a evil model"):
        load_backbone(str(own_gpt2), "pretrained", 1)
    assert not (own_gpt2 / "ran").exists()


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_truncated_weights_are_refused(own_gpt2: Path, length: int) -> None:
    file = own_gpt2 / "model.safetensors"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(UserError, match=r"own-gpt2: its (weights cannot be read|config\.json describes)"):
        load_backbone(str(own_gpt2), "pretrained", 1)


def test_weights_of_other_sizes_than_the_config_are_refused(own_gpt2: Path) -> None:
    edit_config(own_gpt2, n_embd=36)
    with pytest.raises(UserError, match="own-gpt2: its weights cannot be read"):
        load_backbone(str(own_gpt2), "pretrained", 1)


def test_missing_weights_are_refused(own_gpt2: Path) -> None:
    (own_gpt2 / "model.safetensors").unlink()
    with pytest.raises(UserError, match="own-gpt2: its weights cannot be read"):
        load_backbone(str(own_gpt2), "pretrained", 1)


@pytest.mark.parametrize(
    "name", ["wpe.weight", "wte.weight", "ln_f.bias", "h.0.attn.c_attn.weight", "h.0.mlp.c_fc.bias"]
)
def test_a_missing_tensor_is_named_and_never_filled_at_random(own_gpt2: Path, name: str) -> None:
    file = own_gpt2 / "model.safetensors"
    tensors = load_file(file)
    del tensors[name]
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(UserError, match=f"lack 1 tensors of a gpt2 model, the first is {name}"):
        load_backbone(str(own_gpt2), "pretrained", 1)


def test_blocks_that_are_not_used_may_be_missing(own_gpt2: Path) -> None:
    file = own_gpt2 / "model.safetensors"
    save_file({n: t for n, t in load_file(file).items() if not n.startswith("h.2.")}, file, {"format": "pt"})
    assert len(load_backbone(str(own_gpt2), "pretrained", 2).model.h) == 2
    with pytest.raises(UserError, match="lack 12 tensors"):
        load_backbone(str(own_gpt2), "pretrained", 3)


def test_weights_saved_with_a_language_model_head_load_too(tiny_gpt2: Path, own_gpt2: Path) -> None:
    file = own_gpt2 / "model.safetensors"
    save_file({f"transformer.{n}": t for n, t in load_file(file).items()}, file, {"format": "pt"})
    ours, theirs = (load_backbone(str(folder), "pretrained", 2) for folder in (own_gpt2, tiny_gpt2))
    assert states_equal(ours.model, theirs.model)


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
    prints = {load_backbone(str(folder), "pretrained", 1).origin["fingerprint"] for folder in (tiny_gpt2, other)}
    assert len(prints) == 2


@pytest.mark.parametrize("lora", [False, True])
def test_the_branches_start_with_equal_numbers_and_lora_goes_to_the_time_branch(tiny_gpt2: Path, lora: bool) -> None:
    time = load_backbone(str(tiny_gpt2), "pretrained", 2).model
    text = copy_branch(time)
    if lora:
        add_adapters(time, 2, 32, 0.1)
    stack = Stack(time)
    assert (stack.width, stack.depth, stack.heads, stack.positions, len(stack.blocks)) == (WIDTH, 2, 12, POSITIONS, 2)
    x = torch.randn(2, 5, WIDTH)
    torch.testing.assert_close(time.eval()(inputs_embeds=x)[0], text.eval()(inputs_embeds=x)[0])
    assert not [name for name, _ in text.named_parameters() if "lora" in name]
    adapted = [name for name, _ in time.named_parameters() if "lora_A" in name]
    assert adapted == ([f"h.{i}.attn.c_attn.lora_A.default.weight" for i in range(2)] if lora else [])


def test_the_branches_have_positions_and_norms_of_their_own_and_share_all_else(tiny_gpt2: Path) -> None:
    time = load_backbone(str(tiny_gpt2), "pretrained", 2).model
    text = copy_branch(time)
    own, other = ({id(p) for p in branch.parameters()} for branch in (time, text))
    parts = [*Stack(time).position_tables, *Stack(time).norms]
    assert own - other == {id(p) for part in parts for p in part.parameters()}
    assert len(own - other) == len(other - own) == 1 + 5 * 2
    assert len(own & other) == 2 * 8


def test_without_adapters_peft_is_not_imported(tiny_gpt2: Path) -> None:
    code = (
        "import sys; from layers.backbone import load_backbone; from layers.branches import copy_branch;"
        f"copy_branch(load_backbone({str(tiny_gpt2)!r}, 'pretrained', 1).model);"
        "assert 'peft' not in sys.modules and 'sklearn' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
