/* TIFF strips and tiles to pixels: libtiff decodes a row or a tile (with its byte order and
 * predictor undone), here its samples go to their place. Rows rather than whole strips, so that memory
 * does not depend on how the file is cut. Samples of less than 8 bits are stretched to 255; white as 0
 * is inverted; samples behind the colours (alpha) are dropped. Read first: tiff.h. */
#include "codec/tiff.h"
#include <string.h>

static const tmsize_t max_tile_bytes = 64L << 20;

/* A piece of one row as libtiff gives it: n pixels that belong at (x, y); in a planar file it holds
 * sample `plane` alone. */
typedef struct {
    const uint8_t *samples;
    size_t x, y, n;
    unsigned plane;
} tiff_piece;

/* Sample i of a row; the first one is in the highest bits of a byte. */
static unsigned sample_at(const uint8_t *row, size_t i, unsigned bits) {
    if (bits == 8) return row[i];
    if (bits == 16) {
        uint16_t value;
        memcpy(&value, row + 2 * i, 2);
        return value;
    }
    size_t per_byte = 8 / bits;
    unsigned shift = 8 - bits * (unsigned)(i % per_byte + 1);
    return row[i / per_byte] >> shift & ((1u << bits) - 1);
}

static void put_palette(uint8_t *to, const eg_tiff *t, const tiff_piece *p) {
    size_t step = t->planar ? 1 : t->samples;
    for (size_t i = 0; i < p->n; i++, to += 3) {
        memcpy(to, t->palette[sample_at(p->samples, i * step, t->bits)], 3);
    }
}

/* Colour times alpha back to colour (Pillow's unpackRGBa). */
static void put_premultiplied(uint8_t *to, const eg_tiff *t, const tiff_piece *p) {
    const uint8_t *from = p->samples;
    for (size_t i = 0; i < p->n; i++, from += t->samples, to += 3) {
        unsigned alpha = from[3];
        for (int c = 0; c < 3; c++) {
            unsigned value = alpha == 0 || alpha == 255 ? from[c] : from[c] * 255u / alpha;
            to[c] = (uint8_t)(alpha == 0 ? 0 : value > 255 ? 255 : value);
        }
    }
}

/* Gray and RGB of any depth: `n_taken` samples of each pixel, from sample `plane` on in the image. */
static void put_samples(eg_image *image, const eg_tiff *t, const tiff_piece *p) {
    size_t channels = (size_t)image->channels, n_taken = t->planar ? 1 : channels;
    size_t step = t->planar ? 1 : t->samples, width = (size_t)image->width;
    size_t at = (p->y * width + p->x) * channels + p->plane;
    unsigned most = t->bits == 16 ? 65535 : 255,
             scale = t->bits < 8 ? 255 / ((1u << t->bits) - 1) : 1;
    bool invert = t->photometric == PHOTOMETRIC_MINISWHITE;
    if (!invert && t->bits >= 8 && step == channels) { /* as it stands */
        size_t bytes = t->bits / 8;
        memcpy(image->pixels + at * bytes, p->samples, p->n * channels * bytes);
        return;
    }
    for (size_t i = 0; i < p->n; i++, at += channels) {
        for (size_t c = 0; c < n_taken; c++) {
            unsigned value = sample_at(p->samples, i * step + c, t->bits) * scale;
            if (invert) value = most - value;
            if (image->deep) {
                ((uint16_t *)(void *)image->pixels)[at + c] = (uint16_t)value;
            } else {
                image->pixels[at + c] = (uint8_t)value;
            }
        }
    }
}

static void put_piece(eg_image *image, const eg_tiff *t, const tiff_piece *p) {
    uint8_t *to = image->pixels + (p->y * (size_t)image->width + p->x) * 3;
    if (t->photometric == PHOTOMETRIC_PALETTE) {
        put_palette(to, t, p);
    } else if (t->premultiplied) {
        put_premultiplied(to, t, p);
    } else {
        put_samples(image, t, p);
    }
}

