"""One job from Python: a Bell pair, measured, mitigated, signed and verified."""

import quantumai
from qiskit import QuantumCircuit

circuit = QuantumCircuit(2, name="bell")
circuit.h(0)
circuit.cx(0, 1)
report = quantumai.run(circuit, ["ZZ", "XX"], shots=8000)
print(report.backend_id, report.em_method, report.observables, "verified:", report.verified)
