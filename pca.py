"""Make principal word embeddings from the token table of a language model: ``python pca.py --llm gpt2``."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from layers.backbone import load_backbone
from layers.word_embeddings import DEFAULT_COMPONENTS, make_word_embeddings, save_word_embeddings
from utils.errors import UserError, give_up

logger = logging.getLogger("calf")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "pca.py", description=__doc__, allow_abbrev=False, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--llm", default="gpt2", help="language model: hub name or local folder, transformers' format")
    parser.add_argument("--n_components", type=int, default=DEFAULT_COMPONENTS, help="words, at most the width")
    parser.add_argument("--output", default="wte_pca_500.pt", help="a tensor file, or .npy for a bare array")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Return exit code 0, or 2 with one message when the input is wrong."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    logger.setLevel(logging.INFO)
    args = build_parser().parse_args(argv)
    try:
        made = make_word_embeddings(load_backbone(args.llm, "pretrained", layers=1), args.n_components)
        save_word_embeddings(Path(args.output), made)
    except UserError as error:
        return give_up(str(error), 2)
    except OSError as error:
        return give_up(f"--output {args.output} cannot be written: {error.strerror}.", 2)
    logger.info(
        "%s: %d principal words of width %d, from %s, token table %s",
        args.output, *made.words.shape, args.llm, made.token_fingerprint,
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
