/* PBM, PGM and PPM (P1 to P6), with Pillow's rules: samples are stretched so that `maxval` becomes
 * 255 (maxval up to 255) or 65535 (above: deep), rounded as Python rounds, half to even; a sample
 * above maxval counts as maxval in the binary kinds and is an error in the plain ones.
 *
 * One difference: Pillow cuts colour of more than 8 bits to 8 bits, here it stays deep. PAM (P7) and
 * the float kinds (PF, Pf) are not read. Only the first image of a file. Read first:
 * image_formats.h. */
#include "codec/image_formats.h"
#include <math.h>
#include <string.h>

typedef struct {
    eg_cursor cursor;
    int kind; /* 1 to 6: the digit of the magic number */
    int width, height, channels;
    unsigned maxval; /* 1 to 65535; 1 for bitmaps */
} pnm_header;

enum { MAX_TOKEN = 10 }; /* characters of a number, Pillow's limit */

static bool is_space(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static eg_status fail_end(const eg_cursor *c, eg_error *err) {
    return eg_fail_at(err, EG_ERR_INPUT, (int64_t)c->size,
                      "unexpected end of PNM data at byte %zu - the file is cut short", c->size);
}

/* Over white space and comments ("#" to the end of the line). False: the data end here. */
static bool skip_space(eg_cursor *c) {
    while (c->pos < c->size) {
        uint8_t byte = c->data[c->pos];
        if (byte == '#') {
            while (c->pos < c->size && c->data[c->pos] != '\n' && c->data[c->pos] != '\r') c->pos++;
        } else if (!is_space(byte)) {
            return true;
        } else {
            c->pos++;
        }
    }
    return false;
}

/* A decimal number up to `most`, and the cursor on the character behind it. A number that touches the
 * end of the data is not a whole one, unless `last` allows it (the last sample of a plain file). */
static eg_status read_number(unsigned *out, eg_cursor *c, unsigned most, bool last,
                             const char *what, eg_error *err) {
    if (!skip_space(c)) return fail_end(c, err);
    size_t start = c->pos;
    uint64_t value = 0;
    while (c->pos < c->size && c->pos - start <= MAX_TOKEN) {
        uint8_t byte = c->data[c->pos];
        if (byte < '0' || byte > '9') break;
        value = value * 10 + (byte - '0');
        c->pos++;
    }
    if (c->pos == c->size && !last) return fail_end(c, err);
    bool ended = c->pos == c->size || is_space(c->data[c->pos]) || c->data[c->pos] == '#';
    if (c->pos == start || !ended || value > most) {
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)start,
                          "bad PNM data at byte %zu: the %s is not a number up to %u", start, what,
                          most);
    }
    *out = (unsigned)value;
    return EG_OK;
}

static eg_status read_header(pnm_header *h, const uint8_t *data, size_t size, eg_error *err) {
    *h = (pnm_header){.cursor = {.data = data, .size = size, .pos = 2}, .maxval = 1};
    unsigned width, height;
    if (size < 3) return fail_end(&h->cursor, err);
    h->kind = data[1] - '0';
    if (data[0] != 'P' || h->kind < 1 || h->kind > 6) {
        return eg_fail_at(err, EG_ERR_INPUT, 0, "bad PNM data at byte 0: not P1 to P6");
    }
    h->channels = h->kind % 3 == 0 ? 3 : 1;
    EG_TRY(read_number(&width, &h->cursor, INT32_MAX, false, "width", err));
    EG_TRY(read_number(&height, &h->cursor, INT32_MAX, false, "height", err));
    if (h->kind % 3 != 1) {
        EG_TRY(read_number(&h->maxval, &h->cursor, 65535, false, "largest value", err));
    }
    if (width == 0 || height == 0 || h->maxval == 0) {
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)h->cursor.pos,
                          "bad PNM data at byte %zu: %u x %u pixels of values up to %u",
                          h->cursor.pos, width, height, h->maxval);
    }
    h->width = (int)width;
    h->height = (int)height;
    return EG_OK;
}

/* ---- samples ---- */

static void store(eg_image *image, size_t i, unsigned value) {
    if (image->deep) {
        ((uint16_t *)(void *)image->pixels)[i] = (uint16_t)value;
    } else {
        image->pixels[i] = (uint8_t)value;
    }
}

/* stretched[v] for v from 0 to maxval, in Pillow's order of operations; eg_free. */
static uint16_t *stretch_table(unsigned maxval) {
    uint16_t *table = eg_malloc((maxval + 1) * sizeof *table);
    for (unsigned v = 0; table != NULL && v <= maxval; v++) {
        table[v] = (uint16_t)rint((double)v / maxval * (maxval > 255 ? 65535 : 255));
    }
    return table;
}

