"""What is said of what a head computed: each file holds a result type and the way to it.

Without torch: the server's own process, which imports this, has no use for it.
"""
