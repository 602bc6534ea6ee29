#!/usr/bin/env python3
"""Write tests/data/dicom: small DICOM files and expected.h with what their pixels must be. Needs pydicom, NumPy, Pillow.

usage: make_dicom_samples.py [FOLDER]

The expectation is computed by pydicom and NumPy (reference() below: modality LUT or rescale, then VOI LUT or window, in
float64, then rounded half up, then MONOCHROME1 inverted), so that the tests need no Python. Every file holds a planted
patient, which no output of engraft may show. tests/ref/dicom_parity.py builds its larger matrix from the same parts.
"""
import hashlib
import io
import pathlib
import sys

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import apply_modality_lut
from pydicom.pixels.processing import apply_voi, apply_windowing
from pydicom.sequence import Sequence
from pydicom.uid import (ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit,
                         RLELossless, SecondaryCaptureImageStorage)

NAME, ID = "PLANTED^NAME", "PLANTED-ID-4711"


def gray(rows, columns, stored, signed, seed=1, frames=1):
    """Values over the whole range of `stored` bits, the ends among them."""
    rng = np.random.default_rng(seed)
    low, high = (-(1 << stored - 1), (1 << stored - 1) - 1) if signed else (0, (1 << stored) - 1)
    values = rng.integers(low, high, (frames, rows, columns), endpoint=True)
    values[:, 0, 0], values[:, -1, -1] = low, high
    kind = "int" if signed else "uint"
    return values.astype(np.dtype(f"{kind}{8 if stored <= 8 else 16}"))


def smooth(rows, columns, channels):
    """What a JPEG can hold."""
    y, x = np.mgrid[0:rows, 0:columns]
    planes = [128 + 100 * np.sin(x / (3.0 + c) + c) * np.cos(y / (5.0 - c)) for c in range(channels)]
    return np.clip(np.dstack(planes), 0, 255).astype(np.uint8)


