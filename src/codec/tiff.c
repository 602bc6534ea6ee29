/* TIFF through libtiff: gray of 1, 2, 4, 8 and 16 bits (black or white as 0), palettes, RGB of 8 and 16
 * bits; strips and tiles, both byte orders, BigTIFF; uncompressed, LZW, deflate, PackBits and JPEG.
 * 16 bits stay deep. The first page, turned upright. Other samples (floats, signed, 32 bits) are
 * refused: nobody but the user knows which of their values is black.
 *
 * The file is hostile: the chain of directories is walked here before libtiff sees it, memory of one
 * allocation is bounded, the compression comes from a list, TIFFReadRGBAImage is never used
 * (libtiff issue 781), and libtiff prints nothing. Its memory is malloc's, not the hook's.
 * Read first: image_formats.h; then tiff_pixels.c. */
#include "codec/tiff.h"
#include <stdio.h>
#include <string.h>

enum { MAX_PAGES = 10000, MAX_SAMPLES = 6 };         /* Pillow's number of samples, too */
static const tmsize_t max_single_bytes = 256L << 20; /* of one allocation inside libtiff */

/* ---- what libtiff sees: a file in memory, and nobody to talk to ---- */

static tmsize_t read_memory(thandle_t handle, void *to, tmsize_t n) {
    eg_tiff *t = handle;
    if (n <= 0 || t->pos >= t->size) return 0;
    size_t left = t->size - t->pos, taken = (size_t)n < left ? (size_t)n : left;
    memcpy(to, t->data + t->pos, taken);
    t->pos += taken;
    return (tmsize_t)taken;
}

static tmsize_t write_nothing(thandle_t handle, void *from, tmsize_t n) {
    (void)handle;
    (void)from;
    (void)n;
    return -1;
}

static toff_t seek_memory(thandle_t handle, toff_t offset, int whence) {
    eg_tiff *t = handle;
    toff_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? t->pos : t->size;
    t->pos = base + offset; /* behind the end: read_memory gives nothing there */
    return t->pos;
}

static int close_nothing(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t size_of_memory(thandle_t handle) {
    return ((eg_tiff *)handle)->size;
}

/* libtiff only reads through this pointer in a file opened for reading. */
static int map_memory(thandle_t handle, void **base, toff_t *size) {
    eg_tiff *t = handle;
    union {
        const uint8_t *borrowed;
        void *given;
    } pointer = {.borrowed = t->data};
    *base = pointer.given;
    *size = t->size;
    return 1;
}

static void unmap_nothing(thandle_t handle, void *base, toff_t size) {
    (void)handle;
    (void)base;
    (void)size;
}

/* Handlers of one file; 1: the global handlers, which print, are not called. The first complaint is
 * the cause, later ones follow from it. */
EG_PRINTF(4, 0)
static int keep_error(TIFF *tif, void *user, const char *module, const char *format, va_list args) {
    eg_tiff *t = user;
    (void)tif;
    (void)module;
    if (t->text[0] == 0) vsnprintf(t->text, sizeof t->text, format, args);
    return 1;
}

/* Unknown tags and the like are no damage; a warning of libjpeg is (jpeg.c). */
EG_PRINTF(4, 0)
static int keep_warning(TIFF *tif, void *user, const char *module, const char *format,
                        va_list args) {
    if (module != NULL && strcmp(module, "JPEGLib") == 0) {
        return keep_error(tif, user, module, format, args);
    }
    return 1;
}

eg_status eg_codec_tiff_fail(const eg_tiff *t, eg_error *err) {
    return eg_fail(err, EG_ERR_INPUT, "bad TIFF data: %s",
                   t->text[0] != 0 ? t->text : "libtiff refuses it without a reason");
}

/* ---- the chain of directories ---- */

/* A number of n bytes at `at`, in the file's byte order; false: behind the end. */
static bool number_at(uint64_t *out, const eg_tiff *t, uint64_t at, unsigned n) {
    if (at > t->size || t->size - at < n) return false;
    bool big = t->data[0] == 'M';
    *out = 0;
    for (unsigned i = 0; i < n; i++) *out = *out << 8 | t->data[at + (big ? i : n - 1 - i)];
    return true;
}

/* Bytes of a value of TIFF's types 1 to 18 (byte, text, short, long, rational, ...). */
static unsigned value_bytes(uint64_t type) {
    static const uint8_t bytes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8};
    return type < sizeof bytes ? bytes[type] : 0;
}

/* The first directory, entries from `at` on: do all values lie in the file? libtiff steps over those
 * that do not, and makes a gray picture of one whose palette is cut off. */
static bool has_all_values(eg_tiff *t, uint64_t at, uint64_t n, unsigned word) {
    for (uint64_t i = 0; i < n; i++, at += 4 + 2 * word) {
        uint64_t tag, type, count, where;
        size_t bytes;
        if (!number_at(&tag, t, at, 2) || !number_at(&type, t, at + 2, 2) ||
            !number_at(&count, t, at + 4, word) || !number_at(&where, t, at + 4 + word, word)) {
            return false;
        }
        if (tag == TIFFTAG_PHOTOMETRIC && type == TIFF_SHORT) {
            number_at(&where, t, at + 4 + word, 2);
            t->says_palette = where == PHOTOMETRIC_PALETTE;
            continue;
        }
        if (!eg_mul(&bytes, count, value_bytes(type))) return false;
        if (bytes > word && (where > t->size || bytes > t->size - where)) return false;
    }
    return true;
}

