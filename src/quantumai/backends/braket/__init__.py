"""Amazon Braket: devices and managed simulators by ARN, and its local simulator."""
