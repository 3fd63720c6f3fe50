"""Circuits that are not ours (MQT Bench): they run, verify, replay, and mitigation helps."""

from __future__ import annotations

from pathlib import Path

import pytest
from mqt.bench import BenchmarkLevel, get_benchmark

from quantumai.sdk.client import replay, run

pytestmark = pytest.mark.slow

CIRCUITS = (
    ("ghz", 5),
    ("wstate", 5),
    ("graphstate", 6),
    ("dj", 5),
    ("qft", 4),
    ("bv", 6),
    ("vqe_real_amp", 4),
    ("qaoa", 5),
)


@pytest.mark.filterwarnings("ignore::quantumai.keys.providers.soft.InsecureKeysWarning")
def test_circuits_from_elsewhere(home: Path) -> None:
    raw, mitigated = [], []
    for name, width in CIRCUITS:
        circuit = get_benchmark(name, BenchmarkLevel.INDEP, width)
        width = circuit.num_qubits
        singles = ["I" * (width - 1 - q) + "Z" + "I" * q for q in range(width)]
        pairs = ["I" * (width - 2 - q) + "ZZ" + "I" * q for q in range(width - 1)]
        report = run(circuit, singles + pairs, shots=4000, seed=f"mqt {name}", home=home)
        assert report.verified, name
        replayed = replay(report.job_id, home=home)
        assert replayed.equal, (name, replayed.steps)
        for one in report.observables:
            assert one.ideal is not None
            raw.append(abs(one.raw - one.ideal))
            mitigated.append(abs(one.mitigated - one.ideal))
    assert sum(mitigated) < 0.8 * sum(raw), (sum(mitigated), sum(raw), len(raw))
