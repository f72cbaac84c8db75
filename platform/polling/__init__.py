"""Work that polls: one loop, run by a process of its own or in slices on the queue ``batch``.

Who works holds a slot, a lease in the record store, of which there are as many as the worker's ``instances``. It is
taken and renewed by scripts, its number (``fence``) only grows, and nothing is begun without asking whether it still
holds. So whatever starts a worker, and however often, no more of it are at work than its class says.
"""
