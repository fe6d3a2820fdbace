"""The part of CALF that forecasts, out of a checkpoint: the time branch, its LoRA merged, and nothing else."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from layers.gpt2_stack import GPT2Stack
from layers.hub import read_gpt2
from layers.instance_norm import denormalize, normalize
from layers.token_embedding import ChannelTokenEmbedding
from models.config import CALFConfig, attention_heads
from models.stored_backbone import check_record, check_same, is_stored
from utils.checkpoint import CONFIG, WEIGHTS, check_there, read_config
from utils.errors import UserError
from utils.fingerprint import fingerprint

TIME = "time_gpt2."


class ForecastNetwork(nn.Module):
    """Computes what ``CALF`` computes in evaluation (section 3), from the same tensors.

    Args:
        config: sizes. gpt2: configuration of the backbone, as in a checkpoint.

    Raises:
        UserError: the sizes do not fit together.
    """

    def __init__(self, config: CALFConfig, gpt2: Mapping[str, Any]) -> None:
        super().__init__()
        self.config = config
        self.time_gpt2 = GPT2Stack(gpt2)
        positions, width = self.time_gpt2.wpe.weight.shape
        if config.channels > positions:
            raise UserError(f"{config.channels} channels do not fit the backbone's {positions} positions.")
        self.embedding = ChannelTokenEmbedding(config.seq_len, width, attention_heads(width, gpt2.get("n_head", 12)))
        self.head = nn.Linear(width, config.pred_len)

    def forward(self, x: Tensor) -> Tensor:
        """Forecast (B, H, C) of windows ``x`` (B, L, C), both standardised."""
        normal, statistics = normalize(x)
        tokens = self.embedding(normal)  # (B, C, D)
        state = self.time_gpt2(tokens) + tokens
        return denormalize(self.head(state).transpose(1, 2), statistics)  # (B, C, D) -> (B, H, C)


def load_forecast_network(folder: Path) -> tuple[ForecastNetwork, dict[str, Any]]:
    """Read what forecasts, and the configuration, from a checkpoint folder; in evaluation mode, on the CPU.

    The other tensors are not read, and no code from a file is run.

    Raises:
        UserError: the folder is incomplete, damaged or does not fit together, or the backbone is not the same.
    """
    config = read_config(folder)
    check_there(folder, WEIGHTS)
    try:
        with safe_open(folder / WEIGHTS, "pt") as file:
            stored = set(file.keys())
            network = _build(config, stored)
            tensors = dict(_tensors(network, config["backbone"], file, stored))
    except UserError as error:
        raise UserError(f"{folder} cannot be loaded: {error}") from error
    except (SafetensorError, OSError) as error:
        raise UserError(f"{folder / WEIGHTS} is damaged ({error}); train anew or restore the folder.") from error
    except Exception as error:  # what a tampered file leads to is anyone's guess
        raise UserError(f"{folder / CONFIG} and {WEIGHTS} do not fit together ({error!r}).") from error
    _check(network, tensors, folder / WEIGHTS)
    network.load_state_dict(tensors, assign=True)
    return network.requires_grad_(False).eval(), config


def _build(config: Mapping[str, Any], stored: set[str]) -> ForecastNetwork:
    """The network without numbers: it takes no memory, whatever sizes the file claims."""
    gpt2 = config["backbone"]["config"]
    check_record(config["backbone"], stored)
    with torch.device("meta"):
        return ForecastNetwork(CALFConfig.from_json(config["model"]), gpt2)


def _tensors(
    network: ForecastNetwork, backbone: Mapping[str, Any], file: Any, stored: set[str]
) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of the network that is to be had."""
    frozen = {} if is_stored(backbone) else _frozen(backbone)
    lora = network.config.lora
    for name in network.state_dict():
        layer, _, kind = name.rpartition(".")
        place = f"{layer}.base_layer.{kind}" if lora and layer.endswith(".c_attn") else name
        if place in stored:
            tensor = file.get_tensor(place)
        elif (own := name.removeprefix(TIME)) in frozen:
            tensor = frozen[own]
        else:
            continue
        if lora and name.endswith(".c_attn.weight"):
            down, up = (file.get_tensor(f"{layer}.lora_{part}.default.weight") for part in "AB")
            tensor = tensor + (up @ down).T * (lora.alpha / lora.r)
        yield name, tensor


def _frozen(backbone: Mapping[str, Any]) -> dict[str, Tensor]:
    """The backbone that a checkpoint only names."""
    tensors = read_gpt2(backbone["name"], backbone["config"]["n_layer"])
    check_same(backbone, fingerprint(tensors))
    return tensors


def _check(network: ForecastNetwork, tensors: Mapping[str, Tensor], path: Path) -> None:
    for name, expected in network.state_dict().items():
        tensor = tensors.get(name)
        if tensor is None or tensor.shape != expected.shape or tensor.dtype != torch.float32:
            raise UserError(f"{path} does not fit {CONFIG}: {name} is missing, unknown or of another size.")
        if not torch.isfinite(tensor.sum()):  # one pass without a copy; what overflows cannot be right either
            raise UserError(f"{path} is damaged: {name} holds NaN or infinite values. Train anew or restore it.")
