"""Describe the fields of a configuration. Light: without PyTorch."""

from dataclasses import MISSING, fields


def described(config: type) -> list[list[str]]:
    """Return name and default of each field, with kind and help of each flag."""
    found = []
    for one in fields(config):
        known = one.metadata
        flag = [known["kind"].wanted, known["help"], sorted(known["needs"])] if "kind" in known else []
        found.append([one.name, None if one.default is MISSING else one.default, *flag])
    return found
