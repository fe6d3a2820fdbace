"""The forecasters, by the name they have on the command line."""

from models.calf import CALF, CALFConfig, CALFOutput, ParameterGroup

MODELS = {"CALF": CALF}

__all__ = ["CALF", "MODELS", "CALFConfig", "CALFOutput", "ParameterGroup"]
