"""How many windows to evaluate at once."""

MOST_TOKENS = 4096  # enough to keep the cores or the card busy; the model's memory grows with them
MOST_OUTPUTS = 2**21  # 8 MB in float32; scoring holds about ten times that


def evaluation_batch_size(channels: int, pred_len: int) -> int:
    """Windows per batch that neither the model's tokens nor the forecasts let grow large, at least one.

    Args:
        channels: C, a token each in every window. pred_len: H; a window's forecast has H · C values.
    """
    by_tokens = MOST_TOKENS // channels
    by_outputs = MOST_OUTPUTS // (channels * pred_len)
    return max(1, min(by_tokens, by_outputs))
