"""The WebSocket protocol, RFC 6455, without any I/O: the handshake, frames and close codes of a server."""
