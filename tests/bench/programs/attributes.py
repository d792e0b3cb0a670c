"""One thread, objects and attributes: an n-body step by step."""
import sys

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 60_000


class Body:
    def __init__(self, x, v, mass):
        self.x, self.y = x, -x
        self.vx, self.vy = v, v / 2
        self.mass = mass

    def pull(self, other, step):
        dx, dy = self.x - other.x, self.y - other.y
        force = step / (dx * dx + dy * dy + 0.01) ** 1.5
        self.vx -= dx * other.mass * force
        self.vy -= dy * other.mass * force
        other.vx += dx * self.mass * force
        other.vy += dy * self.mass * force

    def move(self, step):
        self.x += step * self.vx
        self.y += step * self.vy


bodies = [Body(float(number), 0.1 * number, 1.0 + number) for number in range(5)]
for _ in range(STEPS):
    for at, body in enumerate(bodies):
        for other in bodies[at + 1 :]:
            body.pull(other, 0.001)
    for body in bodies:
        body.move(0.001)
print(round(sum(body.x for body in bodies), 6))
