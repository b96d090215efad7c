"""No-op tasks from Python to Python: Troupe's and ipyparallel's, each told where its controller is.

    tasks.py troupe FOLDER ENDPOINT TASKS    FOLDER has troupe.py and troupe_tasks.py
    tasks.py ipyparallel FILE TASKS          the controller's connection file for clients

It prints {"rps": tasks per second, "p50": us of a single task's way there and back}."""
import json
import statistics
import sys
import time


def noop(x):
    return x


def measure(submit_all, submit_one, count):
    submit_all(200)  # warm
    begun = time.perf_counter()
    got = submit_all(count)
    rate = count / (time.perf_counter() - begun)
    assert list(got) == list(range(count)), "the results are wrong"
    times = []
    for i in range(200):
        begun = time.perf_counter()
        assert submit_one(i) == i
        times.append(time.perf_counter() - begun)
    print(json.dumps({"rps": rate, "p50": statistics.median(times) * 1e6}), flush=True)


def troupe(folder, endpoint, count):
    sys.path.insert(0, folder)
    from troupe_tasks import Tasks
    with Tasks(endpoint) as tasks:
        measure(lambda n: tasks.map(noop, range(n)).get(), lambda i: tasks.apply(noop, i).get(), int(count))


def ipyparallel(file, count):
    import ipyparallel
    with ipyparallel.Client(file, timeout=30) as client:
        client.wait_for_engines(2, timeout=30)
        view = client.load_balanced_view()
        measure(lambda n: [r.get() for r in [view.apply_async(noop, i) for i in range(n)]], lambda i: view.apply_sync(noop, i), int(count))


if __name__ == "__main__":
    {"troupe": troupe, "ipyparallel": ipyparallel}[sys.argv[1]](*sys.argv[2:])
