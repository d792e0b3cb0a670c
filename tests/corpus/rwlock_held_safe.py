# A readers-writer lock whose writer keeps the inner lock between two methods (acquired in one, released in another).
import os
import sys
import threading
import time

WHAT = "torn views of the menu"


class MenuLock:
    def __init__(self):
        self._idle = threading.Condition(threading.RLock())
        self._guests = 0

    def open_menu(self):
        with self._idle:
            self._guests += 1

    def close_menu(self):
        with self._idle:
            self._guests -= 1
            if not self._guests:
                self._idle.notify_all()

    def begin_change(self):
        self._idle.acquire()
        while self._guests:
            self._idle.wait()

    def end_change(self):
        self._idle.release()


def guest(menu, lock, torn):
    for _ in range(8):
        lock.open_menu()
        try:
            dish = menu["dish"]
            time.sleep(0.0004)
            if menu["wine"] != "wine for " + dish:
                torn.append(dish)
        finally:
            lock.close_menu()
        time.sleep(0.0005)


def chef(menu, lock):
    for n in range(6):
        lock.begin_change()
        try:
            menu["dish"] = "dish %d" % n
            time.sleep(0.0004)
            menu["wine"] = "wine for dish %d" % n
        finally:
            lock.end_change()
        time.sleep(0.0005)


def one_round():
    menu, lock, torn = {"dish": "soup", "wine": "wine for soup"}, MenuLock(), []
    people = [threading.Thread(target=guest, args=(menu, lock, torn)) for _ in range(3)]
    people.append(threading.Thread(target=chef, args=(menu, lock)))
    for p in people:
        p.start()
    for p in people:
        p.join()
    return 0, len(torn)


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
