/* DICOM files (PS3.10): from the first byte to the pixel data, what an image needs of it; and the
 * two functions behind eg_image_decode and eg_image_probe.
 *
 * Read are explicit and implicit VR little endian, uncompressed, JPEG baseline and RLE; the other
 * transfer syntaxes are named with the tool that converts them. The preamble is skipped unread, and
 * what follows the pixel data is not looked at. Not read: windows of single frames (functional groups
 * of enhanced objects), overlays, presentation states, ICC profiles. Read first: dicom.h, then
 * dicom_elements.c. */
#include "codec/dicom.h"

#include <string.h>

enum { PREAMBLE_BYTES = 128, MAX_TEXT = 64 };

/* ---- which files ---- */

bool eg_codec_dicom_recognised(const void *data, size_t size) {
    bool explicit_vr;
    if (size >= PREAMBLE_BYTES + 4 && memcmp((const char *)data + PREAMBLE_BYTES, "DICM", 4) == 0)
        return true;
    return eg_codec_dicom_guess(&explicit_vr, data, size);
}

/* Every transfer syntax in use (PS3.6 table A-1): which are read, and what to do about the others. */
static const struct {
    const char *uid;
    int encoding; /* eg_dicom_encoding; -1: not read */
    bool explicit_vr;
    const char *name, *tool;
} syntaxes[] = {
    {"1.2.840.10008.1.2", EG_DICOM_NATIVE, false, "implicit VR little endian", ""},
    {"1.2.840.10008.1.2.1", EG_DICOM_NATIVE, true, "explicit VR little endian", ""},
    {"1.2.840.10008.1.2.4.50", EG_DICOM_JPEG, true, "JPEG baseline", ""},
    {"1.2.840.10008.1.2.5", EG_DICOM_RLE, true, "RLE lossless", ""},
    {"1.2.840.10008.1.2.1.99", -1, true, "deflated explicit VR", "dcmconv +te IN OUT"},
    {"1.2.840.10008.1.2.1.98", -1, true, "encapsulated uncompressed", "gdcmconv --raw IN OUT"},
    {"1.2.840.10008.1.2.2", -1, true, "explicit VR big endian", "dcmconv +te IN OUT"},
    {"1.2.840.10008.1.2.4.51", -1, true, "JPEG extended (12 bit)", "dcmdjpeg IN OUT"},
    {"1.2.840.10008.1.2.4.57", -1, true, "JPEG lossless", "dcmdjpeg IN OUT"},
    {"1.2.840.10008.1.2.4.70", -1, true, "JPEG lossless", "dcmdjpeg IN OUT"},
    {"1.2.840.10008.1.2.4.80", -1, true, "JPEG-LS lossless", "dcmdjpls IN OUT"},
    {"1.2.840.10008.1.2.4.81", -1, true, "JPEG-LS near-lossless", "dcmdjpls IN OUT"},
    {"1.2.840.10008.1.2.4.90", -1, true, "JPEG 2000 lossless", "gdcmconv --raw IN OUT"},
    {"1.2.840.10008.1.2.4.91", -1, true, "JPEG 2000", "gdcmconv --raw IN OUT"},
    {"1.2.840.10008.1.2.4.100", -1, true, "MPEG-2 video", NULL},
    {"1.2.840.10008.1.2.4.102", -1, true, "MPEG-4 video", NULL},
    {"1.2.840.10008.1.2.4.103", -1, true, "MPEG-4 video", NULL},
    {"1.2.840.10008.1.2.4.107", -1, true, "HEVC video", NULL},
    {"1.2.840.10008.1.2.4.201", -1, true, "HTJ2K lossless", "gdcmconv --raw IN OUT"},
    {"1.2.840.10008.1.2.4.202", -1, true, "HTJ2K lossless", "gdcmconv --raw IN OUT"},
    {"1.2.840.10008.1.2.4.203", -1, true, "HTJ2K", "gdcmconv --raw IN OUT"},
};

/* ---- values ---- */

