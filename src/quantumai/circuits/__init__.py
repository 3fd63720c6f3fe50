"""What runs: OpenQASM 2/3 and Qiskit circuits in; features, observables and ideal values out."""