def dataset(pixels, stored, photometric="MONOCHROME2", syntax=ExplicitVRLittleEndian, allocated=None, **extra):
    """`pixels` (frames, rows, columns[, 3]); extra: attributes by keyword, set last."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    meta.TransferSyntaxUID = syntax
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    ds.Modality, ds.PatientName, ds.PatientID, ds.PatientSex = "OT", NAME, ID, "O"
    ds.InstitutionName, ds.PatientBirthDate = "PLANTED HOSPITAL", "19000101"
    ds.SamplesPerPixel = 3 if pixels.ndim == 4 else 1
    ds.PhotometricInterpretation = photometric
    ds.Rows, ds.Columns = pixels.shape[1:3]
    ds.BitsAllocated = allocated or pixels.dtype.itemsize * 8
    ds.BitsStored, ds.HighBit = stored, stored - 1
    ds.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
    if pixels.ndim == 4:
        ds.PlanarConfiguration = extra.pop("PlanarConfiguration", 0)
        if ds.PlanarConfiguration:
            pixels = pixels.transpose(0, 3, 1, 2)
    if len(pixels) > 1:
        ds.NumberOfFrames = len(pixels)
    data = pixels.tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OW" if ds.BitsAllocated > 8 else "OB"
    for key, value in extra.items():
        setattr(ds, key, value)
    return ds


def encoded(ds):
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def rle(ds):
    """The same data set compressed."""
    ds.compress(RLELossless, generate_instance_uid=False)
    return ds


def jpeg(pixels, photometric="MONOCHROME2", fragment=None, jfif=True, **extra):
    """(rows, columns[, 3]) uint8 as baseline JPEG by Pillow; RGB is stored as it is, YBR subsampled 4:2:2. `fragment`:
    bytes of a fragment. jfif False: without any marker that tells the colours, as many devices write it."""
    out = io.BytesIO()
    options = {"keep_rgb": True} if photometric == "RGB" else {"subsampling": 1} if pixels.ndim == 3 else {}
    Image.fromarray(pixels).save(out, format="JPEG", quality=90, **options)
    data = out.getvalue()
    if not jfif:
        data = without_markers(data, named=photometric == "RGB")
    ds = dataset(pixels[None], 8, photometric, JPEGBaseline8Bit, **extra)
    fragments = -(-len(data) // fragment) if fragment else 1
    ds.PixelData = encapsulate([data], fragments_per_frame=fragments)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    return ds


def without_markers(data, named):
    """Drop the APPn segments; `named`: call the components 1, 2, 3 instead of R, G, B, so that only the DICOM header
    tells what they are."""
    out, at = bytearray(data[:2]), 2
    while True:
        code, n = data[at + 1], int.from_bytes(data[at + 2:at + 4], "big")
        segment = bytearray(data[at:at + 2 + n])
        if named and code == 0xC0:  # frame header: length, precision, height, width, count, then 3 bytes a component
            segment[10], segment[13], segment[16] = 1, 2, 3
        if named and code == 0xDA:  # scan header: length, count, then 2 bytes a component
            segment[5], segment[7], segment[9] = 1, 2, 3
        if not 0xE0 <= code <= 0xEF:
            out += segment
        at += 2 + n
        if code == 0xDA:
            return bytes(out + data[at:])


def lut_item(first, values, bits, words=True):
    item = Dataset()
    item.add_new(0x00283002, "SS" if first < 0 else "US", [len(values) % 65536, first, bits])
    data = np.asarray(values, "<u2" if words else "u1").tobytes()
    item.add_new(0x00283006, "OW", data + b"\0" * (len(data) % 2))
    return item


# ---- what the pixels must be ----

def reference(ds):
    """First frame as engraft must give it: (rows, columns[, 3]) uint8 or, above 8 bits stored, uint16."""
    photometric, stored = ds.PhotometricInterpretation, ds.BitsStored
    deep = stored > 8 and photometric != "PALETTE COLOR"
    top, kind = (65535, np.uint16) if deep else (255, np.uint8)
    if photometric == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut
        colours = apply_color_lut(first_frame(ds), ds)
        return (colours >> 8 if colours.max() > 255 else colours).astype(np.uint8)
    if ds.SamplesPerPixel == 3:
        if ds.file_meta.TransferSyntaxUID == JPEGBaseline8Bit:
            return first_frame(ds)
        frame = first_frame(ds)
        if photometric == "RGB":
            return np.floor(frame.astype(np.float64) * (top / ((1 << stored) - 1)) + 0.5).astype(kind)
        return ybr_to_rgb(frame)
    values = apply_modality_lut(first_frame(ds), ds)
    if "VOILUTSequence" in ds:
        depth = ds.VOILUTSequence[0].LUTDescriptor[2]
        display = apply_voi(values, ds).astype(np.float64) * top / ((1 << depth) - 1)
    elif ds.get("WindowWidth") is not None:
        window = Dataset()  # without rescale and of `top`'s bits, so that pydicom's output range is 0 to top
        for key in ("WindowCenter", "WindowWidth", "VOILUTFunction"):
            if key in ds:
                setattr(window, key, getattr(ds, key))
        window.PhotometricInterpretation = photometric
        window.BitsStored, window.PixelRepresentation = (16 if deep else 8), 0
        display = apply_windowing(values, window)
    else:
        if deep:
            seen = values
            if "PixelPaddingValue" in ds:
                ends = sorted((ds.PixelPaddingValue, ds.get("PixelPaddingRangeLimit", ds.PixelPaddingValue)))
                stored_values = first_frame(ds)
                seen = values[(stored_values < ends[0]) | (stored_values > ends[1])]
        else:
            signed = ds.PixelRepresentation
            every = np.arange(-(1 << stored - 1) if signed else 0, 1 << (stored - 1 if signed else stored))
            seen = apply_modality_lut(every.astype(np.int32), ds)
        low, high = float(seen.min()), float(seen.max())
        values = values.astype(np.float64)
        display = (values - low) / (high - low) * top if high > low else np.zeros(values.shape)
    display = np.clip(np.floor(display + 0.5), 0, top).astype(kind)
    return top - display if photometric == "MONOCHROME1" else display


def first_frame(ds):
    """Stored values of the first frame. JPEG by Pillow: gray, or what libjpeg makes RGB of it."""
    if ds.file_meta.TransferSyntaxUID == JPEGBaseline8Bit:
        data = next(generate_frames(ds.PixelData, number_of_frames=int(ds.get("NumberOfFrames", 1))))
        image = Image.open(io.BytesIO(data))
        if ds.PhotometricInterpretation == "RGB" and "adobe" not in image.info and "jfif" not in image.info:
            if image.mode == "RGB":  # components called 1, 2, 3: libjpeg takes them for YCbCr
                image.draft("YCbCr", image.size)  # no conversion: what is inside is RGB already
        return np.asarray(image)
    from pydicom.pixels import pixel_array
    return pixel_array(ds, index=0, raw=True)


def ybr_to_rgb(frame):
    """PS3.3 C.7.6.3.1.2, rounded half up, in thousandths so that ties are exact."""
    y, cb, cr = (frame[..., i].astype(np.float64) - (128 if i else 0) for i in range(3))
    rgb = np.stack([y + 1.402 * cr, y - (0.114 * 1.772 * cb + 0.299 * 1.402 * cr) / 0.587, y + 1.772 * cb], -1)
    return np.clip(np.floor(rgb + 0.5), 0, 255).astype(np.uint8)


# ---- the files ----

def samples():
    """Name and data set of every committed file."""
    window = dict(WindowCenter=40, WindowWidth=400)
    ct = dict(RescaleSlope=1, RescaleIntercept=-1024)
    yield "explicit_u8", dataset(gray(6, 7, 8, False), 8)
    yield "explicit_u8_window", dataset(gray(6, 8, 8, False), 8, WindowCenter=[100, 3], WindowWidth=[50.5, 4])
    yield "implicit_u12_window", dataset(gray(6, 8, 12, False), 12, syntax=ImplicitVRLittleEndian,
                                         WindowCenter=2047.5, WindowWidth=1000)
    yield "explicit_s16_ct", dataset(gray(6, 8, 12, True), 12, **ct, **window)
    yield "explicit_u16_rescaled", dataset(gray(6, 8, 16, False), 16, RescaleSlope=0.25, RescaleIntercept=-10.5)
    yield "mono1_u12", dataset(gray(6, 8, 12, False), 12, "MONOCHROME1", WindowCenter=2000, WindowWidth=3000)
    yield "mono1_u8", dataset(gray(6, 8, 8, False), 8, "MONOCHROME1")
    yield "exact_u12", dataset(gray(6, 8, 12, False), 12, WindowCenter=2000, WindowWidth=900.5,
                               VOILUTFunction="LINEAR_EXACT")
    yield "sigmoid_u12", dataset(gray(6, 8, 12, False), 12, WindowCenter=2000, WindowWidth=900,
                                 VOILUTFunction="SIGMOID")
    padded = gray(6, 8, 12, True)
    padded[0, :2] = -2000
    yield "padding_s12", dataset(padded, 12, PixelPaddingValue=-2000)
    yield "voi_lut_u12", dataset(gray(6, 8, 12, False), 12,
                                 VOILUTSequence=Sequence([lut_item(500, np.arange(600) ** 2 // 88, 12)]))
    yield "modality_lut_u12", dataset(gray(6, 8, 12, False), 12, WindowCenter=300, WindowWidth=400,
                                      ModalityLUTSequence=Sequence([lut_item(10, np.arange(800) // 2, 16)]))
    yield "frames_u8", dataset(gray(5, 5, 8, False, frames=3), 8)
    colour = np.random.default_rng(5).integers(0, 256, (1, 6, 8, 3)).astype(np.uint8)
    yield "rgb", dataset(colour, 8, "RGB")
    yield "rgb_planes", dataset(colour, 8, "RGB", PlanarConfiguration=1)
    yield "rgb_u16", dataset(colour.astype(np.uint16) * 201, 16, "RGB")
    yield "ybr_full", dataset(colour, 8, "YBR_FULL")
    palette = {}
    for i, name in enumerate(("Red", "Green", "Blue")):
        palette[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        entries = (np.arange(256) * (37 + 2 * i) % 256 * 257).astype("<u2")
        palette[f"{name}PaletteColorLookupTableData"] = entries.tobytes()
    yield "palette", dataset(gray(6, 8, 8, False), 8, "PALETTE COLOR", **palette)
    yield "rle_u8", rle(dataset(gray(6, 7, 8, False), 8))
    yield "rle_u12", rle(dataset(gray(6, 8, 12, False) // 9 * 8, 12, WindowCenter=200, WindowWidth=300))
    yield "rle_rgb", rle(dataset(colour, 8, "RGB"))
    yield "rle_frames_u16", rle(dataset(gray(5, 5, 16, False, frames=2), 16))
    yield "jpeg_gray", jpeg(smooth(16, 24, 1)[:, :, 0])
    yield "jpeg_gray_fragments", jpeg(smooth(16, 24, 1)[:, :, 0], fragment=100, WindowCenter=120, WindowWidth=100)
    yield "jpeg_mono1", jpeg(smooth(16, 24, 1)[:, :, 0], "MONOCHROME1")
    yield "jpeg_ybr422", jpeg(smooth(16, 24, 3), "YBR_FULL_422")
    yield "jpeg_ybr422_bare", jpeg(smooth(16, 24, 3), "YBR_FULL_422", jfif=False)
    yield "jpeg_rgb", jpeg(smooth(16, 24, 3), "RGB")
    yield "jpeg_rgb_bare", jpeg(smooth(16, 24, 3), "RGB", jfif=False)
    nested = Dataset()
    nested.ReferencedImageSequence = Sequence([Dataset(), Dataset()])
    nested.ReferencedImageSequence[0].PatientComments = NAME
    ds = dataset(gray(6, 8, 8, False), 8, RequestAttributesSequence=Sequence([nested]))
    for sequence in (ds["RequestAttributesSequence"], nested["ReferencedImageSequence"]):
        sequence.is_undefined_length = True
        sequence.value[0].is_undefined_length_sequence_item = True
    yield "nested", ds


def refused():
    """Files that are not read: name, bytes, and a part of the reason."""
    ds = dataset(gray(6, 8, 8, False), 8, syntax=JPEG2000Lossless)
    ds.PixelData = encapsulate([b"\xff\x4f\xff\x51" + b"\0" * 20])
    ds["PixelData"].is_undefined_length = True
    yield "jpeg2000", encoded(ds), "gdcmconv --raw"
    ds = dataset(gray(6, 8, 8, False), 8)
    del ds.PixelData
    yield "no_pixels", encoded(ds), "without pixel data"
    yield "bad_window", encoded(dataset(gray(6, 8, 8, False), 8, WindowCenter=10, WindowWidth=0)), "width 0"
    ds = dataset(gray(6, 8, 8, False), 8)
    ds.Rows = 7
    yield "short", encoded(ds), "48 bytes of pixels, expected 56"


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                          pathlib.Path(__file__).resolve().parent.parent / "tests/data/dicom")
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, ds in samples():
        data = encoded(ds)
        (folder / f"{name}.dcm").write_bytes(data)
        ds = pydicom.dcmread(io.BytesIO(data))
        pixels = reference(ds)
        digest = hashlib.sha256(pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()).hexdigest()
        rows.append(f'    {{"{name}", {ds.Columns}, {ds.Rows}, {3 if pixels.ndim == 3 else 1}, '
                    f'{str(pixels.dtype == np.uint16).lower()}, {ds.BitsStored}, {int(ds.get("NumberOfFrames", 1))},\n'
                    f'     "{digest}"}},')
    bare = (folder / "explicit_u8.dcm").read_bytes()
    at = bare.index(b"\x08\x00\x16\x00UI")
    (folder / "bare.dcm").write_bytes(bare[at:])  # neither preamble nor group 2
    rows.append(rows[0].replace("explicit_u8", "bare"))
    reasons = []
    for name, data, reason in refused():
        (folder / f"{name}.dcm").write_bytes(data)
        reasons.append(f'    {{"{name}", "{reason}"}},')
    (folder / "expected.h").write_text(
        "/* Written by scripts/make_dicom_samples.py with pydicom: what the files beside this one must decode to. */\n"
        "static const struct {\n    const char *name;\n    int width, height, channels;\n    bool deep;\n"
        "    int bits, n_frames;\n    const char *sha256; /* of the pixels, little endian */\n} dicom_samples[] = {\n"
        + "\n".join(rows) + "\n};\n\nstatic const struct {\n    const char *name, *reason;\n} dicom_refused[] = {\n"
        + "\n".join(reasons) + "\n};\n")
    print(f"{len(rows)} files and {len(reasons)} refused ones in {folder}")


if __name__ == "__main__":
    main()
