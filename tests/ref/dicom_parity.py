#!/usr/bin/env python3
"""Compare engraft's DICOM reader with pydicom and dcmtk, pixel by pixel: transfer syntax x bits x sign x photometric x
display. Exits 77 where pydicom, NumPy or Pillow is missing, 1 at the first kind of file that differs.

usage: dicom_parity.py BUILD_DIR [--write docs/dicom.md]

The expectation is reference() of scripts/make_dicom_samples.py. Files compressed by dcmtk (dcmcrle, dcmcjpeg) and its
renderer dcm2pnm are part of it where they are installed. --write puts the table into the document.
"""
import io
import itertools
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "scripts")]
try:
    import numpy as np
    import pydicom
    from pydicom.sequence import Sequence
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
    import make_dicom_samples as make
    from pillow_parity import decode, load_library
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

DISPLAYS = {
    "no window": {},
    "window": dict(WindowCenter="0.4", WindowWidth="0.5"),
    "narrow window": dict(WindowCenter="0.5", WindowWidth="0.03"),
    "LINEAR_EXACT": dict(WindowCenter="0.45", WindowWidth="0.31", VOILUTFunction="LINEAR_EXACT"),
    "SIGMOID": dict(WindowCenter="0.5", WindowWidth="0.2", VOILUTFunction="SIGMOID"),
    "VOI LUT": dict(lut=True),
}
RESCALES = {"none": None, "CT": (1, -1024), "fraction": (0.37, 12.5), "negative": (-2, 100)}


