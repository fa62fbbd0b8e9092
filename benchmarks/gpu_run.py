#!/usr/bin/env python3
"""Runs Tern's GPU kernels on an NVIDIA GPU.

usage: gpu_run.py FOLDER

FOLDER holds kernels.ptx and cases.bin, as build/bin/gpu_cases writes them. Every case runs on the GPU
and its buffers are compared bit for bit with what the dialect's semantics say. Then the decode product
(one int8 row times packed trits) is timed on the shapes of a 2B model, on weights that do not fit the
caches, beside the rate of a device-to-device copy (bytes read and written). Needs the driver only:
libcuda is loaded by name.
"""
import ctypes
import struct
import sys

SHAPES = [("q, k and v", 3840, 2560), ("attention output", 2560, 2560), ("gate and up", 13824, 2560),
          ("down", 2560, 6912)]
LAYERS = 30


class Cuda:
    def __init__(self):
        self.lib = ctypes.CDLL("libcuda.so.1")
        self("cuInit", 0)
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self("cuDeviceGet", ctypes.byref(device), 0)
        self("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self("cuCtxSetCurrent", context)
        name = ctypes.create_string_buffer(256)
        self("cuDeviceGetName", name, 256, device)
        driver = ctypes.c_int()
        self("cuDriverGetVersion", ctypes.byref(driver))
        self.name, self.driver, self.threads = name.value.decode(), driver.value, {}

    def __call__(self, function, *arguments):
        code = getattr(self.lib, function)(*arguments)
        if code:
            text = ctypes.c_char_p()
            self.lib.cuGetErrorString(code, ctypes.byref(text))
            sys.exit(f"{function}: {text.value.decode() if text.value else code}")

    def load(self, text):
        module = ctypes.c_void_p()
        log = ctypes.create_string_buffer(65536)
        options = (ctypes.c_int * 2)(5, 6)  # error log buffer and its size
        values = (ctypes.c_void_p * 2)(ctypes.cast(log, ctypes.c_void_p), ctypes.c_void_p(65536))
        code = self.lib.cuModuleLoadDataEx(ctypes.byref(module), text, 2, options, values)
        if code:
            sys.exit(f"the driver refused the PTX ({code}): {log.value.decode()}")
        self.module = module

    def kernel(self, name):
        function = ctypes.c_void_p()
        self("cuModuleGetFunction", ctypes.byref(function), self.module, name.encode())
        return function

    def alloc(self, size):
        pointer = ctypes.c_uint64()
        self("cuMemAlloc_v2", ctypes.byref(pointer), ctypes.c_size_t(max(size, 1)))
        return pointer

    def free(self, pointer):
        self("cuMemFree_v2", pointer)

    def upload(self, data):
        pointer = self.alloc(len(data))
        self("cuMemcpyHtoD_v2", pointer, data, ctypes.c_size_t(len(data)))
        return pointer

    def download(self, pointer, size):
        data = ctypes.create_string_buffer(size)
        self("cuMemcpyDtoH_v2", data, pointer, ctypes.c_size_t(size))
        return data.raw

    def launch(self, function, grid, threads, pointers, scalars, stream=None):
        values = list(pointers) + [ctypes.c_uint32(s) for s in scalars]
        slots = (ctypes.c_void_p * len(values))(*[ctypes.cast(ctypes.byref(v), ctypes.c_void_p)
                                                  for v in values])
        self("cuLaunchKernel", function, grid[0], grid[1], 1, threads, 1, 1, 0, stream, slots, None)

    def event(self):
        event = ctypes.c_void_p()
        self("cuEventCreate", ctypes.byref(event), 0)
        return event

    def seconds(self, run, stream, repeats):
        """Of one `run`, on the GPU's own clock: the best of three series."""
        best = 1e9
        run()
        for _ in range(3):
            start, end, elapsed = self.event(), self.event(), ctypes.c_float()
            self("cuEventRecord", start, stream)
            for _ in range(repeats):
                run()
            self("cuEventRecord", end, stream)
            self("cuEventSynchronize", end)
            self("cuEventElapsedTime", ctypes.byref(elapsed), start, end)
            best = min(best, elapsed.value / 1e3 / repeats)
        return best


class Reader:
    def __init__(self, data):
        self.data, self.place = data, 0

    def number(self):
        value = struct.unpack_from("<Q", self.data, self.place)[0]
        self.place += 8
        return value

    def bytes(self):
        size = self.number()
        self.place += size
        return self.data[self.place - size:self.place]

    def case(self):
        kernel, name = self.bytes().decode(), self.bytes().decode()
        threads, grid = self.number(), (self.number(), self.number())
        buffers = [(self.bytes(), self.bytes()) for _ in range(self.number())]
        scalars = self.bytes()
        return kernel, name, threads, grid, buffers, struct.unpack(f"<{len(scalars) // 4}I", scalars)


def run_cases(cuda, data):
    reader, failed, ran = Reader(data), 0, {}
    for _ in range(reader.number()):
        kernel, name, threads, grid, buffers, scalars = reader.case()
        cuda.threads[kernel] = threads
        pointers = [cuda.upload(before) for before, _ in buffers]
        cuda.launch(cuda.kernel(kernel), grid, threads, pointers, scalars)
        cuda("cuCtxSynchronize")
        wrong = [i for i, (_, after) in enumerate(buffers)
                 if cuda.download(pointers[i], len(after)) != after]
        for pointer in pointers:
            cuda.free(pointer)
        passed, all_ = ran.get(kernel, (0, 0))
        ran[kernel] = (passed + (not wrong), all_ + 1)
        if wrong:
            failed += 1
            if failed <= 20:
                print(f"  {name}: buffers {wrong} differ")
    for kernel, (passed, all_) in sorted(ran.items()):
        print(f"  {kernel:22} {passed} of {all_} cases equal, bit for bit")
    return failed


def copy_rate(cuda, stream):
    size = 1 << 31
    source, target = cuda.alloc(size), cuda.alloc(size)
    time = cuda.seconds(lambda: cuda("cuMemcpyDtoDAsync_v2", target, source, ctypes.c_size_t(size),
                                     stream), stream, 10)
    cuda.free(source)
    cuda.free(target)
    return 2 * size / time


def graph_of(cuda, stream, record):
    graph, ready = ctypes.c_void_p(), ctypes.c_void_p()
    cuda("cuStreamBeginCapture_v2", stream, 2)
    record()
    cuda("cuStreamEndCapture", stream, ctypes.byref(graph))
    cuda("cuGraphInstantiateWithFlags", ctypes.byref(ready), graph, ctypes.c_uint64(0))
    return ready


def gemv_buffers(cuda, rows, columns):
    blocks, weight = rows // 16, rows * columns // 4
    return {"weight": cuda.alloc(weight), "scale": cuda.upload(bytes(rows * 4)),
            "acts": cuda.upload(bytes(columns)), "row_scales": cuda.upload(bytes(4)),
            "offsets": cuda.upload(bytes(4)), "residual": cuda.upload(bytes(rows * 4)),
            "out": cuda.upload(bytes(rows * 4)), "bytes": weight, "blocks": blocks,
            "scalars": (rows, columns // 16, 1)}


def launch_gemv(cuda, function, one, stream):
    pointers = [one[n] for n in ("weight", "scale", "acts", "row_scales", "offsets", "residual", "out")]
    cuda.launch(function, (one["blocks"], 1), cuda.threads["matvec_two_bit"], pointers, one["scalars"], stream)


def time_decode(cuda):
    stream = ctypes.c_void_p()
    cuda("cuStreamCreate", ctypes.byref(stream), 1)
    limit = copy_rate(cuda, stream)
    print(f"  device-to-device copy: {limit / 1e9:.0f} GB/s read and written")
    function = cuda.kernel("matvec_two_bit")
    layers = [[gemv_buffers(cuda, rows, columns) for _, rows, columns in SHAPES]
              for _ in range(LAYERS)]

    def report(what, size, time):
        print(f"  {what:34} {size / 1e6:8.2f} MB {time * 1e6:9.2f} us {size / time / 1e9:7.0f} GB/s "
              f"{100 * size / time / limit:5.1f} % of the copy")

    for i, (name, rows, columns) in enumerate(SHAPES):
        def record(i=i):
            for layer in layers:
                launch_gemv(cuda, function, layer[i], stream)
        ready = graph_of(cuda, stream, record)
        time = cuda.seconds(lambda: cuda("cuGraphLaunch", ready, stream), stream, 20) / LAYERS
        report(f"{name} {rows}x{columns}, one after another", layers[0][i]["bytes"], time)

    def whole():
        for layer in layers:
            for one in layer:
                launch_gemv(cuda, function, one, stream)
    ready = graph_of(cuda, stream, whole)
    time = cuda.seconds(lambda: cuda("cuGraphLaunch", ready, stream), stream, 20)
    report("all products of a token, in order", sum(o["bytes"] for l in layers for o in l), time)

    # What the kernel streams when launches cost nothing: the layers' rows as one matrix.
    for name, rows, columns in SHAPES:
        one = gemv_buffers(cuda, rows * LAYERS, columns)
        time = cuda.seconds(lambda: launch_gemv(cuda, function, one, stream), stream, 20)
        report(f"{name}, {LAYERS} layers in one launch", one["bytes"], time)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = sys.argv[1]
    cuda = Cuda()
    print(f"{cuda.name}, driver interface {cuda.driver // 1000}.{cuda.driver % 1000 // 10}")
    with open(f"{folder}/kernels.ptx", "rb") as file:
        cuda.load(file.read() + b"\0")
    with open(f"{folder}/cases.bin", "rb") as file:
        print("kernels against the dialect's semantics:")
        failed = run_cases(cuda, file.read())
    print("decode, batch 1, products of a 2B model:")
    time_decode(cuda)
    if failed:
        sys.exit(f"{failed} cases differ")
    print("all cases equal")


if __name__ == "__main__":
    main()
