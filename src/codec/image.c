/* Images: which decoder, from the first bytes and never from the name, and the limits that all
 * share.
 *
 * A format is one row of the table below: to add one is to write its file, declare its two functions
 * in image_formats.h and put it here. Read first: codec.h, "images"; then the file of the format. */
#include "codec/image_formats.h"
#include <stdio.h>
#include <string.h>

void eg_image_free(eg_image *image) {
    if (image == NULL) return;
    eg_free(image->pixels);
    *image = (eg_image){0};
}

size_t eg_image_bytes(const eg_image *image) {
    return (size_t)image->width * (size_t)image->height * (size_t)image->channels *
           (image->deep ? 2 : 1);
}

eg_status eg_codec_image_limit(const eg_image *image, const eg_image_options *options,
                               eg_error *err) {
    size_t n_pixels;
    if (eg_mul(&n_pixels, (size_t)image->width, (size_t)image->height) &&
        n_pixels <= options->max_pixels) {
        return EG_OK;
    }
    return eg_fail(err, EG_ERR_LIMIT, "%d x %d pixels, the limit is %zu pixels in all",
                   image->width, image->height, options->max_pixels);
}

/* Called by all decoders between header and pixels: the one place where the pixel limit is
 * enforced. Up to 6 bytes a pixel (deep RGB). */
eg_status eg_codec_image_alloc(eg_image *image, const eg_image_options *options, eg_error *err) {
    EG_TRY(eg_codec_image_limit(image, options, err));
    size_t n_pixels = (size_t)image->width * (size_t)image->height, n_bytes;
    size_t pixel_bytes = (size_t)image->channels * (image->deep ? 2 : 1);
    if (!eg_mul(&n_bytes, n_pixels, pixel_bytes)) n_bytes = SIZE_MAX;
    image->pixels = eg_malloc(n_bytes);
    if (image->pixels == NULL) {
        return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for %d x %d pixels", image->width,
                       image->height);
    }
    return EG_OK;
}

/* ---- which format ---- */

static bool starts_with(const uint8_t *data, size_t size, const char *magic, size_t n) {
    return size >= n && memcmp(data, magic, n) == 0;
}

/* The two bytes FF D8 would do, but a third one keeps UTF-16 texts and the like out. */
static bool is_jpeg(const uint8_t *data, size_t size) {
    return starts_with(data, size, "\xFF\xD8\xFF", 3);
}

static bool is_png(const uint8_t *data, size_t size) {
    return starts_with(data, size, "\x89PNG\r\n\x1A\n", 8);
}

/* Both byte orders, classic (42) and with 64-bit offsets (43). */
static bool is_tiff(const uint8_t *data, size_t size) {
    return starts_with(data, size, "II*\0", 4) || starts_with(data, size, "MM\0*", 4) ||
           starts_with(data, size, "II+\0", 4) || starts_with(data, size, "MM\0+", 4);
}

static bool is_pnm(const uint8_t *data, size_t size) {
    if (size < 3 || data[0] != 'P' || data[1] < '1' || data[1] > '6') return false;
    return data[2] == ' ' || (data[2] >= '\t' && data[2] <= '\r') || data[2] == '#';
}

/* "BM" alone begins many a text: the size of the second header must be one that there is. */
static bool is_bmp(const uint8_t *data, size_t size) {
    static const uint8_t sizes[] = {12, 40, 52, 56, 64, 108, 124};
    if (size < 18 || !starts_with(data, size, "BM", 2)) return false;
    return memchr(sizes, data[14], sizeof sizes) != NULL && memcmp(data + 15, "\0\0\0", 3) == 0;
}

static bool is_webp(const uint8_t *data, size_t size) {
    return size >= 12 && starts_with(data, size, "RIFF", 4) && memcmp(data + 8, "WEBP", 4) == 0;
}

static bool is_dicom(const uint8_t *data, size_t size) {
    return eg_codec_dicom_recognised(data, size);
}

/* Also without the mark: weaker, so it comes last. */
static bool is_bare_dicom(const uint8_t *data, size_t size) {
    return eg_codec_dicom_recognised(data, size);
}

typedef struct {
    bool (*is)(const uint8_t *data, size_t size);
    eg_status (*decode)(eg_image *out, const uint8_t *data, size_t size,
                        const eg_image_options *options, eg_error *err);
    /* NULL: DICOM, whose probe takes a salt as well */
    eg_status (*probe)(eg_image_info *out, const uint8_t *data, size_t size, eg_error *err);
} image_format;

