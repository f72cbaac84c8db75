"""Job records: what is known of every task from the moment it is submitted."""
