"""How noise is undone: estimators of expectation values with standard errors."""