/* What is known while the elements go by. */
typedef struct {
    eg_codec_dicom d;
    eg_cursor c;
    bool has_slope, has_intercept, has_center, has_width, has_padding_limit, has_photometric;
    bool has_stored, has_high_bit;
    eg_error *err;
} dicom_reader;

static eg_status fail_value(const dicom_reader *r, const eg_dicom_element *e, const char *what) {
    return eg_fail_at(r->err, EG_ERR_INPUT, (int64_t)e->at,
                      "DICOM element (%04x,%04x) at byte %zu: %s", (unsigned)e->tag >> 16,
                      (unsigned)e->tag & 0xFFFF, e->at, what);
}

/* The first of unsigned short values. */
static eg_status get_u16(int *out, const dicom_reader *r, const eg_dicom_element *e) {
    eg_cursor c = {.data = r->c.data, .size = r->c.size, .pos = e->value};
    uint16_t v;
    if (e->length == EG_DICOM_UNDEFINED || e->length < 2 || !eg_cursor_u16le(&c, &v))
        return fail_value(r, e, "it is too short for a number of two bytes");
    *out = v;
    return EG_OK;
}

/* The first of the texts between backslashes, without the blanks and NULs around it; "" for none. */
static void get_text(char out[MAX_TEXT + 1], const dicom_reader *r, const eg_dicom_element *e) {
    const char *text = (const char *)r->c.data + e->value;
    size_t n = e->length == EG_DICOM_UNDEFINED ? 0 : e->length, used = 0;
    const char *end = n > 0 ? memchr(text, '\\', n) : NULL;
    if (end != NULL) n = (size_t)(end - text);
    while (n > 0 && (*text == ' ' || *text == 0)) text++, n--;
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == 0)) n--;
    while (used < n && used < MAX_TEXT && text[used] != 0) {
        out[used] = text[used];
        used++;
    }
    out[used] = 0;
}

/* A number as text; *present stays false for an empty one, as writers leave it where there is none. */
static eg_status get_real(double *out, bool *present, const dicom_reader *r,
                          const eg_dicom_element *e) {
    char text[MAX_TEXT + 1];
    get_text(text, r, e);
    if (text[0] == 0) return EG_OK;
    const char *digits = text[0] == '+' ? text + 1 : text;
    if (!eg_parse_real(out, digits)) return fail_value(r, e, "it is not a number");
    *present = true;
    return EG_OK;
}

/* ---- transfer syntax ---- */

/* An unknown UID is shown only when it can be one: digits and points. */
static eg_status set_syntax(dicom_reader *r, const eg_dicom_element *e) {
    char uid[MAX_TEXT + 1];
    get_text(uid, r, e);
    for (size_t i = 0; i < sizeof syntaxes / sizeof *syntaxes; i++) {
        if (strcmp(syntaxes[i].uid, uid) != 0) continue;
        if (syntaxes[i].encoding < 0) {
            const char *tool = syntaxes[i].tool;
            return eg_fail(r->err, EG_ERR_UNSUPPORTED,
                           "the DICOM pixels are %s (transfer syntax %s), which is not read - %s%s",
                           syntaxes[i].name, uid, tool ? "convert the file with " : "export images",
                           tool ? tool : " from the video");
        }
        r->d.encoding = (eg_dicom_encoding)syntaxes[i].encoding;
        r->d.explicit_vr = syntaxes[i].explicit_vr;
        return EG_OK;
    }
    if (uid[0] == 0 || uid[strspn(uid, "0123456789.")] != 0)
        return fail_value(r, e, "the transfer syntax is not a UID");
    return eg_fail(r->err, EG_ERR_UNSUPPORTED,
                   "the DICOM transfer syntax %s is not known - try gdcmconv --raw IN OUT", uid);
}

/* Group 2, always explicit; its length element must fit the file and may be wrong otherwise, as it
 * often is. Without a transfer syntax (bare data sets have none) the first element tells. */
