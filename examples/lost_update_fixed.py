"""The tills of lost_update_racy.py with one lock around reading, working out and storing.

    racetrace run -- python3 examples/lost_update_fixed.py

reports

    no races found
"""

import threading

takings = 0
takings_lock = threading.Lock()


def with_tax(price):
    return price + price // 5


def till(prices):
    global takings
    for price in prices:
        with takings_lock:
            takings = takings + with_tax(price)


def main():
    tills = [threading.Thread(target=till, args=([5] * 300_000,)) for _ in range(2)]
    for each in tills:
        each.start()
    for each in tills:
        each.join()
    print("takings:", takings, "of", 2 * 300_000 * with_tax(5))


if __name__ == "__main__":
    main()
