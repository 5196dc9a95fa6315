"""ComfyUI nodes: unpack what the sockets bring, call `pantheon_core`, pack the result."""
