"""One job from Python: any Qiskit circuit in, a mitigated, signed and verified answer out."""

from qiskit.circuit.library import efficient_su2

import quantumai

circuit = efficient_su2(4, reps=1).assign_parameters([0.1 * i for i in range(16)])
report = quantumai.run(circuit, ["IIIZ", "IIZZ"], shots=8000)
print(f"{report.backend_id} with {report.em_method}, verified: {report.verified}")
for one in report.observables:
    print(f"{one.pauli}: {one.mitigated:+.4f} +/- {one.std_err:.4f} (ideal {one.ideal:+.4f})")
