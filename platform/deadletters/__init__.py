"""Dead letters: messages that will not be delivered again, kept as they came, to be looked at, mended and replayed."""
