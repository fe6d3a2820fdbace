"""Make principal word embeddings from the token table of a language model: ``python pca.py --llm gpt2``."""

import argparse
import logging
import sys
from argparse import ArgumentDefaultsHelpFormatter
from collections.abc import Sequence
from pathlib import Path

from layers.backbone import load_backbone
from layers.word_embeddings import DEFAULT_COMPONENTS, make_word_embeddings, save_word_embeddings
from utils.command import Parser, run_command, typed

logger = logging.getLogger("calf")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = Parser("pca.py", description=__doc__, allow_abbrev=False, formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--llm", default="gpt2", help="language model: hub name or local folder, transformers' format")
    parser.add_argument("--n_components", type=int, default=DEFAULT_COMPONENTS, help="words, at most the width")
    parser.add_argument("--output", default="wte_pca_500.pt", help="a tensor file, or .npy for a bare array")
    return parser


def make(args: argparse.Namespace) -> None:
    """Make the words that the command line asks for, and write them."""
    made = make_word_embeddings(load_backbone(args.llm, "pretrained", layers=1), args.n_components)
    save_word_embeddings(Path(args.output), made)
    size = f"{len(made.words)} principal words of width {made.words.shape[1]}"
    logger.info("%s: %s, from %s, token table %s", args.output, size, args.llm, made.token_fingerprint)


def main(argv: Sequence[str] | None = None) -> int:
    """Return exit code 0, or 2 with one message when the input is wrong."""
    args = build_parser().parse_args(argv)
    return run_command(lambda: make(args), typed("pca.py", argv))


if __name__ == "__main__":
    sys.exit(main())
