"""A TCP proxy between a program and a server, that behaves badly when told: cut, reset, half-open, slow, far away."""

import socket
import struct
import threading
import time
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Listens on 127.0.0.1 and passes on to the server of `dsn`; `dsn` of the proxy is the same database through it."""

    def __init__(self, dsn, parameters=""):
        parts = urlsplit(dsn)
        self.upstream = (parts.hostname, parts.port)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        user = parts.username + "@" if parts.username else ""
        query = "&".join(filter(None, [parts.query, parameters]))
        self.dsn = urlunsplit((parts.scheme, f"{user}127.0.0.1:{self.port}", parts.path, query, ""))
        self.lock, self.links, self.closed = threading.Lock(), set(), False
        self.swallowing, self.rate, self.latency = False, None, 0
        self.passed = 0  # bytes towards the client
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, reset=False):
        """Ends all connections, by FIN or by RST. New ones are served."""
        with self.lock:
            links, self.links = self.links, set()
        for link in links:
            link.close(reset)
        return len(links)

    def half_open(self):
        """From now on all bytes vanish, in both directions, and nobody is told. New connections are accepted and as dead."""
        with self.lock:
            self.swallowing = True
            for link in self.links:
                link.dead = True

    def heal(self):
        """New connections are served again. The dead ones stay dead, as behind a router that has forgotten them."""
        self.swallowing, self.rate, self.latency = False, None, 0

    def close(self):
        self.closed = True
        self.listener.close()
        self.cut()

    def _accept(self):
        while not self.closed:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            link = _Link(self, client)
            with self.lock:
                link.dead = self.swallowing
                self.links.add(link)
            link.start()


class _Link:
    def __init__(self, proxy, client):
        self.proxy, self.client, self.server, self.dead = proxy, client, None, False

    def start(self):
        if not self.dead:
            try:
                self.server = socket.create_connection(self.proxy.upstream)
            except OSError:
                self.close(reset=True)
                return
            threading.Thread(target=self._pump, args=(self.server, self.client, True), daemon=True).start()
        threading.Thread(target=self._pump, args=(self.client, self.server, False), daemon=True).start()

    def _pump(self, source, to, towards_client):
        try:
            while data := source.recv(65536):
                if self.proxy.latency:
                    time.sleep(self.proxy.latency)
                while data and not self.dead:
                    rate = self.proxy.rate
                    piece = data[:max(1, rate // 20)] if rate else data
                    to.sendall(piece)
                    data = data[len(piece):]
                    if towards_client:
                        self.proxy.passed += len(piece)
                    if rate:
                        time.sleep(len(piece) / rate)
        except OSError:
            pass
        if not self.dead:
            self.close()

    def close(self, reset=False):
        for end in (self.client, self.server):
            if end is None:
                continue
            try:
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            if reset:
                # A thread that waits in recv would keep the socket open; this ends it there.
                try:
                    end.shutdown(socket.SHUT_RD)
                except OSError:
                    pass
            end.close()
        self.proxy.links.discard(self)
