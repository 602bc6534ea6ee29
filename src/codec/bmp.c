/* BMP, what Pillow reads of it: headers of OS/2 (12 bytes) to Windows 5 (124), palettes of 1, 4 and 8
 * bits, 16 bits (5-5-5 and 5-6-5), 24 and 32 bits, RLE4 and RLE8, bottom-up and top-down. A palette
 * that is the ramp 0, 1, 2... or just black and white makes a gray picture, as in Pillow. Alpha is
 * dropped.
 *
 * Narrower than Pillow: an index behind the palette, rows that the file does not have whole, and RLE
 * data that end before the last pixel are errors. Read first: image_formats.h. */
#include "codec/image_formats.h"
#include <string.h>

enum { RAW = 0, RLE8 = 1, RLE4 = 2, BITFIELDS = 3 }; /* compression in the header */
enum { FILE_HEADER = 14, OS2_HEADER = 12, INFO_HEADER = 40, V3_HEADER = 56 };

typedef struct {
    const uint8_t *data;
    size_t size;
    int width, height;
    bool top_down;
    unsigned bits, compression;
    uint32_t masks[3];  /* R G B of 16 and 32 bits with BITFIELDS */
    size_t pixels_at;   /* offset of the pixel data */
    unsigned n_colours; /* of the palette; 0: none */
    uint8_t palette[256][3];
    bool gray;
} bmp_header;

static unsigned u16_at(const uint8_t *p) {
    return (unsigned)p[0] | (unsigned)p[1] << 8;
}

static uint32_t u32_at(const uint8_t *p) {
    return u16_at(p) | (uint32_t)u16_at(p + 2) << 16;
}

static eg_status fail_end(const bmp_header *h, eg_error *err) {
    return eg_fail_at(err, EG_ERR_INPUT, (int64_t)h->size,
                      "unexpected end of BMP data at byte %zu - the file is cut short", h->size);
}

/* ---- header ---- */

/* Width, height, bits, compression. `info`: the second header, `n` bytes, all in the file. */
static eg_status read_sizes(bmp_header *h, const uint8_t *info, size_t n, uint32_t *n_colours,
                            eg_error *err) {
    int64_t width, height;
    if (n == OS2_HEADER) {
        width = u16_at(info + 4);
        height = u16_at(info + 6);
        h->bits = u16_at(info + 10);
        h->compression = RAW;
        *n_colours = 0;
    } else {
        width = u32_at(info + 4);
        h->top_down = info[11] == 0xFF; /* Pillow's test of a negative height */
        height = h->top_down ? ((int64_t)1 << 32) - u32_at(info + 8) : u32_at(info + 8);
        h->bits = u16_at(info + 14);
        h->compression = u32_at(info + 16);
        *n_colours = u32_at(info + 32);
    }
    if (width < 1 || width > INT32_MAX || height < 1 || height > INT32_MAX) {
        return eg_fail_at(err, EG_ERR_INPUT, FILE_HEADER + 4,
                          "bad BMP data at byte %d: %jd x %jd pixels", FILE_HEADER + 4,
                          (intmax_t)width, (intmax_t)height);
    }
    h->width = (int)width;
    h->height = (int)height;
    return EG_OK;
}

/* Which pairs of depth and compression are read. */
static eg_status check_kind(const bmp_header *h, eg_error *err) {
    unsigned b = h->bits;
    bool good = h->compression == RAW ? b == 1 || b == 4 || b == 8 || b == 16 || b == 24 || b == 32
                : h->compression == RLE8      ? b == 8
                : h->compression == RLE4      ? b == 4
                : h->compression == BITFIELDS ? b == 16 || b == 24 || b == 32
                                              : false;
    if (good) return EG_OK;
    return eg_fail_at(
        err, EG_ERR_UNSUPPORTED, FILE_HEADER + 14,
        "a BMP of %u bits a pixel and compression %u; read are 1, 4, 8, 16, 24 and 32 "
        "bits, RLE4 and RLE8 - save it as PNG",
        h->bits, h->compression);
}

/* Masks of BITFIELDS: bytes 40 to 52 of the second header, also where that counts only 40 bytes. 16
 * bits: 5-6-5 or 5-5-5; 24 and 32 bits: whole bytes. Without BITFIELDS the usual ones. */
