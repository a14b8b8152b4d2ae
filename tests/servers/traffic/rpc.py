"""A gRPC server, and a client that calls it on one channel until it reads a line: rpc.py serve|call ADDRESS"""

import signal
import sys
import threading
from concurrent import futures

import grpc

_, role, address = sys.argv

if role == "serve":
    server = grpc.server(futures.ThreadPoolExecutor(4))
    echo = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("app", {"Echo": echo})]
    )
    server.add_insecure_port(address)
    server.start()
    signal.signal(signal.SIGTERM, lambda *_: server.stop(1))
    server.wait_for_termination()
else:
    echo = grpc.insecure_channel(address).unary_unary("/app/Echo")
    echo(b"first", wait_for_ready=True)
    print("begun", flush=True)
    is_over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), is_over.set())).start()
    lost = 0
    while not is_over.wait(0.02):
        try:
            echo(b"next")
        except grpc.RpcError:
            lost += 1
    print(lost, flush=True)