static const image_format formats[] = {
    {is_jpeg, eg_codec_jpeg_decode, eg_codec_jpeg_probe},
    {is_png, eg_codec_png_decode, eg_codec_png_probe},
    /* before the others: the 128 bytes in front of its mark may be anything, also another magic */
    {is_dicom, eg_codec_dicom_decode, NULL},
    {is_tiff, eg_codec_tiff_decode, eg_codec_tiff_probe},
    {is_bmp, eg_codec_bmp_decode, eg_codec_bmp_probe},
    {is_webp, eg_codec_webp_decode, eg_codec_webp_probe},
    {is_pnm, eg_codec_pnm_decode, eg_codec_pnm_probe},
    {is_bare_dicom, eg_codec_dicom_decode, NULL},
};

/* NULL: none of them. */
static const image_format *find_format(const uint8_t *data, size_t size) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (formats[i].is(data, size)) return &formats[i];
    }
    return NULL;
}

bool eg_image_recognised(const void *data, size_t size) {
    return find_format(data, size) != NULL;
}

/* What the user may have instead, by its first bytes; NULL: no idea. */
static const char *guess_other(const uint8_t *data, size_t size) {
    static const struct {
        size_t at, n;
        const char *magic, *name;
    } others[] = {
        {0, 4, "GIF8", "a GIF"},
        {0, 4, "PK\3\4", "a zip archive"},
        {0, 3, "\x1F\x8B\x08", "a gzip file"},
        {0, 4, "%PDF", "a PDF"},
        {0, 12, "\0\0\0\x0CjP  \r\n\x87\n", "a JPEG 2000"},
        {4, 8, "ftypheic", "a HEIC photo"},
        {4, 8, "ftypavif", "an AVIF"},
        {0, 2, "P7", "a PAM"},
        {0, 1, "<", "a web page or XML"},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (size >= others[i].at + others[i].n &&
            memcmp(data + others[i].at, others[i].magic, others[i].n) == 0) {
            return others[i].name;
        }
    }
    return NULL;
}

static eg_status fail_format(const uint8_t *data, size_t size, eg_error *err) {
    if (size == 0) return eg_fail_at(err, EG_ERR_INPUT, 0, "the file is empty");
    char start[64] = "";
    size_t n = size < 8 ? size : 8, used = 0;
    bool printable = true;
    for (size_t i = 0; i < n; i++) printable = printable && data[i] >= 0x20 && data[i] < 0x7f;
    for (size_t i = 0; i < n; i++) {
        used += (size_t)snprintf(start + used, sizeof start - used, printable ? "%c" : " %02x",
                                 data[i]);
    }
    const char *other = guess_other(data, size);
    return eg_fail_at(err, EG_ERR_INPUT, 0,
                      "not a JPEG, PNG, TIFF, PGM/PPM, BMP, WebP or DICOM image (starts with "
                      "%s%s%s%s%s) - convert or remove it",
                      printable ? "\"" : "bytes", start, printable ? "\"" : "",
                      other != NULL ? ", looks like " : "", other != NULL ? other : "");
}

/* ---- the door ---- */

/* NULL options mean the defaults. The format is found before any library sees the bytes. */
eg_status eg_image_decode(eg_image *out, const void *data, size_t size,
                          const eg_image_options *options, eg_error *err) {
    const eg_image_options used = options != NULL ? *options : EG_IMAGE_OPTIONS_DEFAULT;
    if (size > used.max_file_bytes) {
        return eg_fail(err, EG_ERR_LIMIT, "%zu bytes, the limit is %zu", size, used.max_file_bytes);
    }
    const image_format *format = find_format(data, size);
    if (format == NULL) return fail_format(data, size, err);
    return format->decode(out, data, size, &used, err);
}

eg_status eg_image_read(eg_image *out, const char *path, const eg_image_options *options,
                        eg_error *err) {
    const eg_image_options used = options != NULL ? *options : EG_IMAGE_OPTIONS_DEFAULT;
    eg_file_view view;
    EG_TRY(eg_file_open(&view, path, used.max_file_bytes, err));
    eg_status status = eg_image_decode(out, view.data, view.size, &used, err);
    if (status != EG_OK) status = eg_error_in(err, status, path);
    eg_file_close(&view);
    return status;
}

eg_status eg_image_probe(eg_image_info *out, const char *path, const void *salt, size_t n_salt,
                         eg_error *err) {
    eg_file_view view;
    EG_TRY(eg_file_open(&view, path, EG_IMAGE_OPTIONS_DEFAULT.max_file_bytes, err));
    const image_format *format = find_format(view.data, view.size);
    eg_status status;
    if (format == NULL) {
        status = fail_format(view.data, view.size, err);
    } else if (format->probe == NULL) {
        status = eg_codec_dicom_probe(out, view.data, view.size, salt, n_salt, err);
    } else {
        status = format->probe(out, view.data, view.size, err);
    }
    if (status != EG_OK) status = eg_error_in(err, status, path);
    eg_file_close(&view);
    return status;
}