def display_attributes(display, rescale, stored, signed):
    """Window and LUT over the range that the values have after the rescale."""
    low, high = (-(1 << stored - 1), (1 << stored - 1) - 1) if signed else (0, (1 << stored) - 1)
    extra = {}
    if rescale:
        extra.update(RescaleSlope=rescale[0], RescaleIntercept=rescale[1])
        low, high = sorted((low * rescale[0] + rescale[1], high * rescale[0] + rescale[1]))
    chosen = dict(DISPLAYS[display])
    if chosen.pop("lut", False):
        first = int(low + (high - low) * 0.25)
        if not -32768 <= first <= (32767 if signed else 65535) or (first < 0 and not signed):
            first = 0
        n = min(3000, int(high - low) // 2 + 1)
        first = max(first, int(high) - 65535)  # pydicom keeps the index in 16 bits
        item = make.lut_item(first, (np.linspace(0, 1, n) ** 0.7 * 4095).astype(int), 12)
        return {**extra, "VOILUTSequence": Sequence([item])}
    for key, span in (("WindowCenter", low), ("WindowWidth", 0)):
        if key in chosen:
            chosen[key] = f"{span + float(chosen[key]) * (high - low):.6g}"
    if "WindowWidth" in chosen and chosen.get("VOILUTFunction") is None:
        chosen["WindowWidth"] = max(2, float(chosen["WindowWidth"]))
    return {**extra, **chosen}


def dcmtk(tool, data, *options):
    """The file as a dcmtk tool makes it of `data`; None: not installed."""
    if not shutil.which(tool):
        return None
    with tempfile.TemporaryDirectory() as folder:
        before, after = folder + "/in", folder + "/out"
        pathlib.Path(before).write_bytes(data)
        subprocess.run([tool, *options, before, after], check=True, capture_output=True)
        return pathlib.Path(after).read_bytes()


def gray_cases():
    """(group of the table, data) of every gray file."""
    for stored, signed, photometric in itertools.product((8, 10, 12, 16), (False, True), ("MONOCHROME2", "MONOCHROME1")):
        for display, (rescale_name, rescale) in itertools.product(DISPLAYS, RESCALES.items()):
            extra = display_attributes(display, rescale, stored, signed)
            pixels = make.gray(24, 31 + stored % 3, stored, signed, seed=stored)
            for name, syntax in (("explicit VR", ExplicitVRLittleEndian), ("implicit VR", ImplicitVRLittleEndian)):
                data = make.encoded(make.dataset(pixels, stored, photometric, syntax, **extra))
                yield (name, stored, signed, photometric, display), data
            if rescale_name != "CT":
                continue
            smooth = np.sort(pixels, axis=2)  # runs, for RLE
            ds = make.dataset(smooth, stored, photometric, ExplicitVRLittleEndian, **extra)
            plain = make.encoded(ds)
            yield ("RLE (pydicom)", stored, signed, photometric, display), make.encoded(make.rle(ds))
            yield ("RLE (dcmtk)", stored, signed, photometric, display), dcmtk("dcmcrle", plain)
            if stored == 8 and not signed:
                soft = make.smooth(24, 32, 1)[:, :, 0]
                ds = make.jpeg(soft, photometric, **extra)
                yield ("JPEG (Pillow)", stored, signed, photometric, display), make.encoded(ds)
                plain = make.encoded(make.dataset(soft[None], 8, photometric, **extra))
                yield ("JPEG (dcmtk)", stored, signed, photometric, display), dcmtk("dcmcjpeg", plain, "+eb")


def colour_cases():
    rng = np.random.default_rng(11)
    colour = rng.integers(0, 256, (1, 24, 32, 3)).astype(np.uint8)
    soft = make.smooth(24, 32, 3)
    for planar, photometric in itertools.product((0, 1), ("RGB", "YBR_FULL")):
        for name, syntax in (("explicit VR", ExplicitVRLittleEndian), ("implicit VR", ImplicitVRLittleEndian)):
            ds = make.dataset(colour, 8, photometric, syntax, PlanarConfiguration=planar)
            yield (name, 8, False, photometric, "no window"), make.encoded(ds)
        ds = make.dataset(colour, 8, photometric, PlanarConfiguration=planar)
        yield ("RLE (dcmtk)", 8, False, photometric, "no window"), dcmtk("dcmcrle", make.encoded(ds))
        yield ("RLE (pydicom)", 8, False, photometric, "no window"), make.encoded(make.rle(ds))
    for stored in (12, 16):
        wide = rng.integers(0, 1 << stored, (1, 24, 32, 3)).astype(np.uint16)
        yield ("explicit VR", stored, False, "RGB", "no window"), make.encoded(make.dataset(wide, stored, "RGB"))
    for photometric, jfif in itertools.product(("RGB", "YBR_FULL_422"), (True, False)):
        ds = make.jpeg(soft, photometric, jfif=jfif)
        yield ("JPEG (Pillow)", 8, False, photometric, "no window"), make.encoded(ds)
    plain = make.encoded(make.dataset(soft[None], 8, "RGB"))
    yield ("JPEG (dcmtk)", 8, False, "YBR_FULL_422", "no window"), dcmtk("dcmcjpeg", plain, "+eb")
    yield ("JPEG (dcmtk)", 8, False, "RGB", "no window"), dcmtk("dcmcjpeg", plain, "+eb", "+cr")
    for name, ds in make.samples():
        if name == "palette":
            yield ("explicit VR", 8, False, "PALETTE COLOR", "no window"), make.encoded(ds)


def dcm2pnm(data, display):
    """8-bit gray as dcmtk renders it; None: not installed, or what it does in its own way: it stretches otherwise
    without a window, and shows LINEAR_EXACT as LINEAR."""
    option = {"window": ["+Wi", "1"], "narrow window": ["+Wi", "1"], "SIGMOID": ["+Wi", "1"],
              "VOI LUT": ["+Wl", "1"]}.get(display)
    if option is None:
        return None
    pnm = dcmtk("dcm2pnm", data, "+op", *option)
    return None if pnm is None else np.frombuffer(pnm.split(b"255\n", 1)[1], np.uint8)


def compare(lib):
    """Rows of the table by (syntax, photometric): files, largest difference to pydicom and to dcm2pnm (8 bit)."""
    rows, failures = {}, 0
    for i, ((syntax, stored, signed, photometric, display), data) in enumerate(itertools.chain(gray_cases(), colour_cases())):
        if data is None:
            continue
        row = rows.setdefault((syntax, photometric), dict(files=0, worst=0, bits=set(), displays=set(), dcmtk=None))
        row["files"] += 1
        row["bits"].add(f"{stored}{'s' if signed else ''}")
        row["displays"].add(display)
        name = f"{syntax} {stored} bit {'signed' if signed else 'unsigned'} {photometric} {display}"
        pixels, error = decode(lib, data)
        ds = pydicom.dcmread(io.BytesIO(data))
        expected = make.reference(ds)
        if pixels is None or pixels.shape != expected.shape or pixels.dtype != expected.dtype:
            print(f"{name}: {error or (pixels.shape, pixels.dtype, expected.shape, expected.dtype)}")
            failures += 1
            continue
        difference = int(np.abs(pixels.astype(int) - expected).max())
        row["worst"] = max(row["worst"], difference)
        if difference:
            print(f"{name}: largest difference {difference}, {int((pixels != expected).sum())} values")
            failures += 1
        # a process a file: a sample of them; dcmtk keeps rescaled values as integers
        whole = float(ds.get("RescaleSlope", 1)).is_integer()
        if i % 7 == 0 and photometric.startswith("MONO") and "JPEG" not in syntax and whole:
            rendered = dcm2pnm(data, display)
            if rendered is not None:
                top = 65535 if pixels.dtype == np.uint16 else 255
                ours = pixels.astype(np.float64).ravel() * 255 / top
                row["dcmtk"] = max(row["dcmtk"] or 0, float(np.abs(ours - rendered).max()))
                if row["dcmtk"] > 1.001:
                    print(f"{name}: {row['dcmtk']} away from dcm2pnm")
                    failures += 1
    return rows, failures


def table(rows):
    head = ["transfer syntax (written by)", "photometric", "bits stored (s: signed)", "displays", "files",
            "largest difference to pydicom", "to dcm2pnm, of 255"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for (syntax, photometric), row in sorted(rows.items()):
        bits = ", ".join(sorted(row["bits"], key=lambda b: (int(b.rstrip("s")), b)))
        displays = "all" if len(row["displays"]) == len(DISPLAYS) else ", ".join(sorted(row["displays"]))
        dcmtk_difference = "-" if row["dcmtk"] is None else f"{row['dcmtk']:.2f}"
        lines.append(f"| {syntax} | {photometric} | {bits} | {displays} | {row['files']} | {row['worst']} | {dcmtk_difference} |")
    return "\n".join(lines) + "\n"


def main():
    if len(sys.argv) not in (2, 4):
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        rows, failures = compare(load_library(sys.argv[1], folder))
    text = table(rows)
    print(text)
    print(f"{sum(row['files'] for row in rows.values())} files, {failures} differ; pydicom {pydicom.__version__}")
    if len(sys.argv) == 4:
        document = pathlib.Path(sys.argv[3])
        before, rest = document.read_text().split("<!-- table: tests/ref/dicom_parity.py -->\n")
        after = rest.split("<!-- end -->\n", 1)[1]
        document.write_text(before + "<!-- table: tests/ref/dicom_parity.py -->\n" + text + "<!-- end -->\n" + after)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
