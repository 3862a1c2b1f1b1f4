"""Connects. Arguments: a port of this machine, the path of a local socket, the name of an abstract one."""
import socket

from attack import ARGUMENTS, attempt

port, path, name = int(ARGUMENTS[0]), ARGUMENTS[1], "\0" + ARGUMENTS[2]


def connect(family, kind, address):
    with socket.socket(family, kind) as it:
        it.settimeout(5)
        it.connect(address)
        return it.getsockname()


attempt("loopback", lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", port)))
attempt("loopback 6", lambda: connect(socket.AF_INET6, socket.SOCK_STREAM, ("::1", port)))
# Connecting a datagram socket finds a way there, but sends nothing.
attempt("outside", lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.1", 9)))
attempt("name service", lambda: socket.getaddrinfo("example.invalid", 80))
attempt("local socket", lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, path))
attempt("abstract socket", lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, name))
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
attempt("netlink out", lambda: connect(socket.AF_VSOCK, socket.SOCK_STREAM, (2, port)))
