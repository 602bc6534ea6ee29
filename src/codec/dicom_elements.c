/* DICOM data elements: tag, type (VR), length, value, one behind the other (PS3.5 chapter 7), little
 * endian only.
 *
 * The type is in the file ("explicit") or must be known from a dictionary ("implicit"). No
 * dictionary is needed here: what is read is known by its tag, and everything else is stepped over
 * by its length; an undefined length can only be a sequence. Values are not looked at. Read first:
 * dicom.h. */
#include "codec/dicom.h"

#include <string.h>

enum { MAX_NESTING = 64 };

static eg_status fail_element(eg_error *err, size_t at, uint32_t tag, const char *what) {
    return eg_fail_at(err, EG_ERR_INPUT, (int64_t)at,
                      "bad DICOM element (%04x,%04x) at byte %zu: %s", (unsigned)tag >> 16,
                      (unsigned)tag & 0xFFFF, at, what);
}

/* Types with two reserved bytes and a length of four bytes. */
static bool has_long_length(const char *vr) {
    static const char types[] = "OB OD OF OL OV OW SQ SV UC UN UR UT UV";
    return strstr(types, vr) != NULL;
}

static bool is_known_type(const char *vr) {
    static const char types[] = "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US";
    return strstr(types, vr) != NULL || has_long_length(vr);
}

/* The type and the length of an explicit element. A type is two capitals, also one of a later
 * standard, whose length is then short (PS3.5 7.1.2). */
static bool read_type(eg_dicom_element *e, eg_cursor *c) {
    const uint8_t *vr = eg_cursor_take(c, 2);
    uint16_t length;
    if (vr == NULL || vr[0] < 'A' || vr[0] > 'Z' || vr[1] < 'A' || vr[1] > 'Z') return false;
    memcpy(e->vr, vr, 2);
    if (has_long_length(e->vr)) return eg_cursor_skip(c, 2) && eg_cursor_u32le(c, &e->length);
    if (!eg_cursor_u16le(c, &length)) return false;
    e->length = length;
    return true;
}

eg_status eg_codec_dicom_element(eg_dicom_element *out, eg_cursor *c, bool explicit_vr,
                                 eg_error *err) {
    eg_dicom_element e = {.at = c->pos};
    uint16_t group, element;
    if (!eg_cursor_u16le(c, &group) || !eg_cursor_u16le(c, &element))
        return eg_fail_at(
            err, EG_ERR_INPUT, (int64_t)c->size,
            "the DICOM file ends at byte %zu, before its pixel data - it is cut short", c->size);
    e.tag = (uint32_t)group << 16 | element;
    bool typed = explicit_vr && group != 0xFFFE; /* items have no type */
    if (typed ? !read_type(&e, c) : !eg_cursor_u32le(c, &e.length))
        return fail_element(err, e.at, e.tag, typed ? "it has no type" : "it has no length");
    e.value = c->pos;
    if (e.length != EG_DICOM_UNDEFINED && e.length > c->size - c->pos)
        return fail_element(err, e.at, e.tag, "its length is more than what is left");
    *out = e;
    return EG_OK;
}

static eg_status skip_value(eg_cursor *c, const eg_dicom_element *e, bool explicit_vr, int depth,
                            eg_error *err);

/* Elements of an item of undefined length, up to its delimiter. */
static eg_status skip_item(eg_cursor *c, bool explicit_vr, int depth, eg_error *err) {
    for (;;) {
        eg_dicom_element e;
        EG_TRY(eg_codec_dicom_element(&e, c, explicit_vr, err));
        if (e.tag == EG_DICOM_ITEM_END) return EG_OK;
        EG_TRY(skip_value(c, &e, explicit_vr, depth, err));
    }
}

/* Only sequences may have no length; what is inside one of unknown type is implicit (PS3.5 6.2.2).
 * Recursion ends at MAX_NESTING; each call takes bytes, so the work is bounded by the file. */
static eg_status skip_value(eg_cursor *c, const eg_dicom_element *e, bool explicit_vr, int depth,
                            eg_error *err) {
    if (e->length != EG_DICOM_UNDEFINED) {
        eg_cursor_skip(c, e->length); /* fits: checked when it was read */
        return EG_OK;
    }
    bool unknown = strcmp(e->vr, "UN") == 0;
    if (explicit_vr && !unknown && strcmp(e->vr, "SQ") != 0)
        return fail_element(err, e->at, e->tag, "its length is undefined, and it is no sequence");
    if (depth >= MAX_NESTING)
        return eg_fail_at(err, EG_ERR_LIMIT, (int64_t)e->at,
                          "DICOM sequences nested more than %d deep", MAX_NESTING);
    bool typed = explicit_vr && !unknown;
    for (;;) {
        eg_dicom_element item;
        EG_TRY(eg_codec_dicom_element(&item, c, typed, err));
        if (item.tag == EG_DICOM_SEQUENCE_END) return EG_OK;
        if (item.tag != EG_DICOM_ITEM)
            return fail_element(err, item.at, item.tag, "expected an item of a sequence");
        if (item.length == EG_DICOM_UNDEFINED)
            EG_TRY(skip_item(c, typed, depth + 1, err));
        else
            eg_cursor_skip(c, item.length);
    }
}

eg_status eg_codec_dicom_skip(eg_cursor *c, const eg_dicom_element *e, bool explicit_vr,
                              eg_error *err) {
    return skip_value(c, e, explicit_vr, 0, err);
}

/* Two elements in a row of the groups that a data set begins with, in order: that is 12 bytes or more
 * which no other format begins with. */
bool eg_codec_dicom_guess(bool *explicit_vr, const uint8_t *data, size_t size) {
    for (int typed = 1; typed >= 0; typed--) {
        eg_cursor c = {.data = data, .size = size};
        eg_dicom_element first, second;
        if (eg_codec_dicom_element(&first, &c, typed, NULL) != EG_OK) continue;
        if (first.length > 128 || (typed && !is_known_type(first.vr))) continue;
        eg_cursor_skip(&c, first.length);
        /* the length of the second may lead out of what was given: only its tag and type count */
        uint16_t group, element;
        if (!eg_cursor_u16le(&c, &group) || !eg_cursor_u16le(&c, &element)) continue;
        second.tag = (uint32_t)group << 16 | element;
        const uint8_t *vr = eg_cursor_take(&c, 2);
        if (vr == NULL) continue;
        if (typed && !is_known_type((char[3]){(char)vr[0], (char)vr[1], 0})) continue;
        bool begins = first.tag >> 16 == 0x0002 || first.tag >> 16 == 0x0008;
        if (!begins || (first.tag & 0xFFFF) > 0x0018) continue;
        if (second.tag <= first.tag || second.tag >> 16 > 0x0008) continue;
        *explicit_vr = typed;
        return true;
    }
    return false;
}
