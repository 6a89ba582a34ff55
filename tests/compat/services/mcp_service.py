"""A server of the Model Context Protocol, over HTTP."""

from mcp.server import MCPServer

import instrumentation

server = MCPServer("compat")


@server.tool()
def add(first: int, second: int) -> int:
    """The sum of two numbers."""
    return first + second


app = instrumentation.instrument(server.streamable_http_app())
