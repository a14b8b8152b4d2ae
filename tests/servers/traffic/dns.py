"""A server that speaks DNS as CoreDNS does, over UDP and TCP, with metrics on a port of its own; and a client
that asks over UDP, from a new socket each time, until it reads a line: dns.py serve [RESOLVER], dns.py call IP"""

import os
import selectors
import socket
import sys
import threading

_, role, *rest = sys.argv


def answer(query):
    return query[:2] + b"\x81\x80" + query[4:]


def serve():
    selector = selectors.DefaultSelector()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("", 53))
    selector.register(udp, selectors.EVENT_READ)
    for port in (53, 9153):
        selector.register(socket.create_server(("", port)), selectors.EVENT_READ)
    if rest:
        # For the names of others.
        upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        upstream.connect((rest[0], 53))
    while True:
        for key, _ in selector.select():
            if key.fileobj is udp:
                query, client = udp.recvfrom(512)
                udp.sendto(answer(query), client)
            else:
                connection, _ = key.fileobj.accept()
                with connection:
                    connection.sendall(connection.recv(512))


def is_answered(server, name):
    query = os.urandom(2) + b"\x01\x00\x00\x01" + bytes(6) + name + b"\x00\x00\x01\x00\x01"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        client.connect((server, 53))
        try:
            client.send(query)
            return client.recv(512) == answer(query)
        except OSError:
            return False


if role == "serve":
    serve()
while not is_answered(rest[0], b"\x03app"):
    pass
print("begun", flush=True)
is_over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), is_over.set())).start()
lost = 0
while not is_over.wait(0.02):
    lost += not is_answered(rest[0], b"\x03app")
print(lost, flush=True)