/* P1: each character a pixel, with or without white space; P4: 8 pixels a byte. 1 is black. */
static eg_status read_bits(eg_image *image, pnm_header *h, eg_error *err) {
    size_t width = (size_t)h->width, n = width * (size_t)h->height;
    if (h->kind == 4) {
        h->cursor.pos++; /* the one white space behind the height */
        for (size_t y = 0; y < (size_t)h->height; y++) {
            const uint8_t *row = eg_cursor_take(&h->cursor, (width + 7) / 8);
            if (row == NULL) return fail_end(&h->cursor, err);
            for (size_t x = 0; x < width; x++) {
                image->pixels[y * width + x] = row[x / 8] & (0x80 >> x % 8) ? 0 : 255;
            }
        }
        return EG_OK;
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = 0;
        if (!skip_space(&h->cursor) || !eg_cursor_u8(&h->cursor, &byte)) {
            return fail_end(&h->cursor, err);
        }
        if (byte != '0' && byte != '1') {
            return eg_fail_at(err, EG_ERR_INPUT, (int64_t)h->cursor.pos - 1,
                              "bad PNM data at byte %zu: a pixel that is neither 0 nor 1",
                              h->cursor.pos - 1);
        }
        image->pixels[i] = byte == '1' ? 0 : 255;
    }
    return EG_OK;
}

static eg_status read_samples(eg_image *image, pnm_header *h, const uint16_t *table,
                              eg_error *err) {
    size_t n = (size_t)h->width * (size_t)h->height * (size_t)h->channels;
    if (h->kind < 4) { /* plain */
        for (size_t i = 0; i < n; i++) {
            unsigned value;
            EG_TRY(read_number(&value, &h->cursor, h->maxval, i + 1 == n, "sample", err));
            store(image, i, table[value]);
        }
        return EG_OK;
    }
    h->cursor.pos++; /* the one white space behind maxval */
    size_t sample_bytes = h->maxval > 255 ? 2 : 1;
    const uint8_t *p = eg_cursor_take(&h->cursor, n * sample_bytes);
    if (p == NULL) return fail_end(&h->cursor, err);
    for (size_t i = 0; i < n; i++, p += sample_bytes) {
        unsigned value = sample_bytes == 2 ? (unsigned)p[0] << 8 | p[1] : p[0];
        store(image, i, table[value > h->maxval ? h->maxval : value]);
    }
    return EG_OK;
}

/* Can the rest of the file hold that many pixels? Asked before memory is taken. */
static bool is_long_enough(const pnm_header *h) {
    size_t left = h->cursor.size - h->cursor.pos, row;
    size_t width = (size_t)h->width, height = (size_t)h->height, need;
    if (h->kind == 4) {
        row = (width + 7) / 8;
    } else {
        /* a plain sample takes a digit, and a white space between two */
        size_t sample = h->kind == 1 || (h->kind > 4 && h->maxval < 256) ? 1 : 2;
        if (!eg_mul(&row, width, (size_t)h->channels * sample)) return false;
    }
    return eg_mul(&need, row, height) && need <= left + 1;
}

eg_status eg_codec_pnm_decode(eg_image *out, const uint8_t *data, size_t size,
                              const eg_image_options *options, eg_error *err) {
    pnm_header h;
    EG_TRY(read_header(&h, data, size, err));
    eg_image image = {h.width, h.height, h.channels, NULL, h.maxval > 255};
    if (!is_long_enough(&h)) {
        /* too large is the better reason where both are true */
        EG_TRY(eg_codec_image_limit(&image, options, err));
        return fail_end(&h.cursor, err);
    }
    EG_TRY(eg_codec_image_alloc(&image, options, err));
    eg_status status;
    if (h.kind % 3 == 1) {
        status = read_bits(&image, &h, err);
    } else {
        uint16_t *table = stretch_table(h.maxval);
        status = table == NULL ? eg_fail(err, EG_ERR_NO_MEMORY, "no memory to decode the PNM")
                               : read_samples(&image, &h, table, err);
        eg_free(table);
    }
    if (status != EG_OK) {
        eg_image_free(&image);
        return status;
    }
    *out = image;
    return EG_OK;
}

/* `bits` that the largest value needs: 8 for 255, 12 for 4095. */
eg_status eg_codec_pnm_probe(eg_image_info *out, const uint8_t *data, size_t size, eg_error *err) {
    pnm_header h;
    EG_TRY(read_header(&h, data, size, err));
    int bits = 1;
    while (h.maxval >> bits) bits++;
    *out = (eg_image_info){.format = "PNM",
                           .width = h.width,
                           .height = h.height,
                           .channels = h.channels,
                           .bits = bits,
                           .orientation = 1,
                           .n_frames = 1};
    return EG_OK;
}
