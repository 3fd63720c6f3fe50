"""Where a circuit runs: catalogue, calibration snapshots, simulators, vendor adapters."""
