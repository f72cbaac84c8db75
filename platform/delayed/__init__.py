"""The durable schedule: every message that has a time to wait for is kept in the record store until then.

``schedule`` keeps, wakes and counts them, each act one script call; ``due`` reads the time a call asked for; ``pump``
runs in every worker and hands what is due to the queues. Two keys: ``delayed``, job ids by the time they are due, and
``delayed:messages``, their messages by id. A job has one message there at most; a later one replaces an earlier.
"""