static eg_status read_masks(bmp_header *h, const uint8_t *info, eg_error *err) {
    static const uint32_t usual[3] = {0xFF0000, 0xFF00, 0xFF}, five[3] = {0x7C00, 0x3E0, 0x1F},
                          six[3] = {0xF800, 0x7E0, 0x1F}, none[3] = {0};
    memcpy(h->masks, h->bits == 16 ? five : usual, sizeof usual);
    if (h->compression != BITFIELDS) return EG_OK;
    size_t at = FILE_HEADER + INFO_HEADER;
    if (h->size < at + 12) return fail_end(h, err);
    for (size_t c = 0; c < 3; c++) h->masks[c] = u32_at(info + INFO_HEADER + 4 * c);
    bool good;
    if (h->bits == 16) {
        good = memcmp(h->masks, five, sizeof five) == 0 || memcmp(h->masks, six, sizeof six) == 0;
    } else if (h->bits == 24) {
        good = memcmp(h->masks, usual, sizeof usual) == 0;
    } else {
        if (memcmp(h->masks, none, sizeof none) == 0) memcpy(h->masks, usual, sizeof usual);
        good = true;
        for (int c = 0; c < 3; c++) {
            uint32_t m = h->masks[c];
            good = good && (m == 0xFF || m == 0xFF00 || m == 0xFF0000 || m == 0xFF000000);
        }
    }
    if (good) return EG_OK;
    return eg_fail_at(err, EG_ERR_UNSUPPORTED, (int64_t)at,
                      "a BMP with the colour masks %08x %08x %08x; read are 5-6-5, 5-5-5 and whole "
                      "bytes - save it as PNG",
                      h->masks[0], h->masks[1], h->masks[2]);
}

/* The palette lies right behind the second header (at `at`). `entry`: 3 bytes a colour in OS/2, 4
 * elsewhere, blue first. Entries behind the 256th can never be meant. */
static eg_status read_palette(bmp_header *h, size_t at, size_t entry, uint32_t n_colours,
                              eg_error *err) {
    if (n_colours > 65536) {
        return eg_fail_at(err, EG_ERR_INPUT, FILE_HEADER + 32,
                          "bad BMP data: a palette of %u colours", n_colours);
    }
    h->n_colours = n_colours < 256 ? n_colours : 256;
    if (h->size < at || (h->size - at) / entry < h->n_colours) return fail_end(h, err);
    h->gray = true;
    for (unsigned i = 0; i < h->n_colours; i++) {
        const uint8_t *bgr = h->data + at + i * entry;
        for (int c = 0; c < 3; c++) h->palette[i][c] = bgr[2 - c];
        unsigned ramp = n_colours == 2 ? i * 255 : i;
        h->gray = h->gray && bgr[0] == ramp && bgr[1] == ramp && bgr[2] == ramp;
    }
    return EG_OK;
}

static eg_status read_header(bmp_header *h, const uint8_t *data, size_t size, eg_error *err) {
    *h = (bmp_header){.data = data, .size = size};
    if (size < FILE_HEADER + 4) return fail_end(h, err);
    const uint8_t *info = data + FILE_HEADER;
    size_t n = u32_at(info);
    uint32_t n_colours;
    if (n != OS2_HEADER && n != INFO_HEADER && n != 52 && n != V3_HEADER && n != 64 && n != 108 &&
        n != 124) {
        return eg_fail_at(err, EG_ERR_INPUT, FILE_HEADER,
                          "bad BMP data at byte %d: a header of %zu bytes", FILE_HEADER, n);
    }
    if (size < FILE_HEADER + n) return fail_end(h, err);
    EG_TRY(read_sizes(h, info, n, &n_colours, err));
    EG_TRY(check_kind(h, err));
    EG_TRY(read_masks(h, info, err));
    h->pixels_at = u32_at(data + 10);
    size_t behind = FILE_HEADER + n;
    if (h->bits <= 8) {
        size_t entry = n == OS2_HEADER ? 3 : 4;
        if (n_colours == 0) n_colours = 1u << h->bits;
        EG_TRY(read_palette(h, behind, entry, n_colours, err));
        /* Pillow: files that count the palette as pixels, and those that say nothing */
        if (h->pixels_at == behind) h->pixels_at += entry * n_colours;
        behind += entry * n_colours;
    }
    if (h->pixels_at == 0) {
        h->pixels_at = behind + (n == INFO_HEADER && h->compression == BITFIELDS ? 12 : 0);
    }
    return h->pixels_at < size ? EG_OK : fail_end(h, err);
}

