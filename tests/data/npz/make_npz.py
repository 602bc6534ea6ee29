#!/usr/bin/env python3
"""Write the small .npz files beside this script with NumPy: what test_npz.c reads. Tests need only the files."""
import pathlib
import zipfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
arrays = dict(
    f=(np.arange(12, dtype=np.float32) / 4).reshape(3, 4),
    i=np.array([-1, 2**40], dtype=np.int64),
    b=np.array([True, False, True]),
    u=np.array(["NORMAL", "肺炎"]),
    s=np.float64(2.5),
    e=np.zeros((0, 5), np.float32),
)
np.savez(HERE / "stored.npz", **arrays)
np.savez_compressed(HERE / "deflated.npz", **arrays)
np.savez(HERE / "object.npz", o=np.array([{"a": 1}], dtype=object))
np.savez(HERE / "fortran.npz", f=np.asfortranarray(arrays["f"]))
np.savez(HERE / "bigendian.npz", f=arrays["f"].astype(">f4"))
with zipfile.ZipFile(HERE / "other.npz", "w") as z:
    z.writestr("readme.txt", "not an array")
medmnist = dict(
    train_images=(np.arange(4 * 28 * 28 * 3) % 251).astype(np.uint8).reshape(4, 28, 28, 3),
    train_labels=np.array([[0], [2], [1], [0]], dtype=np.uint8),
    val_images=np.full((2, 28, 28), 7, np.uint8),
    val_labels=np.array([[1], [0]], dtype=np.int32),
    test_labels=np.array([[1], [-5]], dtype=np.int64),
)
np.savez(HERE / "medmnist_stored.npz", **medmnist)
np.savez_compressed(HERE / "medmnist_deflated.npz", **medmnist)
zipfile.ZIP64_LIMIT, limit = 10, zipfile.ZIP64_LIMIT  # every size in the directory as zip64
np.savez(HERE / "zip64.npz", **medmnist)
zipfile.ZIP64_LIMIT = limit
for name in ("stored", "deflated", "object", "fortran", "bigendian", "other",
             "medmnist_stored", "medmnist_deflated", "zip64"):
    zipfile.ZIP64_LIMIT = 10 if name == "zip64" else limit
    path = HERE / f"{name}.npz"  # the date of writing would change the bytes on every run
    with zipfile.ZipFile(path) as z:
        infos = [(i, z.read(i.filename)) for i in z.infolist()]
    with zipfile.ZipFile(path, "w") as z:
        for info, content in infos:
            fixed = zipfile.ZipInfo(info.filename, (1980, 1, 1, 0, 0, 0))
            fixed.compress_type = info.compress_type
            with z.open(fixed, "w", force_zip64=True) as member:  # as NumPy itself writes members
                member.write(content)
