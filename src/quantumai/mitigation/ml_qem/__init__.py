"""ML-QEM at run time: features of a run, and a trained model behind the port of all methods.

Training lies in `harness.ml_qem`; it reads the same features.
"""
