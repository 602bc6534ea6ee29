/* The .npy header (NumPy's NEP 1): a Python dict as text, read by a closed grammar and never
 * evaluated.
 *
 * Versions 1 to 3; little-endian plain numbers, booleans and fixed-length texts in C order. Object
 * arrays are pickles and are refused, as are records, complex and big-endian numbers. Read first:
 * npy.h; formats.md, section 1.7. */
#include "codec/npy.h"
#include <stdio.h>
#include <string.h>

enum { MAX_HEADER_BYTES = 10000, MAX_ITEM_CHARS = 1 << 20 };

/* ---- dtypes ---- */

/* The allow-list. What is not on it is unknown, never guessed. */
size_t eg_codec_npy_item_bytes(const char *descr) {
    static const struct {
        const char *descr;
        size_t bytes;
    } plain[] = {{"|b1", 1}, {"|i1", 1}, {"|u1", 1}, {"<i2", 2}, {"<u2", 2}, {"<i4", 4},
                 {"<u4", 4}, {"<i8", 8}, {"<u8", 8}, {"<f2", 2}, {"<f4", 4}, {"<f8", 8}};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (strcmp(plain[i].descr, descr) == 0) return plain[i].bytes;
    }
    bool wide = strncmp(descr, "<U", 2) == 0; /* UTF-32 */
    if (!wide && strncmp(descr, "|S", 2) != 0) return 0;
    int64_t n;
    if (descr[2] < '1' || descr[2] > '9' || strspn(descr + 2, "0123456789") != strlen(descr + 2)) {
        return 0;
    }
    if (!eg_parse_int(&n, descr + 2) || n > MAX_ITEM_CHARS) return 0;
    return (size_t)n * (wide ? 4 : 1);
}

/* ---- the dict ---- */

/* Position in the header text; offsets of errors are from the start of the file. */
typedef struct {
    const char *text;
    size_t size, pos;
    size_t base; /* of text in the file */
    eg_error *err;
} header_text;

/* An error at the present position. */
static eg_status fail_here(const header_text *h, const char *expected) {
    return eg_fail_at(h->err, EG_ERR_INPUT, (int64_t)(h->base + h->pos),
                      "bad .npy header at byte %zu: expected %s", h->base + h->pos, expected);
}

static void skip_blanks(header_text *h) {
    while (h->pos < h->size && h->text[h->pos] == ' ') h->pos++;
}

/* Step over `token` if it is next. */
static bool eat(header_text *h, const char *token) {
    size_t n = strlen(token);
    if (h->size - h->pos < n || memcmp(h->text + h->pos, token, n) != 0) return false;
    h->pos += n;
    return true;
}

/* 'text' or "text", no escapes, shorter than `room`. */
static bool eat_text(header_text *h, char *out, size_t room) {
    if (h->pos >= h->size || (h->text[h->pos] != '\'' && h->text[h->pos] != '"')) return false;
    char quote = h->text[h->pos];
    size_t n = 0;
    for (size_t p = h->pos + 1; p < h->size && n + 1 < room; p++) {
        char c = h->text[p];
        if (c == quote) {
            out[n] = 0;
            h->pos = p + 1;
            return true;
        }
        if (c < 0x20 || c > 0x7e || c == '\\') return false;
        out[n++] = c;
    }
    return false;
}

/* The dtype, with a reason for the kinds that people really have. */
static eg_status parse_descr(eg_codec_npy_header *out, header_text *h) {
    if (h->pos < h->size && h->text[h->pos] == '[') {
        return eg_fail_at(h->err, EG_ERR_UNSUPPORTED, (int64_t)(h->base + h->pos),
                          "a record array, expected plain numbers or texts");
    }
    size_t at = h->base + h->pos;
    if (!eat_text(h, out->descr, sizeof out->descr)) return fail_here(h, "a dtype such as '<f4'");
    out->item_bytes = eg_codec_npy_item_bytes(out->descr);
    if (out->item_bytes > 0) return EG_OK;
    if (strchr(out->descr, 'O') != NULL) {
        return eg_fail_at(h->err, EG_ERR_INPUT, (int64_t)at,
                          "an object array ('%s') is a pickle and is not read - save numbers or "
                          "fixed-length texts, e.g. a.astype('U')",
                          out->descr);
    }
    return eg_fail_at(
        h->err, EG_ERR_UNSUPPORTED, (int64_t)at,
        "dtype '%s' is not supported - expected little-endian b1 i1..i8 u1..u8 f2..f8 "
        "U or S",
        out->descr);
}