/* ---- pixels ---- */

/* One pixel of a palette picture; false: the palette has no such colour. */
static bool put_index(const bmp_header *h, uint8_t *to, unsigned index) {
    if (index >= h->n_colours) return false;
    if (h->gray) {
        *to = h->palette[index][0];
    } else {
        memcpy(to, h->palette[index], 3);
    }
    return true;
}

static eg_status fail_index(const bmp_header *h, eg_error *err) {
    return eg_fail(err, EG_ERR_INPUT,
                   "bad BMP data: a palette index of more than the %u colours of the palette",
                   h->n_colours);
}

/* Row `y` of the picture, counted from above. */
static uint8_t *row_of(const bmp_header *h, const eg_image *image, size_t y) {
    size_t stride = (size_t)image->width * (size_t)image->channels;
    return image->pixels + (h->top_down ? y : (size_t)h->height - 1 - y) * stride;
}

/* 16 bits: each field stretched to 255, rounded down, as Pillow does. */
static void unpack_16(uint8_t *to, const uint8_t *from, size_t width, bool six) {
    for (size_t x = 0; x < width; x++, from += 2, to += 3) {
        unsigned v = u16_at(from);
        unsigned green = six ? (v >> 5 & 63) * 255 / 63 : (v >> 5 & 31) * 255 / 31;
        to[0] = (uint8_t)((v >> (six ? 11 : 10) & 31) * 255 / 31);
        to[1] = (uint8_t)green;
        to[2] = (uint8_t)((v & 31) * 255 / 31);
    }
}

/* 24 and 32 bits: which byte of a pixel is which colour. */
static void unpack_bytes(const bmp_header *h, uint8_t *to, const uint8_t *from) {
    size_t step = h->bits / 8, at[3];
    for (int c = 0; c < 3; c++) at[c] = (size_t)__builtin_ctz(h->masks[c]) / 8;
    for (size_t x = 0; x < (size_t)h->width; x++, from += step, to += 3) {
        for (int c = 0; c < 3; c++) to[c] = from[at[c]];
    }
}

/* Bytes of a row in the file: whole groups of four. */
static size_t row_bytes(const bmp_header *h) {
    return ((size_t)h->width * h->bits + 31) / 32 * 4;
}

static eg_status read_raw(eg_image *image, const bmp_header *h, eg_error *err) {
    const uint8_t *row = h->data + h->pixels_at;
    for (size_t y = 0; y < (size_t)h->height; y++, row += row_bytes(h)) {
        uint8_t *to = row_of(h, image, y);
        if (h->bits >= 24) {
            unpack_bytes(h, to, row);
        } else if (h->bits == 16) {
            unpack_16(to, row, (size_t)h->width, h->masks[0] == 0xF800);
        } else {
            size_t per_byte = 8 / h->bits, channels = (size_t)image->channels;
            unsigned mask = (1u << h->bits) - 1;
            for (size_t x = 0; x < (size_t)h->width; x++, to += channels) {
                size_t shift = 8 - h->bits * (x % per_byte + 1); /* the left pixel is on top */
                if (!put_index(h, to, row[x / per_byte] >> shift & mask)) return fail_index(h, err);
            }
        }
    }
    return EG_OK;
}

/* ---- run lengths ---- */

/* Where the next pixel goes: pixel `n` of the picture in the order of the file, column x. */
typedef struct {
    eg_image *image;
    const bmp_header *h;
    size_t n, end, x; /* x counts the pixels of this row as Pillow does */
} rle_place;

/* False: no such colour. What is behind the last pixel is dropped. */
static bool rle_put(rle_place *p, unsigned index) {
    if (p->n == p->end) return true;
    size_t width = (size_t)p->h->width;
    uint8_t *row = row_of(p->h, p->image, p->n / width);
    bool good = put_index(p->h, row + p->n % width * (size_t)p->image->channels, index);
    p->n++;
    return good;
}

static bool rle_skip(rle_place *p, size_t n) {
    bool good = true;
    for (size_t i = 0; i < n && p->n < p->end && good; i++) good = rle_put(p, 0);
    return good;
}

