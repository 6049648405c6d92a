"""The sockets that a server listens on, opened before anything that takes time."""

import socket

BACKLOG = 2048  # connections that wait to be accepted: as many as uvicorn's own


def listening(host: str, port: int) -> list[socket.socket]:
    """One for every address of the host. Raises OSError, which names the address and the remedy."""
    sockets: list[socket.socket] = []
    try:
        for family, address in _addresses(host, port):
            sockets.append(socket.create_server(address, family=family, backlog=BACKLOG))
    except OSError as error:
        for opened in sockets:
            opened.close()
        reason = (error.strerror or str(error)).partition(" (while")[0]
        remedy = "choose another --port or --host, or end the program that has this one"
        raise OSError(f"cannot listen on port {port} of {host} ({reason}): {remedy}") from error
    return sockets


def _addresses(host: str, port: int) -> list[tuple[int, tuple[str, int]]]:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return sorted({(int(family), (str(address[0]), port)) for family, _, _, _, address in found})
