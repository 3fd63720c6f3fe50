"""Which physical qubits a circuit gets: the least noisy place where it fits as it is.

If the circuit's interaction graph embeds in the device's coupling graph (VF2; Cordella et al.,
IEEE TPAMI 26, 1367, 2004), the embedding with the smallest summed error is taken and no SWAP is
needed. Otherwise a compact, well-connected region is chosen and the router inserts SWAPs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
import rustworkx as rx

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.errors import BadInputError

_MAX_EMBEDDINGS = 4_000
_VF2_CALLS = 50_000
"""Search bounds: on a heavy-hex device all embeddings of a six-qubit chain fit well within."""

Interactions = Mapping[tuple[int, int], int]
"""Two-qubit gate count per pair of logical qubits (lower one first)."""


@dataclass(frozen=True)
class Layout:
    """`physical_qubits[i]` is the device qubit of compact qubit i.

    With `embedded`, compact qubit i is logical qubit i and no routing is needed.
    """

    physical_qubits: tuple[int, ...]
    embedded: bool


def choose_layout(
    snapshot: CalibrationSnapshot, num_qubits: int, interactions: Interactions
) -> Layout:
    """Least noisy embedding, else best-connected region; `BadInputError` if neither exists."""
    device = _Device(snapshot)
    if num_qubits > len(device.usable):
        raise BadInputError(
            f"{snapshot.backend_id} has {len(device.usable)} usable qubits, not {num_qubits}"
        )
    embedding = _embed(device, num_qubits, interactions)
    if embedding is not None:
        return Layout(embedding, embedded=True)
    return Layout(_region(device, num_qubits), embedded=False)


class _Device:
    """Errors of the usable part of a device, as arrays."""

    def __init__(self, snapshot: CalibrationSnapshot) -> None:
        count = snapshot.num_qubits
        self.name = snapshot.backend_id
        self.usable = [q for q, qubit in enumerate(snapshot.qubits) if qubit.operational]
        self.qubit_error = np.array(
            [(q.prob_meas1_prep0 + q.prob_meas0_prep1) / 2 + q.sx_error for q in snapshot.qubits]
        )
        self.edge_error = np.full((count, count), np.inf)
        for edge in snapshot.edges:
            ends, flipped = (edge.control, edge.target), (edge.target, edge.control)
            best = min(self.edge_error[ends], edge.error)
            self.edge_error[ends] = self.edge_error[flipped] = best
        self.neighbours = [np.flatnonzero(np.isfinite(row)).tolist() for row in self.edge_error]


def _embed(device: _Device, num_qubits: int, interactions: Interactions) -> tuple[int, ...] | None:
    """Place connected components one by one, largest first, each where its errors are least."""
    pattern = rx.PyGraph(multigraph=False)
    pattern.add_nodes_from(range(num_qubits))
    pattern.add_edges_from_no_data(list(interactions))
    free = set(device.usable)
    placed: dict[int, int] = {}
    for component in sorted(rx.connected_components(pattern), key=lambda c: (-len(c), min(c))):
        qubits = sorted(component)
        found = _best_embedding(device, qubits, interactions, sorted(free))
        if found is None:
            return None
        placed.update(zip(qubits, found, strict=True))
        free -= set(found)
    return tuple(placed[q] for q in range(num_qubits))


def _best_embedding(
    device: _Device, qubits: list[int], interactions: Interactions, free: list[int]
) -> tuple[int, ...] | None:
    if len(qubits) == 1:
        return (min(free, key=lambda q: float(device.qubit_error[q])),) if free else None
    index = {qubit: i for i, qubit in enumerate(qubits)}
    pairs = [(index[a], index[b], n) for (a, b), n in sorted(interactions.items()) if a in index]
    target, pattern = rx.PyGraph(multigraph=False), rx.PyGraph(multigraph=False)
    pattern.add_nodes_from(range(len(qubits)))
    pattern.add_edges_from_no_data([(a, b) for a, b, _ in pairs])
    target.add_nodes_from(free)
    position = {qubit: i for i, qubit in enumerate(free)}
    target.add_edges_from_no_data(
        [
            (position[a], position[b])
            for a in free
            for b in device.neighbours[a]
            if b in position and a < b
        ]
    )
    mappings = rx.vf2_mapping(
        target, pattern, subgraph=True, induced=False, id_order=False, call_limit=_VF2_CALLS
    )
    found = [(*mapping.values(), *mapping.keys()) for mapping in islice(mappings, _MAX_EMBEDDINGS)]
    if not found:
        return None
    logical, nodes = np.hsplit(np.array(found), 2)
    physical = np.take_along_axis(np.array(free)[nodes], np.argsort(logical, axis=1), axis=1)
    cost = device.qubit_error[physical].sum(axis=1)
    for a, b, count in pairs:
        cost = cost + count * device.edge_error[physical[:, a], physical[:, b]]
    best = np.lexsort((*physical.T[::-1], cost))[0]  # ties go to the smallest qubit numbers
    return tuple(physical[best].tolist())


def _region(device: _Device, num_qubits: int) -> tuple[int, ...]:
    """Grow a connected set from every qubit; most inner couplings win, then least error."""
    regions = [_grow(device, start, num_qubits) for start in device.usable]
    whole = [region for region in regions if len(region) == num_qubits]
    if not whole:
        raise BadInputError(f"{device.name} has no {num_qubits} usable qubits that hang together")
    return min(whole, key=lambda region: _region_cost(device, region))


def _grow(device: _Device, start: int, size: int) -> tuple[int, ...]:
    region = [start]
    links: Counter[int] = Counter()
    added = start
    while len(region) < size:
        links.update(q for q in device.neighbours[added] if q not in region)
        if not links:
            break
        added = min(
            links,
            key=lambda q: (
                -links[q],
                float(device.edge_error[q, region].min() + device.qubit_error[q]),
                q,
            ),
        )
        del links[added]
        region.append(added)
    return tuple(sorted(region))


def _region_cost(device: _Device, region: tuple[int, ...]) -> tuple[float, float, tuple[int, ...]]:
    inner = device.edge_error[np.ix_(region, region)]
    couplings = np.isfinite(inner)
    error = float(inner[couplings].mean() if couplings.any() else 0.0)
    return (-float(couplings.sum()), error + float(device.qubit_error[list(region)].mean()), region)
