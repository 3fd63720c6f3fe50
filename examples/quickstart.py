"""One job from Python: any Qiskit circuit in, a mitigated, signed and verified answer out."""

from qiskit.circuit.library import efficient_su2

import quantumai

circuit = efficient_su2(4, reps=1).assign_parameters([0.1 * i for i in range(16)])
report = quantumai.run(circuit, ["IIIZ", "IIZZ"], shots=8000)
print(report.backend_id, report.em_method, report.observables, "verified:", report.verified)