/* `count` literal pixels, then on to an even offset in the file. */
static eg_status rle_literal(rle_place *p, eg_cursor *c, size_t count, eg_error *err) {
    bool four = p->h->compression == RLE4, good = true;
    size_t left = p->end - p->n, used = count < left ? count : left;
    const uint8_t *bytes = eg_cursor_take(c, four ? (used + 1) / 2 : used);
    if (bytes == NULL) return fail_end(p->h, err);
    for (size_t i = 0; i < used && good; i++) {
        unsigned index = !four ? bytes[i] : i % 2 == 0 ? bytes[i / 2] >> 4 : bytes[i / 2] & 15;
        good = rle_put(p, index);
    }
    p->x += count;
    c->pos += c->pos % 2;
    return good ? EG_OK : fail_index(p->h, err);
}

/* Pillow's BmpRleDecoder, step by step: what it makes of odd data is what is made here. */
static eg_status read_rle(eg_image *image, const bmp_header *h, eg_error *err) {
    size_t width = (size_t)h->width;
    rle_place p = {.image = image, .h = h, .end = width * (size_t)h->height};
    eg_cursor c = {.data = h->data, .size = h->size, .pos = h->pixels_at};
    while (p.n < p.end) {
        uint8_t count, byte, step[2];
        bool good = true;
        if (!eg_cursor_u8(&c, &count) || !eg_cursor_u8(&c, &byte)) return fail_end(h, err);
        if (count > 0) { /* a run, cut at the end of the row */
            size_t n = p.x + count <= width ? count : p.x < width ? width - p.x : 0;
            for (size_t i = 0; i < n && good; i++) {
                unsigned index = h->compression == RLE8 ? byte : i % 2 == 0 ? byte >> 4 : byte & 15;
                good = rle_put(&p, index);
            }
            p.x += n;
        } else if (byte == 0) { /* end of the row */
            good = rle_skip(&p, (width - p.n % width) % width);
            p.x = 0;
        } else if (byte == 1) { /* end of the picture */
            return eg_fail_at(err, EG_ERR_INPUT, (int64_t)c.pos,
                              "bad BMP data at byte %zu: the picture ends after %zu of %zu pixels",
                              c.pos, p.n, p.end);
        } else if (byte == 2) { /* a step to the right and up */
            if (!eg_cursor_u8(&c, &step[0]) || !eg_cursor_u8(&c, &step[1])) return fail_end(h, err);
            good = rle_skip(&p, step[0] + step[1] * width);
            p.x = p.n % width;
        } else {
            EG_TRY(rle_literal(&p, &c, byte, err));
        }
        if (!good) return fail_index(h, err);
    }
    return EG_OK;
}

/* ---- the decoder ---- */

eg_status eg_codec_bmp_decode(eg_image *out, const uint8_t *data, size_t size,
                              const eg_image_options *options, eg_error *err) {
    bmp_header h;
    EG_TRY(read_header(&h, data, size, err));
    eg_image image = {h.width, h.height, h.gray ? 1 : 3, NULL, false};
    bool packed = h.compression == RLE8 || h.compression == RLE4;
    EG_TRY(eg_codec_image_limit(&image, options, err));
    size_t need;
    bool whole = eg_mul(&need, row_bytes(&h), (size_t)h.height) && need <= size - h.pixels_at;
    if (!packed && !whole) return fail_end(&h, err);
    EG_TRY(eg_codec_image_alloc(&image, options, err));
    eg_status status = packed ? read_rle(&image, &h, err) : read_raw(&image, &h, err);
    if (status != EG_OK) {
        eg_image_free(&image);
        return status;
    }
    *out = image;
    return EG_OK;
}

/* `bits` a sample: 8 where the pixel has three, the depth of the index in a palette picture. */
eg_status eg_codec_bmp_probe(eg_image_info *out, const uint8_t *data, size_t size, eg_error *err) {
    bmp_header h;
    EG_TRY(read_header(&h, data, size, err));
    *out = (eg_image_info){.format = "BMP",
                           .width = h.width,
                           .height = h.height,
                           .channels = h.gray ? 1 : 3,
                           .bits = h.bits <= 8    ? (int)h.bits
                                   : h.bits == 16 ? 5
                                                  : 8,
                           .orientation = 1,
                           .n_frames = 1};
    return EG_OK;
}
