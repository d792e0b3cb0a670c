"""The ticket office of check_then_act_racy.py: the seats are taken under the lock that they were counted under.

The slow part, printing, comes after; a lock for each of the two steps would not do, because both have to be one.

    racetrace run -- python3 examples/check_then_act_fixed.py

reports

    no races found
"""

import threading
import time


class Office:
    def __init__(self, seats):
        self.seats = seats
        self.lock = threading.Lock()

    def sell(self, count):
        with self.lock:
            if self.seats < count:
                return False
            self.seats -= count
        time.sleep(0.01)  # the printer
        return True


def main():
    office = Office(10)
    windows = [threading.Thread(target=office.sell, args=(4,)) for _ in range(4)]
    for window in windows:
        window.start()
    for window in windows:
        window.join()
    print("seats left:", office.seats)


if __name__ == "__main__":
    main()