static eg_status read_meta(dicom_reader *r) {
    eg_cursor *c = &r->c;
    bool found = false;
    while (c->size - c->pos >= 8 && c->data[c->pos] == 2 && c->data[c->pos + 1] == 0) {
        eg_dicom_element e;
        EG_TRY(eg_codec_dicom_element(&e, c, true, r->err));
        if (e.tag == 0x00020000) {
            eg_cursor length = {.data = c->data, .size = c->size, .pos = e.value};
            uint32_t n;
            if (e.length != 4 || !eg_cursor_u32le(&length, &n) || n > c->size - c->pos - 4)
                return fail_value(r, &e, "the length of the file's header is more than the file");
        }
        if (e.tag == 0x00020010) {
            EG_TRY(set_syntax(r, &e));
            found = true;
        }
        EG_TRY(eg_codec_dicom_skip(c, &e, true, r->err));
    }
    if (found) return EG_OK;
    if (!eg_codec_dicom_guess(&r->d.explicit_vr, c->data + c->pos, c->size - c->pos))
        return eg_fail_at(r->err, EG_ERR_INPUT, (int64_t)c->pos,
                          "the DICOM file has no transfer syntax (0002,0010)");
    return EG_OK;
}

/* ---- look-up tables ---- */

/* Descriptor: entries (0: 65536), first value, bits an entry. The first value is signed when its type
 * or, without one, the pixels say so. */
static eg_status get_descriptor(eg_dicom_lut *lut, const dicom_reader *r,
                                const eg_dicom_element *e) {
    eg_cursor c = {.data = r->c.data, .size = r->c.size, .pos = e->value};
    uint16_t n, first, bits;
    if (e->length != 6 || !eg_cursor_u16le(&c, &n) || !eg_cursor_u16le(&c, &first) ||
        !eg_cursor_u16le(&c, &bits))
        return fail_value(r, e, "a table is described by three numbers of two bytes");
    if (bits < 8 || bits > 16) return fail_value(r, e, "entries of a table have 8 to 16 bits");
    bool is_signed = e->vr[0] != 0 ? strcmp(e->vr, "SS") == 0 : r->d.is_signed;
    lut->n = n == 0 ? 65536 : n;
    lut->first = is_signed && first >= 0x8000 ? first - 0x10000 : first;
    lut->bits = bits;
    return EG_OK;
}

/* Words, or bytes where the length says so (then padded to an even length). */
static eg_status get_entries(eg_dicom_lut *lut, const dicom_reader *r, const eg_dicom_element *e) {
    if (e->length == EG_DICOM_UNDEFINED) return fail_value(r, e, "a table without a length");
    lut->data = r->c.data + e->value;
    lut->n_bytes = e->length;
    return EG_OK;
}

/* Both elements there, and their lengths one of the two that can be. */
static eg_status check_lut(const dicom_reader *r, eg_dicom_lut *lut, const char *name) {
    if (lut->n == 0 && lut->data == NULL) return EG_OK;
    size_t n = lut->n;
    bool words = lut->n_bytes == 2 * n;
    bool bytes = lut->bits == 8 && lut->n_bytes == n + (n & 1);
    if (lut->data == NULL || n == 0 || !(words || bytes))
        return eg_fail(r->err, EG_ERR_INPUT,
                       "the DICOM %s table has %zu bytes for %zu entries of %d bits", name,
                       lut->n_bytes, n, lut->bits);
    if (!words) lut->n_bytes = n;
    return EG_OK;
}

