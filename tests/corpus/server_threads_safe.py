# A threaded server's handlers count under a lock; who has closed it, and waited for them, counts on without.
import os
import socket
import socketserver
import sys
import threading
import time

WHAT = "requests counted"


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"y")
        with self.server.lock:
            self.server.requests = self.server.requests + 1


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock, self.requests = threading.Lock(), 0


def one_round():
    server = Server()
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        for _ in range(6):
            with socket.create_connection(server.server_address) as client:
                client.recv(1)
        server.shutdown()
        thread.join()
    server.requests = server.requests + 1
    return 7, server.requests


def main():
    seconds = 0.0
    if "--seconds" in sys.argv:
        seconds = float(sys.argv[sys.argv.index("--seconds") + 1])
        print("ready", os.getpid(), flush=True)
    stop_at = time.monotonic() + seconds
    rounds = want = got = 0
    while True:
        expected, actual = one_round()
        rounds, want, got = rounds + 1, want + expected, got + actual
        if time.monotonic() >= stop_at:
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
