"""A ticket office looks whether seats are left, prints the ticket, and then takes the seats: too late if another window did.

    racetrace run -- python3 examples/check_then_act_racy.py

reports

    error[check-then-act]: Office.seats
"""

import threading
import time


class Office:
    def __init__(self, seats):
        self.seats = seats

    def sell(self, count):
        if self.seats >= count:
            time.sleep(0.01)  # the printer
            self.seats -= count
            return True
        return False


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
