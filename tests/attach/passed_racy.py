import threading
import time

notes = {"open": 0}


class Desk:
    def __init__(self):
        self.calls = 0

    def take(self):
        self.calls += 1
        self.note()

    def note(self):
        notes["open"] += 1
        time.sleep(0.02)


def runner(start, board):
    start.wait()
    board["laps"] += 1


def shift():
    desk = Desk()
    clerks = [threading.Thread(target=desk.take) for _ in range(6)]
    for clerk in clerks:
        clerk.start()
    for clerk in clerks:
        clerk.join()


def race():
    start, board = threading.Barrier(5), {"laps": 0}
    runners = [threading.Thread(target=runner, args=(start, board)) for _ in range(4)]
    for one in runners:
        one.start()
    time.sleep(0.02)
    start.wait()
    for one in runners:
        one.join()


def forever(work):
    while True:
        work()


for work in (shift, race):
    threading.Thread(target=forever, args=(work,), daemon=True).start()
print("ready", flush=True)
time.sleep(1000)
