"""What an operator sees of the queues, and holds: depth, age, rates, consumers; pause and resume; limits."""
