/* DICOM's RLE transfer syntax (PS3.5 annex G): PackBits, one segment for each byte of a sample of
 * each plane, high bytes first.
 *
 * A segment must give at least the bytes of its plane; what is behind them in it is padding. Read
 * first: dicom.h. */
#include "codec/dicom.h"

#include <string.h>

enum { HEADER_BYTES = 64, MAX_SEGMENTS = 15 };

/* PackBits: n < 128: n + 1 bytes as they are; n > 128: 257 - n times the next byte; 128: nothing.
 * Writes every `step`th byte of `out`, n of them. false: the segment ends before. */
static bool unpack(uint8_t *out, size_t step, size_t n, const uint8_t *data, size_t size) {
    size_t done = 0, at = 0;
    while (done < n && at < size) {
        unsigned code = data[at++];
        if (code == 128) continue;
        bool literal = code < 128;
        size_t run = literal ? code + 1 : 257 - code;
        if (run > n - done) run = n - done;
        if (size - at < (literal ? run : 1)) return false;
        for (size_t i = 0; i < run; i++) out[(done + i) * step] = data[at + (literal ? i : 0)];
        at += literal ? run : 1;
        done += run;
    }
    return done == n;
}

eg_status eg_codec_dicom_rle(uint8_t *out, size_t n_pixels, int n_planes, int sample_bytes,
                             const uint8_t *data, size_t size, eg_error *err) {
    eg_cursor c = {.data = data, .size = size};
    uint32_t n = 0, offsets[MAX_SEGMENTS + 1];
    uint32_t expected = (uint32_t)(n_planes * sample_bytes);
    if (size < HEADER_BYTES || !eg_cursor_u32le(&c, &n))
        return eg_fail(err, EG_ERR_INPUT, "the RLE frame has no header of %d bytes", HEADER_BYTES);
    if (n != expected)
        return eg_fail(err, EG_ERR_INPUT, "the RLE frame has %u segments, expected %u", (unsigned)n,
                       (unsigned)expected);
    for (uint32_t i = 0; i < MAX_SEGMENTS; i++) eg_cursor_u32le(&c, &offsets[i]);
    offsets[n] = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
    for (uint32_t i = 0; i < n; i++) {
        if (offsets[i] < HEADER_BYTES || offsets[i] > offsets[i + 1])
            return eg_fail(err, EG_ERR_INPUT, "segment %u of the RLE frame begins at byte %u",
                           (unsigned)i + 1, (unsigned)offsets[i]);
    }
    if (offsets[n - 1] > size)
        return eg_fail(err, EG_ERR_INPUT, "segment %u of the RLE frame lies behind its end",
                       (unsigned)n);
    size_t plane_bytes = n_pixels * (size_t)sample_bytes;
    for (uint32_t i = 0; i < n; i++) {
        size_t plane = i / (uint32_t)sample_bytes, from_high = i % (uint32_t)sample_bytes;
        uint8_t *to = out + plane * plane_bytes + ((size_t)sample_bytes - 1 - from_high);
        if (!unpack(to, (size_t)sample_bytes, n_pixels, data + offsets[i],
                    offsets[i + 1] - offsets[i]))
            return eg_fail(err, EG_ERR_INPUT,
                           "segment %u of the RLE frame ends before its %zu bytes", (unsigned)i + 1,
                           n_pixels);
    }
    return EG_OK;
}
