"""A worker of the mandelbrot example in Python: the same sums as fractal.go, so that the picture does not show who has done a tile."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
from troupe import serve, service  # noqa: E402 (its folder had to be named first)


@service("tile", slots=1)
def tile(call):
    t = json.loads(call.body)
    counts = bytearray()
    for y in range(t["y"], t["y"] + t["h"]):
        call.check()
        ci = t["top"] + y * t["step"]
        for x in range(t["x"], t["x"] + t["w"]):
            cr = t["left"] + x * t["step"]
            zr = zi = 0.0
            n = 0
            while n < t["depth"]:
                rr = zr * zr
                ii = zi * zi
                if rr + ii > 4.0:
                    break
                zi = 2.0 * zr * zi + ci
                zr = rr - ii + cr
                n += 1
            counts += n.to_bytes(2, "big")
    return bytes(counts)


if __name__ == "__main__":
    serve(sys.argv[1], name=sys.argv[2])