/* The table in the first item of a LUT sequence; `e` is the sequence. The caller steps over it. */
static eg_status get_lut(eg_dicom_lut *lut, const dicom_reader *r, const eg_dicom_element *e) {
    eg_cursor c = {.data = r->c.data, .size = r->c.size, .pos = e->value};
    bool typed = r->d.explicit_vr && strcmp(e->vr, "UN") != 0;
    eg_dicom_element item, x;
    if (e->length != EG_DICOM_UNDEFINED) c.size = e->value + e->length;
    if (c.pos == c.size) return EG_OK; /* an empty sequence */
    EG_TRY(eg_codec_dicom_element(&item, &c, typed, r->err));
    if (item.tag != EG_DICOM_ITEM) return EG_OK;
    if (item.length != EG_DICOM_UNDEFINED) c.size = c.pos + item.length;
    *lut = (eg_dicom_lut){0};
    while (c.pos < c.size) {
        EG_TRY(eg_codec_dicom_element(&x, &c, typed, r->err));
        if (x.tag == EG_DICOM_ITEM_END) break;
        if (x.tag == 0x00283002) EG_TRY(get_descriptor(lut, r, &x));
        if (x.tag == 0x00283006) EG_TRY(get_entries(lut, r, &x));
        EG_TRY(eg_codec_dicom_skip(&c, &x, typed, r->err));
    }
    return EG_OK;
}

/* ---- elements ---- */

static const char *const unread_photometrics[] = {
    "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT", "HSV", "ARGB", "CMYK", "XYB"};

static eg_status set_photometric(dicom_reader *r, const eg_dicom_element *e) {
    static const char *const names[] = {"MONOCHROME1", "MONOCHROME2",  "RGB",
                                        "YBR_FULL",    "YBR_FULL_422", "PALETTE COLOR"};
    char text[MAX_TEXT + 1];
    get_text(text, r, e);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], text) != 0) continue;
        r->d.photometric = (eg_dicom_photometric)i;
        r->has_photometric = true;
        return EG_OK;
    }
    for (size_t i = 0; i < sizeof unread_photometrics / sizeof *unread_photometrics; i++) {
        if (strcmp(unread_photometrics[i], text) != 0) continue;
        return eg_fail_at(r->err, EG_ERR_UNSUPPORTED, (int64_t)e->at,
                          "DICOM pixels in %s are not read - convert with: gdcmconv --raw "
                          "--photometric-interpretation RGB IN OUT",
                          unread_photometrics[i]);
    }
    return fail_value(r, e, "the photometric interpretation is not one of the standard's");
}

static eg_status set_function(dicom_reader *r, const eg_dicom_element *e) {
    static const char *const names[] = {"LINEAR", "LINEAR_EXACT", "SIGMOID"};
    char text[MAX_TEXT + 1];
    get_text(text, r, e);
    for (int i = 0; i < 3; i++) {
        if (strcmp(names[i], text) == 0) r->d.function = (eg_dicom_function)i;
        if (strcmp(names[i], text) == 0 || text[0] == 0) return EG_OK;
    }
    return fail_value(r, e, "the window's function is not LINEAR, LINEAR_EXACT or SIGMOID");
}

static eg_status set_frames(dicom_reader *r, const eg_dicom_element *e) {
    char text[MAX_TEXT + 1];
    int64_t n;
    get_text(text, r, e);
    if (text[0] == 0) return EG_OK;
    if (!eg_parse_int(&n, text) || n < 1 || n > INT32_MAX)
        return fail_value(r, e, "the number of frames is not a number above 0");
    r->d.n_frames = (int)n;
    return EG_OK;
}

/* Numbers of two bytes, by tag; NULL: no such element. */
static int *u16_place(dicom_reader *r, uint32_t tag) {
    switch (tag) {
    case 0x00280002:
        return &r->d.samples;
    case 0x00280010:
        return &r->d.rows;
    case 0x00280011:
        return &r->d.columns;
    case 0x00280100:
        return &r->d.bits_allocated;
    case 0x00280101:
        r->has_stored = true;
        return &r->d.bits_stored;
    case 0x00280102:
        r->has_high_bit = true;
        return &r->d.high_bit;
    default:
        return NULL;
    }
}

static eg_status take_flag(bool *out, const dicom_reader *r, const eg_dicom_element *e) {
    int v = 0;
    EG_TRY(get_u16(&v, r, e));
    if (v > 1) return fail_value(r, e, "expected 0 or 1");
    *out = v == 1;
    return EG_OK;
}

