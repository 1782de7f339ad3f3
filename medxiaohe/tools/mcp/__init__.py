"""Tools over the Model Context Protocol: ours for other programs (server.py), other programs' for us
(client.py)."""

PREFIX = (
    "mcp:"  # of the name of a server in a list of tools: mcp:http://127.0.0.1:8000/mcp, mcp:python mine.py
)
