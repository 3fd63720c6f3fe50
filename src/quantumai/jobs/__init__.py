"""One job from submission to sealed result, and the ways back to it: report, verify, replay."""