/* Padding is a stored value: its sign is settled when all is known. */
static eg_status take_padding(int32_t *out, bool *has, const dicom_reader *r,
                              const eg_dicom_element *e) {
    int v = 0;
    if (e->length == 0) return EG_OK;
    EG_TRY(get_u16(&v, r, e));
    *out = v;
    *has = true;
    return EG_OK;
}

/* One element in front of the pixel data; those not named here do not concern the image. */
static eg_status take_element(dicom_reader *r, const eg_dicom_element *e) {
    eg_codec_dicom *d = &r->d;
    int *number = u16_place(r, e->tag);
    if (number != NULL) return get_u16(number, r, e);
    switch (e->tag) {
    case 0x00100020:
        d->patient = r->c.data + e->value;
        d->n_patient = e->length == EG_DICOM_UNDEFINED ? 0 : e->length;
        return EG_OK;
    case 0x00280004:
        return set_photometric(r, e);
    case 0x00280006:
        return take_flag(&d->planar, r, e);
    case 0x00280008:
        return set_frames(r, e);
    case 0x00280103:
        return take_flag(&d->is_signed, r, e);
    case 0x00280120:
        return take_padding(&d->padding, &d->has_padding, r, e);
    case 0x00280121:
        return take_padding(&d->padding_limit, &r->has_padding_limit, r, e);
    case 0x00281050:
        return get_real(&d->center, &r->has_center, r, e);
    case 0x00281051:
        return get_real(&d->width, &r->has_width, r, e);
    case 0x00281052:
        return get_real(&d->intercept, &r->has_intercept, r, e);
    case 0x00281053:
        return get_real(&d->slope, &r->has_slope, r, e);
    case 0x00281056:
        return set_function(r, e);
    case 0x00281101:
    case 0x00281102:
    case 0x00281103:
        return get_descriptor(&d->palette[e->tag - 0x00281101], r, e);
    case 0x00281201:
    case 0x00281202:
    case 0x00281203:
        return get_entries(&d->palette[e->tag - 0x00281201], r, e);
    case 0x00283000:
        return get_lut(&d->modality, r, e);
    case 0x00283010:
        return get_lut(&d->voi, r, e);
    case 0x7FE00008:
    case 0x7FE00009:
        return eg_fail_at(r->err, EG_ERR_UNSUPPORTED, (int64_t)e->at,
                          "DICOM pixels in floating point are not read - export them as integers");
    default:
        return EG_OK;
    }
}

/* ---- do they fit each other? ---- */

static eg_status check_bits(dicom_reader *r) {
    eg_codec_dicom *d = &r->d;
    if (!r->has_stored) d->bits_stored = d->bits_allocated;
    if (!r->has_high_bit) d->high_bit = d->bits_stored - 1;
    if (d->bits_allocated != 8 && d->bits_allocated != 16)
        return eg_fail(r->err, EG_ERR_UNSUPPORTED,
                       "DICOM pixels of %d bits allocated, supported are 8 and 16",
                       d->bits_allocated);
    if (d->bits_stored < 1 || d->bits_stored > d->bits_allocated ||
        d->high_bit < d->bits_stored - 1 || d->high_bit >= d->bits_allocated)
        return eg_fail(r->err, EG_ERR_INPUT,
                       "DICOM: %d bits stored up to bit %d do not fit into %d allocated",
                       d->bits_stored, d->high_bit, d->bits_allocated);
    if (d->encoding == EG_DICOM_JPEG && d->bits_allocated != 8)
        return eg_fail(r->err, EG_ERR_INPUT,
                       "DICOM: baseline JPEG has 8 bits, the header says %d allocated",
                       d->bits_allocated);
    return EG_OK;
}

