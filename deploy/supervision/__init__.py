"""Everything on one machine: Valkey, workers, beat, web and Flower under one supervisor.

``programs`` says what runs, ``configuration`` writes it down for supervisord, ``daemon`` is that supervisord and
``client`` talks to it. ``guard`` runs inside it and mends what supervisord alone does not: it starts things in
order, removes orphans, tries again what was given up, and brings supervisord itself back. ``lifecycle`` and
``rolling`` are what the commands ask for.
"""