/* Counts the pages, each a directory: its number of entries, the entries, the offset of the next one.
 * A chain that leaves the file is damage; one that never ends hits the limit. */
static eg_status count_pages(eg_tiff *t, eg_error *err) {
    uint64_t mark, at, n;
    if (!number_at(&mark, t, 2, 2)) mark = 0;
    bool wide = mark == 43; /* BigTIFF */
    unsigned word = wide ? 8 : 4, entry = 4 + 2 * word, counter = wide ? 8 : 2;
    bool good = number_at(&at, t, wide ? 8 : 4, word);
    for (t->n_frames = 0; good && at != 0; t->n_frames++) {
        if (t->n_frames == MAX_PAGES) {
            return eg_fail_at(err, EG_ERR_LIMIT, (int64_t)at,
                              "a TIFF of more than %d pages, or pages that lead in a circle",
                              MAX_PAGES);
        }
        good = number_at(&n, t, at, counter) && n <= t->size / entry;
        if (good && t->n_frames == 0) good = has_all_values(t, at + counter, n, word);
        good = good && number_at(&at, t, at + counter + n * entry, word);
    }
    if (good && t->n_frames > 0) return EG_OK;
    return eg_fail_at(
        err, EG_ERR_INPUT, (int64_t)t->size,
        "bad TIFF data: page %d lies behind the end at byte %zu - is the file cut short?",
        t->n_frames > 0 ? t->n_frames : 1, t->size);
}

/* ---- the first directory ---- */

static eg_status fail_kind(const char *what, unsigned value, eg_error *err) {
    return eg_fail(
        err, EG_ERR_UNSUPPORTED,
        "a TIFF with %s %u; read are gray, palette and RGB of unsigned 8 or 16 bits (gray "
        "also 1, 2, 4), uncompressed or LZW, deflate, PackBits, JPEG - convert it",
        what, value);
}

static unsigned short_tag(const eg_tiff *t, uint32_t tag, unsigned absent) {
    uint16_t value;
    return TIFFGetFieldDefaulted(t->tif, tag, &value) == 1 ? value : absent;
}

static eg_status check_compression(eg_tiff *t, eg_error *err) {
    switch (t->compression) {
    case COMPRESSION_NONE:
    case COMPRESSION_LZW:
    case COMPRESSION_ADOBE_DEFLATE:
    case COMPRESSION_DEFLATE:
    case COMPRESSION_PACKBITS:
        return EG_OK;
    case COMPRESSION_JPEG: /* libjpeg gives RGB, as for a JPEG file */
        t->ycbcr = t->photometric == PHOTOMETRIC_YCBCR;
        if (t->bits != 8) return fail_kind("JPEG compression and bits", t->bits, err);
        if (t->ycbcr) TIFFSetField(t->tif, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        return EG_OK;
    default:
        return fail_kind("compression", t->compression, err);
    }
}

/* Colours of 16 bits, of which the high byte counts (Pillow); old files that only fill the low byte
 * are told by having no value above 255 (libtiff). */
static eg_status read_palette(eg_tiff *t, eg_error *err) {
    uint16_t *maps[3];
    if (TIFFGetField(t->tif, TIFFTAG_COLORMAP, &maps[0], &maps[1], &maps[2]) != 1) {
        return eg_codec_tiff_fail(t, err);
    }
    size_t n = (size_t)1 << t->bits;
    bool wide = false;
    for (int c = 0; c < 3; c++) {
        for (size_t i = 0; i < n; i++) wide = wide || maps[c][i] > 255;
    }
    for (int c = 0; c < 3; c++) {
        for (size_t i = 0; i < n; i++) {
            t->palette[i][c] = (uint8_t)(wide ? maps[c][i] >> 8 : maps[c][i]);
        }
    }
    return EG_OK;
}

static eg_status check_samples(const eg_tiff *t, eg_error *err) {
    unsigned b = t->bits, p = t->photometric, need = 1;
    bool gray = p == PHOTOMETRIC_MINISWHITE || p == PHOTOMETRIC_MINISBLACK;
    bool rgb = p == PHOTOMETRIC_RGB || t->ycbcr;
    unsigned format = short_tag(t, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT);
    if (format == SAMPLEFORMAT_IEEEFP) return fail_kind("floating point samples of bits", b, err);
    if (format == SAMPLEFORMAT_INT) return fail_kind("signed samples of bits", b, err);
    if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID) {
        return fail_kind("sample format", format, err);
    }
    if (!gray && !rgb && p != PHOTOMETRIC_PALETTE) {
        return fail_kind("photometric interpretation", p, err);
    }
    if (rgb) need = 3;
    if (t->samples < need || t->samples > MAX_SAMPLES) {
        return fail_kind("samples a pixel", t->samples, err);
    }
    bool low = (b == 1 || b == 2 || b == 4) && t->samples == 1;
    if (b != 8 && !(b == 16 && p != PHOTOMETRIC_PALETTE) && !(low && !rgb)) {
        return fail_kind("bits a sample", b, err);
    }
    if (t->premultiplied && (b != 8 || t->planar || !rgb)) {
        return fail_kind("premultiplied alpha and bits a sample", b, err);
    }
    return EG_OK;
}

