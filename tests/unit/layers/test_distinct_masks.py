"""Of masks that overlap, the best stays."""

import torch

from kivfm_core.layers.distinct_masks import distinct_masks


def test_of_masks_that_overlap_the_first_stays():
    masks = torch.zeros(4, 1, 6, dtype=torch.bool)
    masks[0, 0, :4], masks[1, 0, 1:4], masks[2, 0, 3:], masks[3, 0, :4] = True, True, True, True
    assert [*distinct_masks(masks, 0.7)] == [0, 2]  # 3/4 and 1 are one with the first, 1/6 is not
    assert [*distinct_masks(masks, 0.8)] == [0, 1, 2]
    assert [*distinct_masks(masks[:0], 0.7)] == []
