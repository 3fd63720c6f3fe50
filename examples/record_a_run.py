"""A run of your own, recorded: your code, your simulator; QuantumAI signs what you hand in."""

from qiskit import QuantumCircuit, transpile
from qiskit.providers.basic_provider import BasicSimulator

import quantumai

circuit = QuantumCircuit(2, name="bell")
circuit.h(0)
circuit.cx(0, 1)
circuit.measure_all()
backend = BasicSimulator()

with quantumai.record(backend=backend, shots=4000, seed=7) as run:
    transpiled = transpile(circuit, backend)
    result = backend.run(transpiled, shots=4000, seed_simulator=7).result()
    run.circuit(circuit)
    run.transpiled(transpiled)
    run.result(result)

manifest = quantumai.read_manifest(run.manifest.job_id)
print(f"job {manifest.job_id} on {manifest.fields.backend_id}: {manifest.fields.origin}")
print(f"verified: {manifest.verify().verified}")
for histogram in manifest.histograms():
    print(histogram.counts)
