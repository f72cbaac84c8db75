"""Documents: typed, versioned, changed one transaction at a time, and each change told to whoever follows."""
