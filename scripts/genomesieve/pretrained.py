"""A pretrained stem and trunk on disk: written by `pretrain_model`, taken up by `train_model`.

In a folder: `trunk.safetensors` (weights and the statistics of norms, named as in a screen's
network), `model.json`, `history.tsv` and `perplexity.tsv`. Nothing is pickled.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from genomesieve.architecture import Architecture
from genomesieve.errors import InputError
from genomesieve.files import existing_file, read_json, whole_files, write_json, write_table
from genomesieve.pretraining import shared_weights
from genomesieve.pretraining_settings import require_same_trunk, resolve_pretraining

FORMAT = 1
TRUNK = "trunk.safetensors"
_KIND = "pretrained stem and trunk"


@dataclass(frozen=True)
class PretrainedTrunk:
    """A stem and a trunk that have learned to predict hidden bases.

    Parameters
    ----------
    folder : Path
    architecture : Architecture
        Of the network that predicted bases.
    reverse_complement : str
        `augment` or `equivariant`.
    weights : dict of str to torch.Tensor
        Weights and buffers, by name.
    """

    folder: Path
    architecture: Architecture
    reverse_complement: str
    weights: dict[str, Tensor]

    def copy_to(
        self, network: nn.Module, architecture: Architecture, mode: str, signals: int
    ) -> None:
        """Let the stem and trunk of a network start from these, statistics of norms included.

        Parameters
        ----------
        network : torch.nn.Module
            From `networks.build_network`; changed in place.
        architecture : Architecture
            Its own.
        mode : str
            Its `reverse_complement`.
        signals : int
            Channels that it sees beside the sequence.

        Raises
        ------
        InputError
            If stem or trunk differ; the setting is named.
        """
        modes = (mode, self.reverse_complement)
        require_same_trunk(architecture, self.architecture, modes, signals, str(self.folder))
        bare = getattr(network, "network", network)
        expected = shared_weights(network)
        _check_weights(self.weights, expected, self.folder)
        bare.load_state_dict(self.weights, strict=False)


def write_trunk(
    folder: Path,
    network: nn.Module,
    description: dict,
    history: pd.DataFrame,
    perplexity: pd.DataFrame,
) -> None:
    """Write a pretrained stem and trunk, and how well they did, all or nothing.

    Parameters
    ----------
    folder : Path
    network : torch.nn.Module
    description : dict
        What model.json holds beside format and kind.
    history, perplexity : pandas.DataFrame
    """
    names = (TRUNK, "model.json", "history.tsv", "perplexity.tsv")
    with whole_files(*(folder / name for name in names)) as (weights, model, steps, measured):
        kept = {name: value.cpu().contiguous() for name, value in shared_weights(network).items()}
        safetensors.torch.save_file(kept, weights)
        write_json(model, {"format": FORMAT, "kind": _KIND, **description})
        write_table(steps, history)
        write_table(measured, perplexity)


def read_trunk(folder: str | os.PathLike) -> PretrainedTrunk:
    """Read what `write_trunk` wrote.

    Raises
    ------
    InputError
        If a file is missing, damaged or of a newer format.
    """
    folder = Path(folder)
    path = folder / "model.json"
    content = read_json(path, "description of a pretrained trunk")
    if content.get("kind") != _KIND:
        raise InputError(f"{path} describes no {_KIND}; expected a folder from pretrain_model")
    if content.get("format") != FORMAT:
        raise InputError(
            f"{path} has format {content.get('format')!r}; expected {FORMAT}: update genomesieve"
        )
    mode = content.get("reverse_complement", "augment")
    architecture = resolve_pretraining(content.get("architecture", {}), mode)
    weights = existing_file(folder / TRUNK, "pretrained weights")
    try:
        tensors = safetensors.torch.load_file(weights)
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(f"pretrained weights {weights} are damaged: {error}") from error
    return PretrainedTrunk(folder, architecture, mode, tensors)


def _check_weights(found: dict[str, Tensor], expected: dict[str, Tensor], folder: Path) -> None:
    """Raise InputError unless weights have the names and shapes that a network's have."""
    for name in dict.fromkeys([*expected, *found]):
        mine, theirs = (one[name].shape if name in one else None for one in (found, expected))
        if mine != theirs:
            raise InputError(
                f"pretrained weights {folder / 'trunk.safetensors'} are damaged or do not fit "
                f"model.json beside them: {name[:80]} has shape {mine and tuple(mine)}; expected "
                f"{theirs and tuple(theirs)}"
            )
        if not torch.isfinite(found[name].float()).all():
            raise InputError(
                f"pretrained weights {folder / 'trunk.safetensors'}: {name} has values that are no "
                "finite numbers"
            )
