/* The first frame of a DICOM file as an image: gray through the table of dicom_window.c, colour
 * (RGB, YBR, palette) as it is stored.
 *
 * Gray and RGB of more than 8 bits stored become deep images of full scale 65535, all others 8 bit.
 * The JPEG inside is decoded by the room's own reader, which gives RGB for its YCbCr. Read first:
 * dicom.h. */
#include "codec/dicom.h"

#include <math.h>
#include <string.h>

/* The samples of one frame, and what must be freed for them. */
typedef struct {
    const uint8_t
        *bytes;  /* (H,W,S), or (S,H,W) when planar; 1 or 2 bytes a sample, little endian */
    void *block; /* heap behind bytes, or NULL */
    bool planar;
    eg_dicom_photometric photometric; /* JPEG: RGB whatever was inside */
} dicom_frame;

/* ---- encapsulated frames (PS3.5 annex A.4) ---- */

/* Bytes of compressed data: one fragment as it lies in the file, or several in one block. */
typedef struct {
    const uint8_t *bytes;
    size_t size;
    void *block;
} dicom_stream;

/* The next fragment; *end: the sequence ends here instead. */
static eg_status next_fragment(const uint8_t **bytes, size_t *n, bool *end, eg_cursor *c,
                               eg_error *err) {
    eg_dicom_element item;
    EG_TRY(eg_codec_dicom_element(&item, c, false, err));
    *end = item.tag == EG_DICOM_SEQUENCE_END;
    if (*end) return EG_OK;
    if (item.tag != EG_DICOM_ITEM || item.length == EG_DICOM_UNDEFINED)
        return eg_fail(err, EG_ERR_INPUT,
                       "the compressed DICOM pixels are not a list of fragments");
    *n = item.length;
    *bytes = eg_cursor_take(c, item.length);
    return EG_OK;
}

/* How many fragments there are, how many of them and of their bytes belong to the first frame. */
typedef struct {
    size_t n_all, n_first, first_bytes;
} fragment_count;

/* The sequence is walked to its end, which must be there: a file that is cut short shows. Fragments
 * of the first frame: all of the only frame; else those before the second offset of the table that
 * comes first; without a table the first when each frame has one; else all (the decoder stops at the
 * end of the first image). `c` at the offset table. */
static eg_status count_fragments(fragment_count *out, const eg_codec_dicom *d, eg_cursor c,
                                 eg_error *err) {
    const uint8_t *bytes = NULL;
    size_t n = 0, all_bytes = 0, second = 0, at = 0;
    bool end = false;
    EG_TRY(next_fragment(&bytes, &n, &end, &c, err));
    if (end) return eg_fail(err, EG_ERR_INPUT, "the compressed DICOM pixels have no frame");
    if (d->n_frames > 1 && n >= 8)
        second = bytes[4] | bytes[5] << 8 | bytes[6] << 16 | (size_t)bytes[7] << 24;
    *out = (fragment_count){0};
    for (;;) {
        EG_TRY(next_fragment(&bytes, &n, &end, &c, err));
        if (end) break;
        out->n_all++;
        all_bytes += n;
        bool first = second > 0 ? at < second : d->n_frames == 1 || out->n_all == 1;
        if (first) {
            out->n_first++;
            out->first_bytes += n;
        }
        at += n + 8;
    }
    if (out->n_all == 0)
        return eg_fail(err, EG_ERR_INPUT, "the compressed DICOM pixels have no frame");
    if (second == 0 && d->n_frames > 1 && out->n_all != (size_t)d->n_frames) {
        out->n_first = out->n_all;
        out->first_bytes = all_bytes;
    }
    return EG_OK;
}

