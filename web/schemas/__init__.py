"""The bodies, queries and answers of the API, as pydantic models: what is checked is what ``/docs`` shows."""
