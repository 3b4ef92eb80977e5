"""Directions taken out of a layer's states, while the network runs.

A removal replaces what directions read from a state by its mean over the positions that it was
fitted on; the rest of the state stays. With an orthogonal projection the directions that are read
are also those that are changed. An erasure (Belrose et al. 2023) changes the states along their
covariance with a property: afterwards no linear probe reads the property, which taking out the one
direction of a probe does not promise, and no smaller change achieves it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

_SMALLEST = 1e-6
"""Directions with less of the largest variance (or of the largest singular value) are none."""


@dataclass(frozen=True)
class Removal:
    """What is taken out: states - ((states - centre) @ read) @ write.T.

    Parameters
    ----------
    read, write : numpy.ndarray, shape=(units, directions), dtype=float64
        With read.T @ write the identity, so that removing twice is removing once.
    centre : numpy.ndarray, shape=(units,)
    """

    read: np.ndarray
    write: np.ndarray
    centre: np.ndarray

    @property
    def directions(self) -> int:
        """Number of directions."""
        return self.read.shape[1]

    def apply(self, states: np.ndarray) -> np.ndarray:
        """Return states (N, units) without them."""
        return states - ((states - self.centre) @ self.read) @ self.write.T

    def removed_share(self, states: np.ndarray) -> float:
        """Return the share of the states' variance that is gone."""
        before = states.var(axis=0).sum()
        return float(1 - self.apply(states).var(axis=0).sum() / before) if before else 0.0


def project_out(directions: np.ndarray, centre: np.ndarray) -> Removal:
    """Return the orthogonal projection that takes directions (units, m) out."""
    left, values, _ = np.linalg.svd(np.asarray(directions, np.float64), full_matrices=False)
    basis = left[:, values > _SMALLEST * max(values.max(initial=0), np.finfo(float).tiny)]
    return Removal(basis, basis, np.asarray(centre, np.float64))


def erase(states: np.ndarray, labels: np.ndarray) -> Removal:
    """Return the least change of states after which labels have no covariance with them.

    Parameters
    ----------
    states : numpy.ndarray, shape=(N, units)
    labels : numpy.ndarray, shape=(N, m)
        Numbers, or one column a class.
    """
    states, labels = np.asarray(states, np.float64), np.asarray(labels, np.float64)
    centre = states.mean(axis=0)
    root, inverse = _roots(states - centre)
    shared = (states - centre).T @ (labels - labels.mean(axis=0)) / len(states)
    basis = project_out(inverse @ shared, centre).read
    return Removal(inverse @ basis, root @ basis, centre)


def random_projection(units: int, directions: int, centre: np.ndarray, seed: list[int]) -> Removal:
    """Return the projection that takes random directions out, every one equally likely."""
    drawn = np.random.default_rng(seed).normal(size=(units, directions))
    return project_out(drawn, centre)


def random_erasure(states: np.ndarray, directions: int, seed: list[int]) -> Removal:
    """Return an erasure of labels that are random linear functions of the whitened states."""
    states = np.asarray(states, np.float64)
    centre = states.mean(axis=0)
    root, inverse = _roots(states - centre)
    # Inside the space that the states fill.
    drawn = np.random.default_rng(seed).normal(size=(len(centre), directions))
    basis = project_out(inverse @ root @ drawn, centre).read
    return Removal(inverse @ basis, root @ basis, centre)


def _roots(centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the square root of the covariance and its (pseudo-)inverse."""
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    kept = values > _SMALLEST * max(values.max(initial=0), np.finfo(float).tiny)
    values, vectors = np.sqrt(values[kept]), vectors[:, kept]
    return (vectors * values) @ vectors.T, (vectors / values) @ vectors.T


class RemovalLayer(nn.Module):
    """A removal as a layer, at every position of (N, units, ..., positions)."""

    is_layer = True

    def __init__(self, removal: Removal):
        super().__init__()
        for name in ("read", "write", "centre"):
            self.register_buffer(name, torch.from_numpy(getattr(removal, name)).float())

    def forward(self, x: Tensor) -> Tensor:
        """Take the directions out."""
        units = x.movedim(1, -1)
        gone = ((units - self.centre.to(x.dtype)) @ self.read.to(x.dtype)) @ self.write.to(
            x.dtype
        ).T
        return x - gone.movedim(-1, 1)


def with_removal(network: nn.Module, path: str, removal: Removal) -> nn.Module:
    """Return a copy of a network in which a layer's output has directions taken out.

    Parameters
    ----------
    network : torch.nn.Module
    path : str
        Of the layer's module.
    removal : Removal
    """
    network = copy.deepcopy(network)
    parent, _, name = path.rpartition(".")
    parent = network.get_submodule(parent)
    device = next((weight.device for weight in network.parameters()), torch.device("cpu"))
    changed = nn.Sequential(getattr(parent, name), RemovalLayer(removal).to(device))
    setattr(parent, name, changed.eval())
    return network
