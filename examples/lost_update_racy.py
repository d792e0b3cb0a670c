"""Two tills add to one total. Each reads it, works out the new one, and stores it: what the other stored in between is lost.

    racetrace run -- python3 examples/lost_update_racy.py

reports

    error[read-modify-write]: lost_update_racy.takings
"""

import threading

takings = 0


def with_tax(price):
    return price + price // 5


def till(prices):
    global takings
    for price in prices:
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
