"""Where to send a job: filters, the specification's score, and the decision record."""
