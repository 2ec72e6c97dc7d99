"""A FastCGI client: asks unix:PATH or HOST:PORT for a path and prints what it answers."""
import socket
import struct
import sys


def record(kind, body):
    return struct.pack("!BBHHBB", 1, kind, 1, len(body), 0, 0) + body


def pair(name, value):
    return bytes([len(name), len(value)]) + name.encode() + value.encode()


where, path = sys.argv[1], sys.argv[2]
if where.startswith("unix:"):
    sock = socket.socket(socket.AF_UNIX)
    address = where[5:]
else:
    host, port = where.rsplit(":", 1)
    sock, address = socket.socket(), (host, int(port))
sock.settimeout(60)
sock.connect(address)
params = [("REQUEST_METHOD", "GET"), ("PATH_INFO", path), ("SCRIPT_NAME", ""), ("QUERY_STRING", ""),
          ("SERVER_NAME", "x"), ("SERVER_PORT", "80"), ("SERVER_PROTOCOL", "HTTP/1.1")]
sock.sendall(record(1, struct.pack("!HB5x", 1, 0)) + record(4, b"".join(pair(*p) for p in params)) + record(4, b"") + record(5, b""))
data, out = b"", b""
while True:
    while len(data) < 8:
        data += sock.recv(65536) or sys.exit("closed")
    _, kind, _, length, padding, _ = struct.unpack("!BBHHBB", data[:8])
    while len(data) < 8 + length + padding:
        data += sock.recv(65536) or sys.exit("closed")
    body, data = data[8 : 8 + length], data[8 + length + padding :]
    if kind == 6:
        out += body
    if kind == 3:
        break
print(out.decode().split("\r\n\r\n", 1)[1])