static eg_status check_colour(const dicom_reader *r) {
    const eg_codec_dicom *d = &r->d;
    bool rgb = d->photometric >= EG_DICOM_RGB && d->photometric <= EG_DICOM_YBR_FULL_422;
    if (!r->has_photometric)
        return eg_fail(r->err, EG_ERR_INPUT,
                       "the DICOM file has no photometric interpretation (0028,0004)");
    if (d->samples != (rgb ? 3 : 1))
        return eg_fail(r->err, EG_ERR_INPUT,
                       "DICOM: %d samples a pixel do not fit the photometric interpretation, "
                       "expected %d",
                       d->samples, rgb ? 3 : 1);
    if (d->is_signed && d->photometric >= EG_DICOM_RGB)
        return eg_fail(r->err, EG_ERR_INPUT, "DICOM: colours with signed values");
    if (rgb && d->photometric != EG_DICOM_RGB && (d->bits_allocated != 8 || d->bits_stored != 8))
        return eg_fail(r->err, EG_ERR_UNSUPPORTED, "DICOM YBR pixels of %d bits, supported are 8",
                       d->bits_stored);
    if (d->photometric != EG_DICOM_PALETTE) return EG_OK;
    for (int i = 0; i < 3; i++)
        if (d->palette[i].n == 0 || d->palette[i].data == NULL)
            return eg_fail(r->err, EG_ERR_UNSUPPORTED,
                           "the DICOM palette is absent or segmented, which is not read - convert "
                           "to RGB");
    return EG_OK;
}

/* Uncompressed: exactly the frames, and the byte that makes the length even. */
static eg_status check_length(const dicom_reader *r) {
    const eg_codec_dicom *d = &r->d;
    size_t pixels = (size_t)d->rows * (size_t)d->columns, n;
    size_t pixel_bytes = (size_t)d->samples * (size_t)d->bits_allocated / 8;
    if (d->photometric == EG_DICOM_YBR_FULL_422) {
        if (d->columns % 2 != 0 || d->planar)
            return eg_fail(r->err, EG_ERR_INPUT,
                           "DICOM: YBR_FULL_422 of an odd width or by planes");
        pixel_bytes = 2; /* two pixels share their chroma */
    }
    if (!eg_mul(&n, pixels * pixel_bytes, (size_t)d->n_frames)) n = SIZE_MAX;
    if (n == d->n_pixel_bytes || (n % 2 == 1 && n + 1 == d->n_pixel_bytes)) return EG_OK;
    return eg_fail(
        r->err, EG_ERR_INPUT,
        "DICOM: %zu bytes of pixels, expected %zu for %d x %d pixels of %zu bytes and %d "
        "frames",
        d->n_pixel_bytes, n, d->columns, d->rows, pixel_bytes, d->n_frames);
}

/* What can be told only when every element is known. */
static eg_status check_all(dicom_reader *r) {
    eg_codec_dicom *d = &r->d;
    if (d->rows < 1 || d->columns < 1)
        return eg_fail(r->err, EG_ERR_INPUT, "the DICOM file has no image (%d rows, %d columns)",
                       d->rows, d->columns);
    EG_TRY(check_bits(r));
    EG_TRY(check_colour(r));
    if (d->encoding == EG_DICOM_NATIVE) EG_TRY(check_length(r));
    EG_TRY(check_lut(r, &d->modality, "modality LUT"));
    EG_TRY(check_lut(r, &d->voi, "VOI LUT"));
    for (int i = 0; i < 3 && d->photometric == EG_DICOM_PALETTE; i++)
        EG_TRY(check_lut(r, &d->palette[i], "palette"));
    d->has_rescale = r->has_slope && r->has_intercept;
    d->has_window = r->has_center && r->has_width;
    if (d->has_rescale && d->slope == 0)
        return eg_fail(r->err, EG_ERR_INPUT, "DICOM: a rescale slope (0028,1053) of 0");
    if (!r->has_padding_limit) d->padding_limit = d->padding;
    if (d->is_signed && d->padding >= 0x8000) d->padding -= 0x10000;
    if (d->is_signed && d->padding_limit >= 0x8000) d->padding_limit -= 0x10000;
    if (d->padding > d->padding_limit) { /* the limit may lie on either side */
        int32_t low = d->padding_limit;
        d->padding_limit = d->padding;
        d->padding = low;
    }
    return EG_OK;
}

