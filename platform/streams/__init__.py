"""Streams in Valkey: what happened, in order and once, kept for a while and told to the socket processes at once."""
