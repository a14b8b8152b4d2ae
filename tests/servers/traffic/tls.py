"""A TLS server, and a client that opens N connections and closes one for each line that it reads, as a
balancer does that leaves: tls.py serve PORT CERTIFICATE KEY, tls.py call PORT N"""

import socket
import ssl
import sys
import threading

_, role, port, *rest = sys.argv
address = ("127.0.0.1", int(port))


def answer(connection):
    with context.wrap_socket(connection, server_side=True) as connection:
        while data := connection.recv(4096):
            connection.sendall(data)


if role == "serve":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*rest)
    with socket.create_server(address) as listener:
        print("serving", flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=[connection], daemon=True).start()
else:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connections = []
    for _ in range(int(rest[0])):
        connections.append(context.wrap_socket(socket.create_connection(address)))
        connections[-1].sendall(b"request")
        connections[-1].recv(4096)
    print("open", flush=True)
    for line in sys.stdin:
        connection = connections.pop()
        connection.setblocking(False)
        try:
            # close_notify; what the server says to it is not awaited.
            connection.unwrap()
        except ssl.SSLWantReadError:
            pass
        connection.close()
        print(line, end="", flush=True)
