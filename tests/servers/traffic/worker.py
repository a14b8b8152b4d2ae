"""Workers that listen on nothing that others could reach: worker.py manager|forkserver|statsd"""

import multiprocessing
import signal
import socket
import sys


def job():
    signal.pause()


if __name__ == "__main__":
    match sys.argv[1]:
        case "manager":
            manager = multiprocessing.Manager()
        case "forkserver":
            multiprocessing.set_start_method("forkserver")
            multiprocessing.Process(target=job, daemon=True).start()
        case "statsd":
            sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
            sockets[0].connect(("127.0.0.1", 8125))
            sockets[1].sendto(b"jobs:1|c", ("127.0.0.1", 8125))
    print("ready", flush=True)
    signal.pause()
