#!/usr/bin/env python3
"""Write an .npz with engraft and read it with numpy.load(allow_pickle=False). Run by hand; needs NumPy.

usage: numpy_parity.py BUILD_DIR
"""
import ctypes
import sys
import tempfile
import zipfile

import numpy as np

from pillow_parity import EgError, load_library


class EgNpyArray(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("descr", ctypes.c_char_p), ("n_dims", ctypes.c_int),
                ("dims", ctypes.c_int64 * 8), ("data", ctypes.c_void_p), ("n_bytes", ctypes.c_size_t)]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rng = np.random.default_rng(0)
    arrays = {
        "features": rng.normal(size=(37, 1280)).astype(np.float32), "labels": np.arange(37, dtype=np.int64),
        "files": np.array(["train/NORMAL/a.jpeg", "測試/b.png"] * 18 + [""]), "scalar": np.array(2.5),
        "empty": np.zeros((0, 5), np.float32), "flags": np.array([True, False]), "bytes": np.array([b"ab", b"c"]),
        "cube": rng.integers(0, 255, (2, 3, 4, 5), dtype=np.uint8), "half": np.array([0.5], np.float16),
    }
    with tempfile.TemporaryDirectory() as folder:
        lib = load_library(sys.argv[1], folder)
        table = (EgNpyArray * len(arrays))()
        for row, (name, a) in zip(table, arrays.items()):
            row.name, row.descr, row.n_dims = name.encode(), a.dtype.str.encode(), a.ndim
            row.dims[: a.ndim] = a.shape
            row.data, row.n_bytes = a.ctypes.data, a.nbytes
        path, error = folder + "/a.npz", EgError()
        status = lib.eg_npz_write(path.encode(), table, ctypes.c_size_t(len(arrays)), ctypes.byref(error))
        if status != 0:
            sys.exit(error.text.decode())
        with zipfile.ZipFile(path) as z:
            assert z.testzip() is None
        back = np.load(path, allow_pickle=False)
        assert sorted(back.files) == sorted(arrays)
        for name, a in arrays.items():
            assert back[name].dtype == a.dtype and back[name].shape == a.shape, name
            assert back[name].tobytes() == a.tobytes(), name
    print(f"{len(arrays)} arrays read back equal by NumPy {np.__version__}")


if __name__ == "__main__":
    main()
