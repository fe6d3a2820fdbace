"""Families of language models: each is a row, and each can be everything that a backbone is."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModel, BertConfig, Qwen2Config

import pca
from layers.backbone import Stack, load_backbone, positions_of, remake_backbone
from layers.branches import copy_branch, run_branch
from layers.families import FAMILIES, TINY, checked_config
from layers.lora import add_adapters
from layers.word_embeddings import load_word_embeddings
from models.calf import CALF
from models.gpt4ts import GPT4TS
from utils.errors import UserError

every_family = pytest.mark.parametrize("family", FAMILIES)
CHANNELS = 5


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for transformers with a tiny model of each family, as its own library saves it."""
    saved = {name: tmp_path_factory.mktemp("llm") / f"{name}-folder" for name in FAMILIES}
    for name, folder in saved.items():
        torch.manual_seed(0)
        family = FAMILIES[name]
        config = family.model.config_class(**family.sizes[f"{name}-tiny"])
        family.model(config).save_pretrained(folder)
    return saved


@every_family
def test_the_first_blocks_of_a_folder_compute_what_its_own_library_computes(
    folders: dict[str, Path], family: str
) -> None:
    backbone = load_backbone(str(folders[family]), "pretrained", 3)
    whole = AutoModel.from_pretrained(folders[family], num_hidden_layers=3, **layer_types(folders[family], 3)).eval()
    tokens = torch.randn(2, CHANNELS, backbone.width)
    projections = nn.ModuleList(nn.Identity() for _ in range(4))
    with torch.inference_mode():
        expected = whole(inputs_embeds=tokens, output_hidden_states=True)
        final, features = run_branch(backbone.model.eval(), tokens, projections)
    torch.testing.assert_close(final, expected.last_hidden_state + tokens, rtol=1e-5, atol=1e-5)
    for feature, state in zip(features[:-1], expected.hidden_states, strict=False):
        torch.testing.assert_close(feature, state, rtol=1e-5, atol=1e-5)
    assert torch.equal(backbone.token_table, whole.get_input_embeddings().weight)


def layer_types(folder: Path, blocks: int) -> dict[str, list[str]]:
    """Return what transformers wants to be told of the first blocks of some families."""
    found = json.loads((folder / "config.json").read_text()).get("layer_types")
    return {"layer_types": found[:blocks]} if found else {}


@every_family
def test_the_branches_share_all_but_norms_and_positions(family: str) -> None:
    model = load_backbone(f"{family}-tiny", "random", 2).model
    time, text = Stack(model), Stack(copy_branch(model))
    own = {id(p) for part in (*time.norms, *time.position_tables) for p in part.parameters()}
    assert len(time.norms) >= 5
    for one, two in zip(model.parameters(), copy_branch(model).parameters(), strict=True):
        assert (one is two) == (id(one) not in own)
    assert len(time.norms) == len(text.norms)


@every_family
def test_adapters_go_where_peft_would_put_them(family: str) -> None:
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as TARGETS

    assert FAMILIES[family].lora_targets == tuple(TARGETS[family])
    model = load_backbone(f"{family}-tiny", "random", 2).model
    add_adapters(model, 2, 4, 0.0)
    adapted = [name for name, _ in model.named_modules() if name.endswith("lora_A")]
    assert len(adapted) == 2 * len(FAMILIES[family].lora_targets)


@every_family
@pytest.mark.parametrize("kind", [CALF, GPT4TS])
def test_the_header_says_the_family_and_whether_it_looks_both_ways(kind: type[CALF | GPT4TS], family: str) -> None:
    config = kind.Config(24, 8, CHANNELS, llm=f"{family}-tiny", llm_init="random", gpt_layers=2)
    (line,) = [line for line in kind.build(config, write=False).describe() if line.startswith("backbone")]
    assert f"2 blocks of {family}" in line
    assert ("bidirectional (no causal mask)" in line) == (family == "bert")


@every_family
def test_only_a_bidirectional_family_lets_a_channel_see_those_after_it(family: str) -> None:
    config = CALF.Config(24, 8, CHANNELS, llm=f"{family}-tiny", llm_init="random", gpt_layers=2, text_branch=0)
    torch.manual_seed(0)
    backbone = CALF.build(config).eval().time_gpt2
    tokens = torch.randn(1, CHANNELS, 96)
    other = tokens.clone()
    other[:, -1] += 1
    with torch.inference_mode():
        first, changed = (run_branch(backbone, x, None)[0][:, 0] for x in (tokens, other))
    assert torch.equal(first, changed) == (family != "bert")


@every_family
def test_only_learned_positions_train_and_limit_the_channels(family: str, folders: dict[str, Path]) -> None:
    learned = family in ("gpt2", "bert")
    config = CALF.Config(24, 8, CHANNELS, llm=f"{family}-tiny", llm_init="random", gpt_layers=2)
    trained = [name for name, p in CALF.build(config, write=False).named_parameters() if p.requires_grad]
    assert any("wpe" in name or "position" in name for name in trained) == learned
    assert (positions_of(str(folders[family]), "pretrained") is not None) == learned


@every_family
def test_principal_words_are_made_from_the_token_table(folders: dict[str, Path], family: str, tmp_path: Path) -> None:
    output = tmp_path / "words.pt"
    assert pca.main(["--llm", str(folders[family]), "--n_components", "10", "--output", str(output)]) == 0
    assert load_word_embeddings(output).words.shape == (10, 96)


