"""A worker of celery with a task that lasts until Redis has a key; and, as a program, its client."""

import os
import sys
import time

import celery
import redis

broker = "redis://" + os.environ["REDIS"]
app = celery.Celery("tasks", broker=broker, backend=broker)


@app.task
def work(until):
    client = redis.Redis.from_url(broker)
    # That it has begun.
    client.set("begun by " + until, 1)
    while until and not client.exists(until):
        time.sleep(0.01)
    return "done"


if __name__ == "__main__":
    tasks = {}
    for line in sys.stdin:
        what, until = line.rstrip("\n").split(" ")
        if what == "begin":
            tasks[until] = work.delay(until)
        try:
            print(what if what == "begin" else tasks[until].get(timeout=30), flush=True)
        except Exception as error:
            print(type(error).__name__, flush=True)
