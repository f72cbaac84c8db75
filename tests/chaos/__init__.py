"""The whole platform at work while its parts are killed, stopped and frozen: what it loses, repeats and how long it
takes to recover.

Everything that is killed was started here and is named by its pid; everything listens on loopback. One run takes eight
or nine minutes on two cores and stops by itself; ``--chaos-scale=N`` makes it N times as large.
"""
