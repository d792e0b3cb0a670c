"""Starts everything."""
import threading

from shop import cache, stats


def main(queue):
    for number in range(2):
        threading.Thread(target=stats.worker, args=(queue,), name=f"Worker-{number + 1}").start()
    threading.Thread(target=refunds, args=(queue,), name="Refunds").start()


def refunds(queue):
    for order in queue:
        stats.refund(order)


async def serve(urls):
    for url in urls:
        asyncio.create_task(cache.page(url), name=f"page-{url}")
