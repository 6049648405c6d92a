"""Proofs of reliability that take minutes: loads, faults and hostile clients against a server in its own process."""
