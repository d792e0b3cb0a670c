"""The transfers of lock_order_racy.py with one order for both locks.

    racetrace run -- python3 examples/lock_order_fixed.py

reports

    no races found
"""

import threading

savings_lock = threading.Lock()
current_lock = threading.Lock()
savings, current = 100, 100


def save(amount):
    global savings, current
    with savings_lock, current_lock:
        current -= amount
        savings += amount


def spend(amount):
    global savings, current
    with savings_lock, current_lock:
        savings -= amount
        current += amount


def main():
    threads = [threading.Thread(target=save, args=(10,)), threading.Thread(target=spend, args=(5,))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("savings:", savings, "current:", current)


if __name__ == "__main__":
    main()
