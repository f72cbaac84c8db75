"""``python -m web.demo [FOLDER]``: the whole platform at work on real files, then stopped and gone."""
