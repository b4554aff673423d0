"""A gRPC request that begins and never ends, over HTTP/2 by hand (RFC 9113; HPACK literals, RFC 7541 6.2.2), so that a test can hold many
at once without their memory. It sends only what the server's flow control allows."""

import socket
import ssl
import struct

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK, END_HEADERS, INITIAL_WINDOW_SIZE = 1, 4, 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    text = lambda s: (bytes([len(s)]) if len(s) < 127 else bytes([127, len(s) - 127])) + s.encode()
    return b"\0" + text(name) + text(value)


class HalfRequest:
    def __init__(self, port, authority):
        context = ssl.create_default_context(cafile=authority)
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(socket.create_connection(("localhost", port), 60), server_hostname="localhost")
        self.received, self.window, self.stream_window, self.initial = b"", 65535, 65535, 65535
        self.sent, self.ended = 0, False
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))

    def close(self):
        self.socket.close()

    def begin(self, method, size):
        """The headers, and the five bytes that say how long the message is."""
        fields = {":method": "POST", ":scheme": "https", ":path": method, ":authority": "localhost", "te": "trailers",
                  "content-type": "application/grpc"}
        self.socket.sendall(frame(HEADERS, END_HEADERS, 1, b"".join(literal(n, v) for n, v in fields.items())))
        self._data(b"\0" + struct.pack(">I", size))

    def send(self, size):
        """Up to `size` bytes of it; False when the server takes no more for now or has ended it. Waits for a moment only."""
        while size > 0 and not self.ended:
            room = min(size, self.window, self.stream_window, 16384)
            if room > 0:
                self._data(b"A" * room)
                size -= room
            elif not self.read(0.5):
                break
        return size == 0

    def read(self, seconds):
        """Takes in what the server says; False when it says nothing for so long, or the connection ended."""
        self.socket.settimeout(seconds)
        try:
            new = self.socket.recv(65536)
        except TimeoutError:
            return False
        except OSError:
            new = b""
        if not new:
            self.ended = True
            return False
        self.received += new
        while len(self.received) >= 9:
            length = int.from_bytes(self.received[:3], "big")
            if len(self.received) < 9 + length:
                break
            kind, flags, stream = self.received[3], self.received[4], int.from_bytes(self.received[5:9], "big") & 0x7FFFFFFF
            self._take(kind, flags, stream, self.received[9:9 + length])
            self.received = self.received[9 + length:]
        return True

    def _take(self, kind, flags, stream, payload):
        if kind == WINDOW_UPDATE:
            more = int.from_bytes(payload, "big")
            if stream:
                self.stream_window += more
            else:
                self.window += more
        elif kind == SETTINGS and not flags & ACK:
            for i in range(0, len(payload), 6):
                name, value = struct.unpack(">HI", payload[i:i + 6])
                if name == INITIAL_WINDOW_SIZE:
                    self.stream_window += value - self.initial
                    self.initial = value
            self._write(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self._write(frame(PING, ACK, 0, payload))
        elif kind in (GOAWAY, RST_STREAM) or (kind == HEADERS and stream):
            self.ended = True

    def _data(self, payload):
        self._write(frame(DATA, 0, 1, payload))
        self.window -= len(payload)
        self.stream_window -= len(payload)
        self.sent += len(payload)

    def _write(self, text):
        self.socket.settimeout(60)
        try:
            self.socket.sendall(text)
        except OSError:
            self.ended = True