/* False only. NumPy writes False also for what is contiguous both ways, so True is a real
 * transposition. */
static eg_status parse_order(header_text *h) {
    size_t at = h->base + h->pos;
    if (eat(h, "False")) return EG_OK;
    if (!eat(h, "True")) return fail_here(h, "True or False");
    return eg_fail_at(h->err, EG_ERR_UNSUPPORTED, (int64_t)at,
                      "an array in Fortran order - save numpy.ascontiguousarray(a)");
}

/* (), (3,), (3, 4) */
static eg_status parse_shape(eg_codec_npy_header *out, header_text *h) {
    if (!eat(h, "(")) return fail_here(h, "the shape");
    out->n_dims = 0;
    skip_blanks(h);
    while (!eat(h, ")")) {
        char digits[20];
        size_t n = 0;
        while (h->pos < h->size && n + 1 < sizeof digits && h->text[h->pos] >= '0' &&
               h->text[h->pos] <= '9') {
            digits[n++] = h->text[h->pos++];
        }
        digits[n] = 0;
        int64_t dim;
        if (!eg_parse_int(&dim, digits)) return fail_here(h, "a size");
        if (out->n_dims == EG_MAX_DIMS) return fail_here(h, "at most 8 dimensions");
        out->dims[out->n_dims++] = dim;
        skip_blanks(h);
        if (eat(h, ",")) {
            skip_blanks(h);
        } else if (out->n_dims < 2 || h->pos >= h->size || h->text[h->pos] != ')') {
            return fail_here(h, "a comma"); /* (3) is a number in Python and not a shape */
        }
    }
    return EG_OK;
}

/* {'descr': D, 'fortran_order': B, 'shape': S, } each key once, any order; blanks; one newline at
 * the end. */
static eg_status parse_dict(eg_codec_npy_header *out, header_text *h) {
    if (!eat(h, "{")) return fail_here(h, "'{'");
    bool seen[3] = {false, false, false};
    for (int i = 0; i < 3; i++) {
        static const char *const keys[3] = {"descr", "fortran_order", "shape"};
        char key[16];
        skip_blanks(h);
        if (!eat_text(h, key, sizeof key)) return fail_here(h, "a key");
        int which = 0;
        while (which < 3 && strcmp(keys[which], key) != 0) which++;
        if (which == 3 || seen[which])
            return fail_here(h, "'descr', 'fortran_order', 'shape' once");
        seen[which] = true;
        skip_blanks(h);
        if (!eat(h, ":")) return fail_here(h, "':'");
        skip_blanks(h);
        if (which == 0) EG_TRY(parse_descr(out, h));
        if (which == 1) EG_TRY(parse_order(h));
        if (which == 2) EG_TRY(parse_shape(out, h));
        skip_blanks(h);
        if (!eat(h, ",") && i < 2) return fail_here(h, "','");
    }
    skip_blanks(h);
    if (!eat(h, "}")) return fail_here(h, "'}'");
    skip_blanks(h);
    if (!eat(h, "\n") || h->pos != h->size) return fail_here(h, "blanks and the end of the header");
    return EG_OK;
}

/* false: the product does not fit in size_t */
static bool count_bytes(size_t *out, size_t item_bytes, const int64_t *dims, int n_dims) {
    size_t n = item_bytes;
    for (int i = 0; i < n_dims; i++) {
        if (dims[i] < 0 || !eg_mul(&n, n, (size_t)dims[i])) return false;
    }
    *out = n;
    return true;
}