/* The first frame's data; borrowed from the file where it is one fragment. */
static eg_status take_stream(dicom_stream *out, const eg_codec_dicom *d, eg_error *err) {
    eg_cursor c = {.data = d->pixels, .size = d->n_pixel_bytes};
    fragment_count count = {0};
    const uint8_t *bytes = NULL;
    size_t n = 0, used = 0;
    bool end = false;
    EG_TRY(count_fragments(&count, d, c, err));
    if (d->encoding == EG_DICOM_RLE) count.n_first = 1; /* each frame has one (PS3.5 annex G.1) */
    EG_TRY(next_fragment(&bytes, &n, &end, &c, err));   /* the table of offsets */
    if (count.n_first == 1) {
        EG_TRY(next_fragment(&bytes, &n, &end, &c, err));
        *out = (dicom_stream){.bytes = bytes, .size = n};
        return EG_OK;
    }
    uint8_t *block = eg_malloc(count.first_bytes > 0 ? count.first_bytes : 1);
    if (block == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for a frame's fragments");
    for (size_t i = 0; i < count.n_first; i++) {
        next_fragment(&bytes, &n, &end, &c, NULL); /* cannot fail: walked before */
        memcpy(block + used, bytes, n);
        used += n;
    }
    *out = (dicom_stream){.bytes = block, .size = used, .block = block};
    return EG_OK;
}

/* ---- JPEG ---- */

/* What the markers before the image data say. */
typedef struct {
    bool jfif, adobe, exif;
} jpeg_markers;

/* Next marker segment at *at, which moves behind it. false: image data follow, or none. */
static bool next_marker(uint8_t *code, const uint8_t **body, size_t *n, const dicom_stream *s,
                        size_t *at) {
    size_t i = *at;
    if (s->size < 4 || i > s->size - 4 || s->bytes[i] != 0xFF) return false;
    *code = s->bytes[i + 1];
    size_t length = (size_t)s->bytes[i + 2] << 8 | s->bytes[i + 3];
    if (*code < 0xC0 || *code == 0xDA || length < 2 || length > s->size - i - 2) return false;
    *body = s->bytes + i + 4;
    *n = length - 2;
    *at = i + 2 + length;
    return true;
}

static jpeg_markers find_markers(const dicom_stream *s) {
    jpeg_markers m = {0};
    size_t at = 2, n;
    uint8_t code;
    const uint8_t *body;
    while (next_marker(&code, &body, &n, s, &at)) {
        m.jfif = m.jfif || (code == 0xE0 && n >= 5 && memcmp(body, "JFIF", 5) == 0);
        m.adobe = m.adobe || (code == 0xEE && n >= 5 && memcmp(body, "Adobe", 5) == 0);
        m.exif = m.exif || code == 0xE1;
    }
    return m;
}

/* The stream with what the DICOM header knows better: without a marker a JPEG reader takes three
 * components for YCbCr or RGB by their names only, and a camera's orientation has no say here. In a
 * file of its own right (JFIF, Adobe) the marker stays, as in pydicom. */
static eg_status mend_jpeg(dicom_stream *s, eg_dicom_photometric photometric, eg_error *err) {
    static const uint8_t adobe[16] = {0xFF, 0xEE, 0, 14, 'A', 'd', 'o', 'b', 'e', 0, 100};
    jpeg_markers m = find_markers(s);
    bool colour = photometric >= EG_DICOM_RGB && photometric <= EG_DICOM_YBR_FULL_422;
    bool insert = colour && !m.jfif && !m.adobe;
    if ((!insert && !m.exif) || s->size < 2) return EG_OK;
    uint8_t *block = eg_malloc(s->size + sizeof adobe), *to = block, code;
    if (block == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the JPEG's copy");
    const uint8_t *body;
    size_t at = 2, begin = 2, n;
    memcpy(to, s->bytes, 2);
    to += 2;
    if (insert) {
        memcpy(to, adobe, sizeof adobe);
        to[15] = photometric != EG_DICOM_RGB; /* transform: 1 YCbCr, 0 none */
        to += sizeof adobe;
    }
    for (; next_marker(&code, &body, &n, s, &at); begin = at) {
        if (code == 0xE1) continue;
        memcpy(to, s->bytes + begin, at - begin);
        to += at - begin;
    }
    memcpy(to, s->bytes + begin, s->size - begin);
    to += s->size - begin;
    eg_free(s->block);
    *s = (dicom_stream){.bytes = block, .size = (size_t)(to - block), .block = block};
    return EG_OK;
}

/* Sizes and colours of the two headers must be the same. */
static eg_status decode_jpeg(dicom_frame *out, const eg_codec_dicom *d, dicom_stream *s,
                             const eg_image_options *options, eg_error *err) {
    eg_image image = {0};
    eg_image_options whole = *options;
    whole.min_side = 0;
    EG_TRY(mend_jpeg(s, d->photometric, err));
    eg_status status = eg_codec_jpeg_decode(&image, s->bytes, s->size, &whole, err);
    if (status != EG_OK) {
        if (err != NULL) err->offset = -1; /* it was one of the JPEG, not of the file */
        return eg_error_in(err, status, "JPEG inside the DICOM file");
    }
    if (image.width != d->columns || image.height != d->rows || image.channels != d->samples) {
        status =
            eg_fail(err, EG_ERR_INPUT,
                    "DICOM: %d x %d pixels of %d samples, but the JPEG inside has %d x %d of %d",
                    d->columns, d->rows, d->samples, image.width, image.height, image.channels);
        eg_image_free(&image);
        return status;
    }
    *out = (dicom_frame){.bytes = image.pixels,
                         .block = image.pixels,
                         .photometric = d->samples == 3 ? EG_DICOM_RGB : d->photometric};
    return EG_OK;
}

/* ---- one frame ---- */

static eg_status decode_rle(dicom_frame *out, const eg_codec_dicom *d, const dicom_stream *s,
                            eg_error *err) {
    size_t pixels = (size_t)d->rows * (size_t)d->columns;
    int sample_bytes = d->bits_allocated / 8;
    if (d->photometric == EG_DICOM_YBR_FULL_422)
        return eg_fail(err, EG_ERR_UNSUPPORTED,
                       "DICOM: YBR_FULL_422 in RLE is not read - convert with dcmdrle IN OUT");
    size_t n = pixels * (size_t)d->samples * (size_t)sample_bytes;
    /* two bytes give 128 at most: a few bytes must not ask for gigabytes */
    if (s->size < n / 64)
        return eg_fail(err, EG_ERR_INPUT, "DICOM: an RLE frame of %zu bytes cannot hold %zu",
                       s->size, n);
    uint8_t *block = eg_malloc(n);
    if (block == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for an RLE frame");
    eg_status status =
        eg_codec_dicom_rle(block, pixels, d->samples, sample_bytes, s->bytes, s->size, err);
    if (status != EG_OK) {
        eg_free(block);
        return status;
    }
    *out = (dicom_frame){
        .bytes = block, .block = block, .planar = true, .photometric = d->photometric};
    return EG_OK;
}

static eg_status take_frame(dicom_frame *out, const eg_codec_dicom *d,
                            const eg_image_options *options, eg_error *err) {
    if (d->encoding == EG_DICOM_NATIVE) {
        *out =
            (dicom_frame){.bytes = d->pixels, .planar = d->planar, .photometric = d->photometric};
        return EG_OK;
    }
    dicom_stream s = {0};
    EG_TRY(take_stream(&s, d, err));
    eg_status status = d->encoding == EG_DICOM_JPEG ? decode_jpeg(out, d, &s, options, err)
                                                    : decode_rle(out, d, &s, err);
    eg_free(s.block);
    return status;
}

/* The bits of sample i, without what may lie beside them in its bytes (old overlays do). */
static uint32_t stored_bits(const eg_codec_dicom *d, const uint8_t *bytes, size_t i) {
    uint32_t v = d->bits_allocated == 8 ? bytes[i] : bytes[2 * i] | (uint32_t)bytes[2 * i + 1] << 8;
    return (v >> (d->high_bit - d->bits_stored + 1)) & ((1u << d->bits_stored) - 1);
}

static void put(eg_image *image, size_t i, unsigned value) {
    if (image->deep)
        ((uint16_t *)(void *)image->pixels)[i] = (uint16_t)value;
    else
        image->pixels[i] = (uint8_t)value;
}

/* ---- gray ---- */

/* `table` and `present` of 2^bits_stored places each: which values there are, then what they become. */
static eg_status render_gray(eg_image *out, const eg_codec_dicom *d, const dicom_frame *f,
                             eg_error *err) {
    size_t n = (size_t)d->rows * (size_t)d->columns, places = (size_t)1 << d->bits_stored;
    uint16_t *table = eg_calloc(places, sizeof *table);
    uint8_t *present = eg_calloc(places, 1);
    eg_status status = EG_ERR_NO_MEMORY;
    if (table != NULL && present != NULL) {
        for (size_t i = 0; i < n; i++) present[stored_bits(d, f->bytes, i)] = 1;
        status = eg_codec_dicom_window(table, present, d, out->deep ? 65535 : 255, err);
    } else {
        eg_fail(err, status, "no memory for a table of gray values");
    }
    for (size_t i = 0; status == EG_OK && i < n; i++)
        put(out, i, table[stored_bits(d, f->bytes, i)]);
    eg_free(table);
    eg_free(present);
    return status;
}

/* ---- colour ---- */

static unsigned clamp_byte(double x) {
    double rounded = floor(x + 0.5);
    return rounded < 0 ? 0 : rounded > 255 ? 255 : (unsigned)rounded;
}

/* Full-range YCbCr to RGB (PS3.3 C.7.6.3.1.2), rounded half up. */
static void put_ybr(eg_image *image, size_t pixel, int y, int cb, int cr) {
    put(image, 3 * pixel, clamp_byte(y + 1.402 * (cr - 128)));
    put(image, 3 * pixel + 1,
        clamp_byte(y - (0.114 * 1.772 * (cb - 128) + 0.299 * 1.402 * (cr - 128)) / 0.587));
    put(image, 3 * pixel + 2, clamp_byte(y + 1.772 * (cb - 128)));
}

/* Three samples a pixel. Fewer bits than the result's are stretched to its full scale. */
static void render_samples(eg_image *out, const eg_codec_dicom *d, const dicom_frame *f) {
    size_t n = (size_t)d->rows * (size_t)d->columns;
    double scale = (out->deep ? 65535.0 : 255.0) / (double)((1u << d->bits_stored) - 1);
    size_t step = f->planar ? 1 : 3, plane = f->planar ? n : 1;
    for (size_t i = 0; i < n; i++) {
        uint32_t v[3];
        for (size_t k = 0; k < 3; k++) v[k] = stored_bits(d, f->bytes, i * step + k * plane);
        if (f->photometric == EG_DICOM_YBR_FULL) {
            put_ybr(out, i, (int)v[0], (int)v[1], (int)v[2]);
            continue;
        }
        for (size_t k = 0; k < 3; k++) put(out, 3 * i + k, (unsigned)floor(v[k] * scale + 0.5));
    }
}

/* Uncompressed YBR_FULL_422: Y1 Y2 Cb Cr for two pixels side by side. */
static void render_422(eg_image *out, const eg_codec_dicom *d, const uint8_t *bytes) {
    size_t n = (size_t)d->rows * (size_t)d->columns;
    for (size_t i = 0; i < n; i += 2) {
        const uint8_t *p = bytes + 2 * i;
        put_ybr(out, i, p[0], p[2], p[3]);
        put_ybr(out, i + 1, p[1], p[2], p[3]);
    }
}

/* Entries of 16 bits give their high byte, or the low one where a writer put 8-bit colours into
 * words. */
static int palette_shift(const eg_codec_dicom *d) {
    int shift = 0;
    for (int k = 0; k < 3; k++) {
        const eg_dicom_lut *lut = &d->palette[k];
        for (uint32_t i = 0; i < lut->n; i++)
            if (eg_codec_dicom_look_up(lut, (double)lut->first + i) > 255) shift = 8;
    }
    return shift;
}

static void render_palette(eg_image *out, const eg_codec_dicom *d, const dicom_frame *f) {
    size_t n = (size_t)d->rows * (size_t)d->columns;
    int shift = palette_shift(d);
    for (size_t i = 0; i < n; i++) {
        double v = stored_bits(d, f->bytes, i);
        for (int k = 0; k < 3; k++) {
            int entry = eg_codec_dicom_look_up(&d->palette[k], v) >> shift;
            put(out, 3 * i + (size_t)k, (unsigned)entry);
        }
    }
}

/* The pixel limit is checked before the frame is unpacked, which may be the larger of the two. */
eg_status eg_codec_dicom_render(eg_image *out, const eg_codec_dicom *d,
                                const eg_image_options *options, eg_error *err) {
    bool gray = d->photometric <= EG_DICOM_MONOCHROME2;
    bool deep = d->bits_stored > 8 && d->photometric != EG_DICOM_PALETTE;
    eg_image image = {
        .width = d->columns, .height = d->rows, .channels = gray ? 1 : 3, .deep = deep};
    dicom_frame frame = {0};
    EG_TRY(eg_codec_image_limit(&image, options, err));
    EG_TRY(take_frame(&frame, d, options, err));
    eg_status status = eg_codec_image_alloc(&image, options, err);
    if (status == EG_OK && gray) {
        status = render_gray(&image, d, &frame, err);
    } else if (status == EG_OK && frame.photometric == EG_DICOM_PALETTE) {
        render_palette(&image, d, &frame);
    } else if (status == EG_OK && frame.photometric == EG_DICOM_YBR_FULL_422) {
        render_422(&image, d, frame.bytes);
    } else if (status == EG_OK) {
        render_samples(&image, d, &frame);
    }
    eg_free(frame.block);
    if (status == EG_OK)
        *out = image;
    else
        eg_image_free(&image);
    return status;
}
