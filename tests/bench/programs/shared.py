"""The worst case: two threads whose every instruction is an access to something shared."""
import sys
import threading

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
a = b = c = 0
table = {"x": 0}


class Box:
    value = 0


box = Box()


def work():
    global a, b, c
    for _ in range(ROUNDS):
        a += 1
        b += a
        c = a - b
        table["x"] += 1
        box.value += 1


threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
