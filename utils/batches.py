"""How many windows make a batch that is forecast at once."""

MOST_TOKENS = 4096  # windows times channels
MOST_OUTPUTS = 2**22  # forecast values: 16 MB in float32, and a few times that while they are scored


def evaluation_batch_size(channels: int, pred_len: int) -> int:
    """Windows per batch of validation and test: few enough that neither network nor scores need much memory."""
    return max(1, min(MOST_TOKENS // channels, MOST_OUTPUTS // (pred_len * channels)))
