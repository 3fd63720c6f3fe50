"""QuantumAI: runs quantum circuits where and how they come out best, and proves it."""
