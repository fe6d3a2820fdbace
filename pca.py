"""Make principal word embeddings from a GPT-2's token table: ``python pca.py --llm gpt2``."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from layers.backbone import load_backbone
from layers.word_embeddings import DEFAULT_COMPONENTS, WordEmbeddings, principal_words, save_word_embeddings
from utils.errors import UserError
from utils.fingerprint import fingerprint

logger = logging.getLogger("calf")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "pca.py", description=__doc__, allow_abbrev=False, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--llm", default="gpt2", help="the GPT-2: a hub name or a local folder in transformers' format")
    parser.add_argument(
        "--n_components", type=int, default=DEFAULT_COMPONENTS, help="principal words, at most the width"
    )
    parser.add_argument("--output", default="wte_pca_500.pt", help="a tensor file, or .npy for a bare array")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0, or 2 with one message when the input is wrong."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    logger.setLevel(logging.INFO)
    args = build_parser().parse_args(argv)
    try:
        table = load_backbone(args.llm, "pretrained", layers=1).token_table
        words = principal_words(table, args.n_components)
        origin = WordEmbeddings(words, f"{args.llm} (pretrained)", fingerprint({"wte": table}))
        save_word_embeddings(Path(args.output), origin)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: --output {args.output} cannot be written: {error.strerror}.", file=sys.stderr)
        return 2
    logger.info(
        "%s: %d principal words of width %d, from %s, token table %s",
        args.output, *words.shape, args.llm, origin.token_fingerprint,
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
