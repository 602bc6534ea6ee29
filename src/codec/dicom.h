/* Private to codec: a DICOM file between its reader (dicom_elements.c, dicom.c) and its pixels
 * (dicom_pixels.c, dicom_rle.c, dicom_window.c). All pointers lead into the file, which is the
 * caller's. Chapters named in the sources are those of the DICOM standard, PS3.
 *
 * Privacy: of the elements that name or describe a patient only the patient id is looked at, for its
 * salted hash. No error text may hold bytes of the file: only numbers, and words of our own tables. */
#ifndef EG_CODEC_DICOM_H
#define EG_CODEC_DICOM_H

#include "codec/image_formats.h"

/* ---- elements (dicom_elements.c): tag, type, length, value; PS3.5 chapter 7 ---- */

#define EG_DICOM_UNDEFINED    UINT32_MAX
#define EG_DICOM_ITEM         0xFFFEE000u
#define EG_DICOM_ITEM_END     0xFFFEE00Du
#define EG_DICOM_SEQUENCE_END 0xFFFEE0DDu

typedef struct {
    uint32_t tag;    /* group << 16 | element */
    char vr[3];      /* value representation, "" where the file has none (implicit, items) */
    uint32_t length; /* of the value in bytes; EG_DICOM_UNDEFINED: up to a delimiter */
    size_t at;       /* of the element in the file */
    size_t value;    /* of the value in the file */
} eg_dicom_element;

/* The element at the cursor, which moves to its value. A length that is not undefined is at most what
 * is left. EG_ERR_INPUT. */
eg_status eg_codec_dicom_element(eg_dicom_element *out, eg_cursor *c, bool explicit_vr,
                                 eg_error *err);
/* Move the cursor from the value of `e` behind it, also one of undefined length (sequences, at most
 * 64 deep). EG_ERR_INPUT, EG_ERR_LIMIT. */
eg_status eg_codec_dicom_skip(eg_cursor *c, const eg_dicom_element *e, bool explicit_vr,
                              eg_error *err);
/* Is this the start of DICOM elements with (*explicit_vr) or without their types in the file? false:
 * of neither. */
bool eg_codec_dicom_guess(bool *explicit_vr, const uint8_t *data, size_t size);

/* ---- the file (dicom.c) ---- */

typedef enum {
    EG_DICOM_NATIVE, /* uncompressed, little endian */
    EG_DICOM_JPEG,   /* baseline, 8 bit */
    EG_DICOM_RLE
} eg_dicom_encoding;

typedef enum {
    EG_DICOM_MONOCHROME1, /* smallest value is white */
    EG_DICOM_MONOCHROME2,
    EG_DICOM_RGB,
    EG_DICOM_YBR_FULL,
    EG_DICOM_YBR_FULL_422,
    EG_DICOM_PALETTE
} eg_dicom_photometric;

typedef enum { EG_DICOM_LINEAR, EG_DICOM_LINEAR_EXACT, EG_DICOM_SIGMOID } eg_dicom_function;

/* A look-up table: value v maps to entry v - first, clamped (PS3.3 C.11.1). n 0: absent. */
typedef struct {
    uint32_t n;          /* entries */
    int32_t first;       /* value that maps to entry 0 */
    int bits;            /* of an entry, 8 to 16 */
    const uint8_t *data; /* little endian words, or bytes */
    size_t n_bytes;      /* of data: n or 2 n; checked */
} eg_dicom_lut;

typedef struct {
    eg_dicom_encoding encoding;
    bool explicit_vr;
    int rows, columns, samples; /* samples a pixel: 1 or 3 */
    int bits_allocated, bits_stored, high_bit;
    bool is_signed, planar; /* planar: RRR GGG BBB */
    eg_dicom_photometric photometric;
    int n_frames;
    bool has_rescale, has_window, has_padding;
    double slope, intercept; /* stored value to modality value */
    double center, width;    /* VOI window, in modality values */
    eg_dicom_function function;
    int32_t padding, padding_limit;         /* stored values that mean "no image here", a range */
    eg_dicom_lut modality, voi, palette[3]; /* red, green, blue */
    const uint8_t *pixels;                  /* native: all frames; else the items of the sequence */
    size_t n_pixel_bytes;
    const uint8_t *patient; /* id with its padding; never to be shown */
    size_t n_patient;
} eg_codec_dicom;

/* Read the elements up to the pixel data and check that they fit each other. EG_ERR_INPUT,
 * EG_ERR_UNSUPPORTED, EG_ERR_LIMIT. */
eg_status eg_codec_dicom_parse(eg_codec_dicom *out, const uint8_t *data, size_t size,
                               eg_error *err);

/* ---- pixels ---- */

/* The first frame as it is displayed (dicom_pixels.c). */
eg_status eg_codec_dicom_render(eg_image *out, const eg_codec_dicom *d,
                                const eg_image_options *options, eg_error *err);
/* RLE (PS3.5 annex G, dicom_rle.c): one frame of n_planes x n_pixels samples of sample_bytes (1 or 2)
 * to `out`, plane by plane, little endian. EG_ERR_INPUT. */
eg_status eg_codec_dicom_rle(uint8_t *out, size_t n_pixels, int n_planes, int sample_bytes,
                             const uint8_t *data, size_t size, eg_error *err);
/* Gray values (dicom_window.c): for each of the 2^bits_stored stored values that is `present` (not 0)
 * the value to display, 0 to `top`. Both have 2^bits_stored places. */
eg_status eg_codec_dicom_window(uint16_t *table, const uint8_t *present, const eg_codec_dicom *d,
                                int top, eg_error *err);
/* Entry of a table for a value. */
int eg_codec_dicom_look_up(const eg_dicom_lut *lut, double value);

#endif
