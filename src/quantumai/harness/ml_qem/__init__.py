"""Training ML-QEM: from a run's training cells to models, and their values on its test cells.

What a model reads, and how it is served, is `mitigation.ml_qem`.
"""