/* Bytes that `n` pixels of one row take in what libtiff decodes. */
static size_t piece_bytes(const eg_tiff *t, size_t n) {
    return (n * t->bits * (t->planar ? 1 : t->samples) + 7) / 8;
}

static eg_status fail_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for a row or tile of the TIFF");
}

static eg_status read_strips(eg_image *image, eg_tiff *t, unsigned n_planes, eg_error *err) {
    tmsize_t n_bytes = TIFFScanlineSize(t->tif);
    size_t width = (size_t)image->width;
    if (n_bytes <= 0 || (size_t)n_bytes < piece_bytes(t, width)) return eg_codec_tiff_fail(t, err);
    uint8_t *row = eg_calloc(1, (size_t)n_bytes);
    if (row == NULL) return fail_memory(err);
    bool good = true;
    for (unsigned plane = 0; plane < n_planes && good; plane++) {
        for (size_t y = 0; y < (size_t)image->height && good; y++) {
            good =
                TIFFReadScanline(t->tif, row, (uint32_t)y, (uint16_t)plane) == 1 && t->text[0] == 0;
            if (good) put_piece(image, t, &(tiff_piece){row, 0, y, width, plane});
        }
    }
    eg_free(row);
    return good ? EG_OK : eg_codec_tiff_fail(t, err);
}

/* One tile, whose corner is at (x, y), clipped to the image. */
static void put_tile(eg_image *image, const eg_tiff *t, const uint8_t *tile, tiff_piece at,
                     size_t tile_width, size_t tile_height) {
    size_t row_bytes = piece_bytes(t, tile_width), right = (size_t)image->width - at.x;
    size_t bottom = (size_t)image->height - at.y;
    at.n = tile_width < right ? tile_width : right;
    for (size_t y = 0; y < tile_height && y < bottom; y++, at.y++) {
        at.samples = tile + y * row_bytes;
        put_piece(image, t, &at);
    }
}

static eg_status read_tiles(eg_image *image, eg_tiff *t, unsigned n_planes, eg_error *err) {
    uint32_t tile_width = 0, tile_height = 0;
    TIFFGetField(t->tif, TIFFTAG_TILEWIDTH, &tile_width);
    TIFFGetField(t->tif, TIFFTAG_TILELENGTH, &tile_height);
    tmsize_t n_bytes = TIFFTileSize(t->tif);
    if (n_bytes > max_tile_bytes) {
        return eg_fail(err, EG_ERR_LIMIT, "a TIFF with tiles of %jd bytes, the limit is %jd",
                       (intmax_t)n_bytes, (intmax_t)max_tile_bytes);
    }
    size_t need;
    if (tile_width == 0 || tile_height == 0 || n_bytes <= 0 ||
        !eg_mul(&need, piece_bytes(t, tile_width), tile_height) || (size_t)n_bytes < need) {
        return eg_codec_tiff_fail(t, err);
    }
    uint8_t *tile = eg_calloc(1, (size_t)n_bytes);
    if (tile == NULL) return fail_memory(err);
    bool good = true;
    size_t width = (size_t)image->width, height = (size_t)image->height;
    for (unsigned plane = 0; plane < n_planes; plane++) {
        for (size_t y = 0; y < height; y += tile_height) {
            for (size_t x = 0; x < width && good; x += tile_width) {
                good =
                    TIFFReadTile(t->tif, tile, (uint32_t)x, (uint32_t)y, 0, (uint16_t)plane) > 0 &&
                    t->text[0] == 0;
                tiff_piece at = {.x = x, .y = y, .plane = plane};
                if (good) put_tile(image, t, tile, at, tile_width, tile_height);
            }
        }
    }
    eg_free(tile);
    return good ? EG_OK : eg_codec_tiff_fail(t, err);
}

eg_status eg_codec_tiff_pixels(eg_image *image, eg_tiff *t, eg_error *err) {
    unsigned n_planes =
        t->planar && t->photometric != PHOTOMETRIC_PALETTE ? (unsigned)image->channels : 1;
    t->text[0] = 0;
    return TIFFIsTiled(t->tif) ? read_tiles(image, t, n_planes, err)
                               : read_strips(image, t, n_planes, err);
}
