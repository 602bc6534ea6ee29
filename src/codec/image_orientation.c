/* EXIF orientation: where a JPEG file says it, and what it does to pixels.
 *
 * The parser is narrow on purpose: it walks the segments in front of the first scan, takes the first
 * APP1 segment that starts with "Exif", and reads one tag (0x0112) of its first directory. All else
 * in EXIF may hold personal data and is not looked at. What is damaged counts as "upright", as in
 * Pillow: a picture is not lost for a bad tag. XMP is not looked at. Read first: image_formats.h. */
#include "codec/image_formats.h"
#include <string.h>

/* ---- the tag ---- */

enum { TAG_ORIENTATION = 0x0112, TYPE_BYTE = 1, TYPE_SHORT = 3, TYPE_LONG = 4 };

/* A number of `n` bytes at p, in the byte order of the directory. */
static uint32_t number(const uint8_t *p, int n, bool big) {
    uint32_t value = 0;
    for (int i = 0; i < n; i++) value = value << 8 | p[big ? i : n - 1 - i];
    return value;
}

/* `tiff`: what follows "Exif\0\0": a TIFF header and its first directory. */
static int directory_orientation(const uint8_t *tiff, size_t size) {
    if (size < 8) return 1;
    bool big = memcmp(tiff, "MM\0*", 4) == 0;
    if (!big && memcmp(tiff, "II*\0", 4) != 0) return 1;
    size_t at = number(tiff + 4, 4, big);
    if (at > size || size - at < 2) return 1;
    size_t n = number(tiff + at, 2, big);
    const uint8_t *entry = tiff + at + 2;
    size_t room = (size - at - 2) / 12; /* whole entries inside the segment */
    for (size_t i = 0; i < n && i < room; i++, entry += 12) {
        if (number(entry, 2, big) != TAG_ORIENTATION) continue;
        uint32_t type = number(entry + 2, 2, big), count = number(entry + 4, 4, big);
        if (count != 1) return 1;
        uint32_t value = type == TYPE_SHORT  ? number(entry + 8, 2, big)
                         : type == TYPE_LONG ? number(entry + 8, 4, big)
                         : type == TYPE_BYTE ? entry[8]
                                             : 1;
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

int eg_codec_jpeg_orientation(const uint8_t *data, size_t size) {
    size_t at = 2; /* behind SOI */
    while (at + 4 <= size && data[at] == 0xFF) {
        uint8_t marker = data[at + 1];
        if (marker == 0xFF) { /* fill byte */
            at++;
            continue;
        }
        if (marker == 0xDA || marker == 0xD9) return 1;             /* first scan, or the end */
        if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) { /* without a length */
            at += 2;
            continue;
        }
        size_t length = (size_t)data[at + 2] << 8 | data[at + 3]; /* with these two bytes */
        if (length < 2 || length > size - at - 2) return 1;
        const uint8_t *body = data + at + 4;
        if (marker == 0xE1 && length >= 8 && memcmp(body, "Exif\0\0", 6) == 0) {
            return directory_orientation(body + 6, length - 8);
        }
        at += 2 + length;
    }
    return 1;
}

/* ---- the pixels ---- */

/* Pixel by pixel, `n` bytes each (a constant in each call, so that the copies are plain moves).
 * Orientation says where row 0 and column 0 of the file belong: from 5 on rows become columns; the
 * source is walked along rows of the result. */
static inline void orient_pixels(uint8_t *to, const uint8_t *from, int width, int height,
                                 int orientation, size_t n) {
    bool turns = eg_codec_orientation_turns(orientation);
    bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    ptrdiff_t right = (ptrdiff_t)n, down = (ptrdiff_t)n * width; /* steps in the source */
    ptrdiff_t start = (flip_x ? (width - 1) * right : 0) + (flip_y ? (height - 1) * down : 0);
    ptrdiff_t step_x = flip_x ? -right : right, step_y = flip_y ? -down : down;
    int out_width = turns ? height : width, out_height = turns ? width : height;
    ptrdiff_t inner = turns ? step_y : step_x, outer = turns ? step_x : step_y;
    for (int y = 0; y < out_height; y++) {
        const uint8_t *p = from + start + y * outer;
        for (int x = 0; x < out_width; x++, p += inner, to += n) memcpy(to, p, n);
    }
}

eg_status eg_codec_image_orient(eg_image *image, int orientation, eg_error *err) {
    if (orientation <= 1 || orientation > 8) return EG_OK;
    uint8_t *pixels = eg_malloc(eg_image_bytes(image));
    if (pixels == NULL) {
        return eg_fail(err, EG_ERR_NO_MEMORY, "no memory to turn %d x %d pixels upright",
                       image->width, image->height);
    }
    const uint8_t *from = image->pixels;
    int w = image->width, h = image->height;
    switch (image->channels * (image->deep ? 2 : 1)) {
    case 1:
        orient_pixels(pixels, from, w, h, orientation, 1);
        break;
    case 2:
        orient_pixels(pixels, from, w, h, orientation, 2);
        break;
    case 3:
        orient_pixels(pixels, from, w, h, orientation, 3);
        break;
    default:
        orient_pixels(pixels, from, w, h, orientation, 6);
        break;
    }
    eg_free(image->pixels);
    image->pixels = pixels;
    if (eg_codec_orientation_turns(orientation)) {
        image->width = h;
        image->height = w;
    }
    return EG_OK;
}