/* Lengths are checked before what they announce is touched. */
eg_status eg_codec_npy_parse_head(eg_codec_npy_header *out, const uint8_t *data, size_t have,
                                  size_t size, eg_error *err) {
    eg_cursor c = {.data = data, .size = have};
    const uint8_t *magic = eg_cursor_take(&c, 6);
    if (magic == NULL || memcmp(magic, "\x93NUMPY", 6) != 0) {
        return eg_fail_at(err, EG_ERR_INPUT, 0, "not a .npy array (wrong magic)");
    }
    uint8_t major = 0, minor = 0;
    uint16_t short_length = 0;
    uint32_t length = 0;
    bool ok = eg_cursor_u8(&c, &major) && eg_cursor_u8(&c, &minor);
    if (ok && (major < 1 || major > 3 || minor != 0)) {
        return eg_fail_at(err, EG_ERR_UNSUPPORTED, 6, ".npy version %d.%d, supported are 1 to 3",
                          major, minor);
    }
    if (ok && major == 1) {
        ok = eg_cursor_u16le(&c, &short_length);
        length = short_length;
    } else if (ok) {
        ok = eg_cursor_u32le(&c, &length);
    }
    if (ok && length > MAX_HEADER_BYTES) {
        return eg_fail_at(err, EG_ERR_LIMIT, 8, ".npy header of %u bytes, the limit is %d",
                          (unsigned)length, MAX_HEADER_BYTES);
    }
    header_text h = {.size = length, .base = c.pos, .err = err};
    h.text = ok ? (const char *)eg_cursor_take(&c, length) : NULL;
    if (h.text == NULL) {
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)have, "the .npy header is cut short");
    }
    eg_codec_npy_header header = {.data_offset = c.pos};
    EG_TRY(parse_dict(&header, &h));
    bool fits = count_bytes(&header.n_bytes, header.item_bytes, header.dims, header.n_dims);
    if (!fits || header.n_bytes != size - c.pos) {
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)c.pos,
                          "the .npy header promises %zu bytes of data, the file has %zu",
                          fits ? header.n_bytes : SIZE_MAX, size - c.pos);
    }
    *out = header;
    return EG_OK;
}

eg_status eg_codec_npy_parse(eg_codec_npy_header *out, const uint8_t *data, size_t size,
                             eg_error *err) {
    return eg_codec_npy_parse_head(out, data, size, size, err);
}

/* ---- writing ---- */

/* Version 1.0 with NumPy's own padding, so that the bytes equal numpy.save's. */
eg_status eg_codec_npy_header_write(eg_buffer *out, const eg_npy_array *array, eg_error *err) {
    size_t item_bytes = eg_codec_npy_item_bytes(array->descr), n_bytes = 0;
    bool sound = item_bytes > 0 && array->n_dims >= 0 && array->n_dims <= EG_MAX_DIMS &&
                 count_bytes(&n_bytes, item_bytes, array->dims, array->n_dims);
    if (!sound || n_bytes != array->n_bytes) {
        return eg_fail(err, EG_ERR_INTERNAL, "%s: dtype '%s' and shape do not give %zu bytes",
                       array->name, array->descr, array->n_bytes);
    }
    char dict[320];
    int n = snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                     array->descr);
    for (int i = 0; i < array->n_dims; i++) { /* "3," but "3, 4": as NumPy writes them */
        const char *between = i + 1 < array->n_dims ? ", " : array->n_dims == 1 ? "," : "";
        n +=
            snprintf(dict + n, sizeof dict - (size_t)n, "%jd%s", (intmax_t)array->dims[i], between);
    }
    n += snprintf(dict + n, sizeof dict - (size_t)n, "), }");
    size_t total = ((size_t)n + 10 + 1 + 63) / 64 * 64; /* 10: magic, version, length; 1: newline */
    uint8_t start[10] = "\x93NUMPY\1\0";
    start[8] = (uint8_t)(total - 10);
    start[9] = (uint8_t)((total - 10) >> 8);
    eg_buffer_add(out, start, sizeof start);
    eg_buffer_printf(out, "%-*s\n", (int)(total - 10 - 1), dict);
    return EG_OK; /* lack of memory stays in out->failed */
}
