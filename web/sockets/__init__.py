"""WebSockets and server-sent events: who is connected here, what they follow, and the bytes they get."""
