"""Correlation in the place of attention, for many series with a daily rhythm (Corrformer, Wu et al. 2023).

Stations stand in a tree: `node_list` (7, 50) is seven regions of fifty nodes, and every node holds a few stations as
its channels. Tensors are (M, L, C): M = requests * prod(node_list) nodes, those of one request side by side in the
order of the tree; L steps of time. `absent` is (requests, nodes), true for nodes that only fill up the tree, or None.
"""
