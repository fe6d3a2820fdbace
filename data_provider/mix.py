"""Draw batches of windows that come from one of several data sets each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from data_provider.windows import Batch, WindowDataset, load_batches

Window = tuple[int, int]  # number of the data set, number of its window


@dataclass(frozen=True, eq=False)
class MixedWindows(Dataset):
    """The windows of several data sets."""

    sets: Sequence[WindowDataset]

    def __len__(self) -> int:
        return sum(map(len, self.sets))

    def __getitems__(self, windows: Sequence[Window]) -> Batch:
        """Gather a whole batch, all of one data set, at once."""
        return self.sets[windows[0][0]].__getitems__([index for _, index in windows])


class MixedBatches(Sampler[list[Window]]):
    """Batches of shuffled windows, each of one data set, in an order that is shuffled too.

    ``proportional`` takes every window once; ``uniform`` takes equally many batches of all, as many as there are
    together, so that windows of a small data set return and some of a large one stay out. An incomplete last batch of
    a data set is dropped, unless it is the only one.
    """

    def __init__(self, sizes: Sequence[int], batch_size: int, mix: str, generator: torch.Generator) -> None:
        self.sizes, self.batch_size, self.generator = sizes, batch_size, generator
        own = [max(1, size // batch_size) for size in sizes]
        shared, more = divmod(sum(own), len(own))
        self.counts = own if mix == "proportional" else [shared + (i < more) for i in range(len(own))]

    def __len__(self) -> int:
        return sum(self.counts)

    def __iter__(self) -> Iterator[list[Window]]:
        streams = [self._batches(number) for number in range(len(self.sizes))]
        turns = torch.repeat_interleave(torch.arange(len(self.sizes)), torch.tensor(self.counts))
        for turn in turns[torch.randperm(len(turns), generator=self.generator)].tolist():
            yield next(streams[turn])

    def _batches(self, number: int) -> Iterator[list[Window]]:
        """Yield batches of one data set without end; each window comes once before any comes again."""
        size = self.sizes[number]
        length = min(self.batch_size, size)
        while True:
            order = torch.randperm(size, generator=self.generator).tolist()
            for first in range(0, size - length + 1, length):
                yield [(number, index) for index in order[first : first + length]]


def make_mixed_loader(
    sets: Sequence[WindowDataset], batch_size: int, mix: str, seed: int, workers: int, pin: bool
) -> DataLoader:
    """Return batches of windows of several data sets, in an order that follows from a seed."""
    generator = torch.Generator().manual_seed(seed)
    batches = MixedBatches([len(one) for one in sets], batch_size, mix, generator)
    return load_batches(MixedWindows(sets), workers, pin, batch_sampler=batches, generator=generator)