/* Sizes, samples, colours: everything that the pixels depend on. */
static eg_status read_directory(eg_tiff *t, eg_error *err) {
    uint32_t width = 0, height = 0;
    uint16_t n_extra = 0, *extra = NULL;
    TIFFGetField(t->tif, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(t->tif, TIFFTAG_IMAGELENGTH, &height);
    if (width < 1 || width > INT32_MAX || height < 1 || height > INT32_MAX) {
        return eg_fail(err, EG_ERR_INPUT, "bad TIFF data: %u x %u pixels", width, height);
    }
    t->width = (int)width;
    t->height = (int)height;
    t->bits = short_tag(t, TIFFTAG_BITSPERSAMPLE, 1);
    t->samples = short_tag(t, TIFFTAG_SAMPLESPERPIXEL, 1);
    t->compression = short_tag(t, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
    t->photometric = short_tag(t, TIFFTAG_PHOTOMETRIC, 65535);
    t->planar = short_tag(t, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) == PLANARCONFIG_SEPARATE;
    t->planar = t->planar && t->samples > 1;
    if (TIFFGetField(t->tif, TIFFTAG_EXTRASAMPLES, &n_extra, &extra) == 1 && n_extra > 0) {
        t->premultiplied = extra[0] == EXTRASAMPLE_ASSOCALPHA;
    }
    unsigned orientation = short_tag(t, TIFFTAG_ORIENTATION, 1);
    t->orientation = orientation >= 1 && orientation <= 8 ? (int)orientation : 1;
    EG_TRY(check_compression(t, err));
    EG_TRY(check_samples(t, err));
    if (t->says_palette && t->photometric != PHOTOMETRIC_PALETTE) {
        /* libtiff takes it for gray */
        return eg_fail(err, EG_ERR_INPUT, "bad TIFF data: a palette picture without a palette");
    }
    return t->photometric == PHOTOMETRIC_PALETTE ? read_palette(t, err) : EG_OK;
}

/* ---- opening ---- */

/* On success the caller ends with TIFFClose(t->tif). */
static eg_status open_tiff(eg_tiff *t, const uint8_t *data, size_t size, eg_error *err) {
    *t = (eg_tiff){.data = data, .size = size};
    EG_TRY(count_pages(t, err));
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (options == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the TIFF decoder");
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, max_single_bytes);
    TIFFOpenOptionsSetErrorHandlerExtR(options, keep_error, t);
    TIFFOpenOptionsSetWarningHandlerExtR(options, keep_warning, t);
    t->tif = TIFFClientOpenExt("TIFF", "r", t, read_memory, write_nothing, seek_memory,
                               close_nothing, size_of_memory, map_memory, unmap_nothing, options);
    TIFFOpenOptionsFree(options);
    if (t->tif == NULL) return eg_codec_tiff_fail(t, err);
    eg_status status = read_directory(t, err);
    if (status != EG_OK) TIFFClose(t->tif);
    return status;
}

static int n_channels(const eg_tiff *t) {
    return t->photometric == PHOTOMETRIC_MINISWHITE || t->photometric == PHOTOMETRIC_MINISBLACK ? 1
                                                                                                : 3;
}

eg_status eg_codec_tiff_decode(eg_image *out, const uint8_t *data, size_t size,
                               const eg_image_options *options, eg_error *err) {
    eg_tiff t;
    EG_TRY(open_tiff(&t, data, size, err));
    eg_image image = {t.width, t.height, n_channels(&t), NULL, t.bits == 16};
    eg_status status = eg_codec_image_alloc(&image, options, err);
    if (status == EG_OK) status = eg_codec_tiff_pixels(&image, &t, err);
    TIFFClose(t.tif);
    if (status == EG_OK) status = eg_codec_image_orient(&image, t.orientation, err);
    if (status != EG_OK) {
        eg_image_free(&image);
        return status;
    }
    *out = image;
    return EG_OK;
}

eg_status eg_codec_tiff_probe(eg_image_info *out, const uint8_t *data, size_t size, eg_error *err) {
    eg_tiff t;
    EG_TRY(open_tiff(&t, data, size, err));
    TIFFClose(t.tif);
    bool turns = eg_codec_orientation_turns(t.orientation);
    *out = (eg_image_info){.format = "TIFF",
                           .width = turns ? t.height : t.width,
                           .height = turns ? t.width : t.height,
                           .channels = n_channels(&t),
                           .bits = (int)t.bits,
                           .orientation = t.orientation,
                           .n_frames = t.n_frames};
    return EG_OK;
}
