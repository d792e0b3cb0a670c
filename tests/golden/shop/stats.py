"""Counters of the shop."""
import threading

orders = 0
last_customer = None
stop_requested = False
orders_lock = threading.Lock()


def cost(order):
    return sum(item.price * item.quantity for item in order.items)


def count_order(order):
    global orders, last_customer
    total = orders
    if order.items:
        total += cost(order)
    orders = total
    last_customer = order.customer


def refund(order):
    global orders
    with orders_lock:
        orders -= cost(order)


class Meter:
    def __init__(self):
        self.hits = 0

    def hit(self):
        self.hits += 1


def worker(queue):
    while not stop_requested:
        count_order(queue.get())


def shut_down():
    global stop_requested
    stop_requested = True
