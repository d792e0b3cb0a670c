"""Map and reduce on a pool of threads: counts words of made texts."""
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

TEXTS = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
WORDS = [f"word{number % 977}" for number in range(5000)]


def count(number):
    found = {}
    for word in WORDS[number % 4000 : number % 4000 + 800]:
        if len(word) > 5:
            found[word] = found.get(word, 0) + 1
    return found


total = Counter()
with ThreadPoolExecutor(4) as pool:
    for found in pool.map(count, range(TEXTS)):
        total.update(found)
print(sum(total.values()))
