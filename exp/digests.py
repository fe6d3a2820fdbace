"""Fingerprints of the data files' contents: what was computed from other contents is not up to date."""

from pathlib import Path

from exp.config import RunConfig
from utils.fingerprint import fingerprint_of_files


def digest_to_train(config: RunConfig) -> str:
    """Of all that training depends on.

    Raises:
        UserError: a file is missing.
    """
    return fingerprint_of_files(config.data.training_files())


def digests_of_outcomes(config: RunConfig) -> dict[Path, str]:
    """For each record that a run leaves, of all that its figures depend on; raises as above."""
    return {
        path: fingerprint_of_files(file for one in data for file in one.files())
        for path, data in config.outcomes.items()
    }
