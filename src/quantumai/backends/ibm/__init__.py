"""IBM Quantum: devices through qiskit-ibm-runtime, and its local testing mode."""