@every_family
def test_other_weights_under_the_same_name_are_refused(folders: dict[str, Path], family: str) -> None:
    origin = {**load_backbone(str(folders[family]), "pretrained", 2).origin, "stored": False}
    again = remake_backbone(origin, weights=True)
    assert again.model.config.num_hidden_layers == 2
    with pytest.raises(UserError, match=r"it was trained on .* with fingerprint 0123456789ab"):
        remake_backbone({**origin, "fingerprint": "0123456789ab"}, weights=True)


def test_a_tiny_model_exists_only_as_a_random_start() -> None:
    for name in TINY:
        with pytest.raises(UserError, match="exists only as a random start"):
            load_backbone(name, "pretrained", 1)


def test_an_encoder_needs_no_pooler_in_its_file(tmp_path: Path) -> None:
    config = BertConfig(**FAMILIES["bert"].sizes["bert-tiny"])
    FAMILIES["bert"].model(config, add_pooling_layer=True).save_pretrained(tmp_path / "with")
    FAMILIES["bert"].model(config, add_pooling_layer=False).save_pretrained(tmp_path / "without")
    for name in ("with", "without"):
        model = load_backbone(str(tmp_path / name), "pretrained", 2).model
        assert not any("pooler" in part for part, _ in model.named_parameters())


ROTARY = {"model_type": "llama", "hidden_size": 96, "num_hidden_layers": 2, "num_attention_heads": 12}
SCALED = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}


@pytest.mark.parametrize(
    "given",
    [
        {"rope_theta": 100000.0},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 100000.0}},
        {"rope_theta": 100000.0, "rope_scaling": None},
        {"rope_theta": 100000.0, "rope_scaling": {"type": "linear", "factor": 2.0}},
        {"rope_theta": 100000.0, "rope_scaling": {"rope_type": "llama3", **SCALED}},
    ],
)
def test_older_and_newer_files_say_the_base_of_rotary_positions(given: dict[str, object]) -> None:
    config = checked_config({**ROTARY, **given})
    assert config.rope_parameters["rope_theta"] == 100000.0
    FAMILIES["llama"].make(config)
    assert checked_config(config.to_diff_dict()).rope_parameters == config.rope_parameters


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "rope_type is 'yarn'"),
        ({"rope_scaling": {"rope_type": ["default"]}}, "rope_type is"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "low_freq_factor is None"),
        ({"rope_scaling": {"type": "linear"}}, "factor is None"),
        ({"rope_scaling": [1]}, r"rope_parameters are \[1\]"),
        ({"rope_theta": "a"}, "rope_theta is 'a'"),
        ({"rope_theta": 0}, "rope_theta is 0"),
        ({"rope_parameters": {"rope_theta": float("nan")}}, "rope_theta is nan"),
        ({"rope_parameters": {"full_attention": {"rope_theta": 1e4}}}, "full_attention is"),
        ({"num_key_value_heads": 5}, "12 attention heads cannot share 5"),
        ({"num_key_value_heads": 0}, "num_key_value_heads is 0"),
        ({"head_dim": 7}, "7"),
        ({"head_dim": -8}, "head_dim is -8"),
        ({"hidden_act": "none"}, "hidden_act is 'none'"),
        ({"model_type": "qwen2", "num_key_value_heads": 12, "layer_types": ["linear_attention"] * 2}, "layer_types"),
        ({"model_type": "qwen2", "num_key_value_heads": 12, "layer_types": ["sliding_attention"] * 2}, "layer_types"),
        ({"model_type": "qwen2", "num_key_value_heads": 12, "layer_types": ["full_attention"]}, "layer_types"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0"),
        ({"rope_theta": 10**400}, "rope_theta is 1000"),
        ({"model_type": "bert", "is_decoder": True}, "is_decoder is True; only False is computed here"),
        ({"model_type": "bert", "add_cross_attention": True}, "add_cross_attention is True"),
        (
            {"model_type": "bert", "position_embedding_type": "relative_key"},
            "position_embedding_type is 'relative_key'",
        ),
        ({"model_type": "t5"}, "is a t5 model; this program knows gpt2, bert, llama, mistral, qwen2, qwen3"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        checked_config({**ROTARY, **wrong})


@pytest.mark.parametrize("token", [-1, 512, 99999])
@pytest.mark.parametrize("family", ["bert", "llama"])
def test_a_padding_token_outside_the_vocabulary_does_no_harm(family: str, token: int) -> None:
    sizes = {**FAMILIES[family].sizes[f"{family}-tiny"], "pad_token_id": token}
    FAMILIES[family].make(checked_config({"model_type": family, **sizes}))


def test_rotary_positions_of_another_base_have_another_fingerprint(folders: dict[str, Path], tmp_path: Path) -> None:
    other = shutil.copytree(folders["llama"], tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    config["rope_parameters"]["rope_theta"] = 10.0
    (other / "config.json").write_text(json.dumps(config))
    one, two = (load_backbone(str(folder), "pretrained", 2).origin for folder in (folders["llama"], other))
    assert one["fingerprint"] != two["fingerprint"]


def test_sliding_windows_of_the_kept_blocks_alone_are_stored(tmp_path: Path) -> None:
    sizes = {**FAMILIES["qwen2"].sizes["qwen2-tiny"], "use_sliding_window": True, "sliding_window": 3}
    FAMILIES["qwen2"].model(Qwen2Config(**sizes, max_window_layers=1)).save_pretrained(tmp_path)
    backbone = load_backbone(str(tmp_path), "pretrained", 2)
    kinds = ["full_attention", "sliding_attention"]
    assert remake_backbone(backbone.origin, weights=False).model.config.layer_types == kinds