eg_status eg_codec_dicom_parse(eg_codec_dicom *out, const uint8_t *data, size_t size,
                               eg_error *err) {
    dicom_reader r = {
        .d = {.samples = 1, .n_frames = 1}, .c = {.data = data, .size = size}, .err = err};
    eg_dicom_element e = {0};
    if (size >= PREAMBLE_BYTES + 4 && memcmp(data + PREAMBLE_BYTES, "DICM", 4) == 0)
        r.c.pos = PREAMBLE_BYTES + 4;
    EG_TRY(read_meta(&r));
    for (;;) {
        if (r.c.pos == size && size > 0)
            return eg_fail_at(err, EG_ERR_INPUT, (int64_t)size,
                              "the DICOM file ends without pixel data - a report, a directory, or "
                              "cut short");
        EG_TRY(eg_codec_dicom_element(&e, &r.c, r.d.explicit_vr, err));
        if (e.tag == 0x7FE00010) break;
        EG_TRY(take_element(&r, &e));
        EG_TRY(eg_codec_dicom_skip(&r.c, &e, r.d.explicit_vr, err));
    }
    bool encapsulated = r.d.encoding != EG_DICOM_NATIVE;
    if (encapsulated != (e.length == EG_DICOM_UNDEFINED))
        return fail_value(&r, &e,
                          encapsulated ? "compressed pixels with a length, expected a sequence"
                                       : "uncompressed pixels without a length");
    r.d.pixels = data + e.value;
    r.d.n_pixel_bytes = encapsulated ? size - e.value : e.length;
    EG_TRY(check_all(&r));
    *out = r.d;
    return EG_OK;
}

/* ---- behind the door ---- */

eg_status eg_codec_dicom_decode(eg_image *out, const uint8_t *data, size_t size,
                                const eg_image_options *options, eg_error *err) {
    eg_codec_dicom d;
    EG_TRY(eg_codec_dicom_parse(&d, data, size, err));
    return eg_codec_dicom_render(out, &d, options, err);
}

/* First half of SHA-256's first half of (salt, 0, id): 64 bits keep patients apart, and without the
 * salt no list of ids can be tried against them. The id's padding is not part of it. */
static eg_status hash_patient(char out[17], const eg_codec_dicom *d, const void *salt,
                              size_t n_salt, eg_error *err) {
    const uint8_t *id = d->patient;
    size_t n = d->n_patient;
    out[0] = 0;
    while (n > 0 && (id[n - 1] == ' ' || id[n - 1] == 0)) n--;
    while (n > 0 && *id == ' ') id++, n--;
    if (n == 0 || salt == NULL || n_salt == 0) return EG_OK;
    eg_buffer text = {0};
    char hex[65];
    eg_buffer_add(&text, salt, n_salt);
    eg_buffer_add(&text, "", 1);
    eg_buffer_add(&text, id, n);
    bool failed = text.failed;
    if (!failed) eg_sha256_hex(hex, text.data, text.size);
    if (text.data != NULL) memset(text.data, 0, text.size);
    eg_buffer_free(&text);
    if (failed) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the hash of a patient id");
    memcpy(out, hex, 16);
    out[16] = 0;
    return EG_OK;
}

eg_status eg_codec_dicom_probe(eg_image_info *out, const uint8_t *data, size_t size,
                               const void *salt, size_t n_salt, eg_error *err) {
    eg_codec_dicom d;
    EG_TRY(eg_codec_dicom_parse(&d, data, size, err));
    eg_image_info info = {.format = "DICOM",
                          .width = d.columns,
                          .height = d.rows,
                          .channels = d.photometric >= EG_DICOM_RGB ? 3 : 1,
                          .bits = d.bits_stored,
                          .orientation = 1,
                          .n_frames = d.n_frames,
                          .inverted = d.photometric == EG_DICOM_MONOCHROME1};
    EG_TRY(hash_patient(info.patient, &d, salt, n_salt, err));
    *out = info;
    return EG_OK;
}
