"""What to choose: predicts the error and the cost of every method on a backend."""
