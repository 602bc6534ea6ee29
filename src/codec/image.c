/* Images: which decoder, from the first bytes and never from the name, and the limits that all
 * share.
 *
 * EXIF orientation is not applied: neither does the loader of torchvision's ImageFolder, and the
 * figures of a trained network belong to the pixels it was trained on. Read first: codec.h,
 * "images"; then jpeg.c or png.c. */
#include "codec/image_formats.h"
#include <stdio.h>
#include <string.h>

void eg_image_free(eg_image *image) {
    if (image == NULL) return;
    eg_free(image->pixels);
    *image = (eg_image){0};
}

/* Called by both decoders between header and pixels: the one place where the pixel limit is
 * enforced. */
eg_status eg_codec_image_alloc(eg_image *image, const eg_image_limits *limits, eg_error *err) {
    size_t n_pixels, n_bytes;
    if (!eg_mul(&n_pixels, (size_t)image->width, (size_t)image->height) ||
        n_pixels > limits->max_pixels) {
        return eg_fail(err, EG_ERR_LIMIT, "%d x %d pixels, the limit is %zu pixels in all",
                       image->width, image->height, limits->max_pixels);
    }
    if (!eg_mul(&n_bytes, n_pixels, (size_t)image->channels)) n_bytes = SIZE_MAX;
    image->pixels = eg_malloc(n_bytes);
    if (image->pixels == NULL) {
        return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for %d x %d pixels", image->width,
                       image->height);
    }
    return EG_OK;
}

/* ---- which format ---- */

typedef enum { FORMAT_JPEG, FORMAT_PNG } image_format;

static bool starts_with(const uint8_t *data, size_t size, const char *magic, size_t n) {
    return size >= n && memcmp(data, magic, n) == 0;
}

/* What the user may have instead, by its first bytes; NULL: no idea. */
static const char *guess_other(const uint8_t *data, size_t size) {
    if (starts_with(data, size, "GIF8", 4)) return "a GIF";
    if (starts_with(data, size, "BM", 2)) return "a BMP";
    if (starts_with(data, size, "II*\0", 4) || starts_with(data, size, "MM\0*", 4)) return "a TIFF";
    if (starts_with(data, size, "PK\3\4", 4)) return "a zip archive";
    if (size >= 12 && starts_with(data, size, "RIFF", 4) && memcmp(data + 8, "WEBP", 4) == 0) {
        return "a WebP";
    }
    if (size >= 132 && memcmp(data + 128, "DICM", 4) == 0) return "a DICOM file";
    if (starts_with(data, size, "<", 1)) return "a web page or XML";
    return NULL;
}

static eg_status fail_format(const uint8_t *data, size_t size, eg_error *err) {
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
                      "not a JPEG or PNG image (starts with %s%s%s%s%s) - convert or remove it",
                      printable ? "\"" : "bytes", start, printable ? "\"" : "",
                      other != NULL ? ", looks like " : "", other != NULL ? other : "");
}

/* The two bytes FF D8 would do for JPEG, but a third one keeps UTF-16 texts and the like out. */
static eg_status find_format(image_format *format, const uint8_t *data, size_t size,
                             eg_error *err) {
    if (size == 0) return eg_fail_at(err, EG_ERR_INPUT, 0, "the file is empty");
    if (starts_with(data, size, "\xFF\xD8\xFF", 3)) {
        *format = FORMAT_JPEG;
    } else if (starts_with(data, size, "\x89PNG\r\n\x1A\n", 8)) {
        *format = FORMAT_PNG;
    } else {
        return fail_format(data, size, err);
    }
    return EG_OK;
}

/* ---- the door ---- */

/* NULL limits mean the defaults. The format is found before any library sees the bytes. */
eg_status eg_image_decode(eg_image *out, const void *data, size_t size,
                          const eg_image_limits *limits, eg_error *err) {
    const eg_image_limits used = limits != NULL ? *limits : EG_IMAGE_LIMITS_DEFAULT;
    if (size > used.max_file_bytes) {
        return eg_fail(err, EG_ERR_LIMIT, "%zu bytes, the limit is %zu", size, used.max_file_bytes);
    }
    image_format format;
    EG_TRY(find_format(&format, data, size, err));
    if (format == FORMAT_JPEG) return eg_codec_jpeg_decode(out, data, size, &used, err);
    return eg_codec_png_decode(out, data, size, &used, err);
}

eg_status eg_image_read(eg_image *out, const char *path, const eg_image_limits *limits,
                        eg_error *err) {
    const eg_image_limits used = limits != NULL ? *limits : EG_IMAGE_LIMITS_DEFAULT;
    eg_file_view view;
    EG_TRY(eg_file_open(&view, path, used.max_file_bytes, err));
    eg_status status = eg_image_decode(out, view.data, view.size, &used, err);
    if (status != EG_OK) status = eg_error_in(err, status, path);
    eg_file_close(&view);
    return status;
}

eg_status eg_image_probe(int *width, int *height, int *channels, const char *path, eg_error *err) {
    eg_file_view view;
    EG_TRY(eg_file_open(&view, path, EG_IMAGE_LIMITS_DEFAULT.max_file_bytes, err));
    image_format format;
    eg_image header = {0};
    eg_status status = find_format(&format, view.data, view.size, err);
    if (status == EG_OK) {
        status = format == FORMAT_JPEG ? eg_codec_jpeg_probe(&header, view.data, view.size, err)
                                       : eg_codec_png_probe(&header, view.data, view.size, err);
    }
    if (status != EG_OK) status = eg_error_in(err, status, path);
    eg_file_close(&view);
    if (status != EG_OK) return status;
    *width = header.width;
    *height = header.height;
    *channels = header.channels;
    return EG_OK;
}
