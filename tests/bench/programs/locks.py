"""A tight loop over a lock, in two threads: hardly anything else happens."""
import sys
import threading

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000_000
lock = threading.Lock()


def work():
    for _ in range(ROUNDS):
        with lock:
            pass


threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
