import numpy as np
import torch

from genomesieve.score_tensors import encode_score_tensor
from genomesieve.scores import encode_scores


def test_codes_are_those_of_the_array_function():
    generator = np.random.default_rng(0)
    scores = np.concatenate(
        [
            generator.normal(0, 10, 100_000),
            generator.normal(0, 1e-6, 1000),
            [0.0, -0.0, np.inf, -np.inf, 65504, 65520, -65520, 1e9, 6e-8, -6e-8],
        ]
    ).astype(np.float32)
    found = encode_score_tensor(torch.from_numpy(scores)).numpy().view(np.uint16)
    assert np.array_equal(found, encode_scores(scores))
