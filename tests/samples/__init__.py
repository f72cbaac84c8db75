"""Modules as users write them: copied out of the project before a test imports them."""
