"""The audit behind ``doctor``: what in the running configuration is dangerous, why, and what to do about it.

A check is a function from the ``Subject`` to its ``Finding``s. Checks look at the real thing: Celery's configuration
after every module was loaded, what the servers answer, what workers say of themselves, the machine. Checks stand
together by what they look at; ``examination`` runs them all.
"""
