"""Leases: what a worker has taken from Redis stays its own as long as it says it is alive, and no longer.

Every worker incarnation records what it takes under a name of its own, in the same script call that takes it. Its
heartbeat is a key with a TTL. Any worker that finds a heartbeat gone gives everything that incarnation held back to
the queues. So a dead worker's jobs run elsewhere within seconds, and a job of any length, or a time to wait of any
length, is never given to a second worker while its first one lives.
"""
