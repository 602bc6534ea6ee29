/* Bytes of zip members: inflate and CRC32 (zlib), for the archives that zip_directory.c has
 * checked.
 *
 * zlib's heap goes through eg_malloc like everything else. Verification of a deflated member
 * streams through a small buffer, so that a member nobody needs never takes its unpacked size in
 * memory. */
#include "codec/utf8.h"
#include "codec/zip_directory.h"

#include <string.h>
#include <zlib.h>

/* Below this, starting threads costs more than the checksum. */
static const size_t parallel_bytes = (size_t)8 << 20;
enum { SCRATCH_BYTES = 64 << 10, CRC_STEP_BYTES = 1 << 30 };

static void *zlib_alloc(void *context, unsigned n, unsigned size) {
    (void)context;
    return eg_calloc(n, size);
}

static void zlib_free(void *context, void *p) {
    (void)context;
    eg_free(p);
}

/* zlib's crc32_z takes any length, but for NULL it gives the start value: empty tensors may be it. */
uint32_t eg_codec_crc32(const void *data, size_t n) {
    return n > 0 ? (uint32_t)crc32_z(0, data, n) : 0;
}

/* Why a member's bytes are not what the directory promises. */
typedef enum { SOUND, BAD_STREAM, BAD_LENGTH, BAD_CRC, NO_MEMORY } verdict;

/* One message for both users; the offset is that of the data. */
static eg_status verdict_fail(eg_error *err, const eg_zip_member *m, verdict v) {
    static const char *const reasons[] = {
        [SOUND] = "sound",
        [BAD_STREAM] = "its deflate stream is damaged",
        [BAD_LENGTH] = "it does not unpack to the size the directory gives",
        [BAD_CRC] = "its checksum (CRC32) is wrong: the data is damaged - get the file again",
        [NO_MEMORY] = "no memory to unpack it",
    };
    char shown[120];
    eg_codec_printable(shown, sizeof shown, m->name, strlen(m->name));
    return eg_fail_at(err, v == NO_MEMORY ? EG_ERR_NO_MEMORY : EG_ERR_INPUT, (int64_t)m->offset,
                      "zip member '%s': %s, at byte %zu", shown, reasons[v], m->offset);
}

/* Inflate all of `m`: into `out` (m->n_bytes) when given, else through `scratch`. The output length
 * is bounded before each call, so a stream that is longer than promised stops one step behind the
 * promise. */
static verdict inflate_into(const eg_zip_member *m, uint8_t *out, uint8_t *scratch) {
    z_stream z = {.zalloc = zlib_alloc, .zfree = zlib_free};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) return NO_MEMORY;
    size_t in_left = m->packed_bytes, done = 0;
    uLong crc = crc32(0, NULL, 0);
    int code = Z_OK;
    z.next_in = (Bytef *)(uintptr_t)m->data; /* zlib does not write through it */
    while (code == Z_OK) {
        size_t step = in_left < CRC_STEP_BYTES ? in_left : CRC_STEP_BYTES;
        size_t room = m->n_bytes - done < SCRATCH_BYTES ? m->n_bytes - done : SCRATCH_BYTES;
        uint8_t extra; /* when all is out, one byte of room shows whether there is more */
        uint8_t *to = room == 0 ? &extra : out != NULL ? out + done : scratch;
        z.avail_in = (uInt)step;
        z.avail_out = room == 0 ? 1 : (uInt)room;
        z.next_out = to;
        code = inflate(&z, Z_NO_FLUSH);
        size_t got = (size_t)(z.next_out - to);
        in_left -= step - z.avail_in;
        if (got > m->n_bytes - done) break;
        crc = crc32(crc, to, (uInt)got);
        done += got;
        if (code == Z_OK && got == 0 && step == z.avail_in) break; /* no progress */
    }
    inflateEnd(&z);
    if (code == Z_MEM_ERROR) return NO_MEMORY;
    if (code == Z_OK && done == m->n_bytes) return BAD_LENGTH;
    if (code != Z_STREAM_END) return BAD_STREAM;
    if (done != m->n_bytes || in_left != 0) return BAD_LENGTH;
    return (uint32_t)crc == m->crc ? SOUND : BAD_CRC;
}

typedef struct {
    const eg_zip_directory *zip;
    uint8_t *verdicts; /* one a member */
} verify_job;

/* Runs on any thread: writes its own verdict only, and reports nothing. */
static void verify_one(void *context, int i) {
    verify_job *job = context;
    const eg_zip_member *m = &job->zip->members[i];
    verdict v = NO_MEMORY;
    if (!m->deflated) {
        v = eg_codec_crc32(m->data, m->n_bytes) == m->crc ? SOUND : BAD_CRC;
    } else {
        uint8_t *scratch = eg_malloc(SCRATCH_BYTES);
        if (scratch != NULL) v = inflate_into(m, NULL, scratch);
        eg_free(scratch);
    }
    job->verdicts[i] = (uint8_t)v;
}

/* The first bad member in the order of the directory is named, whatever thread found what first. */
eg_status eg_codec_zip_verify(const eg_zip_directory *zip, eg_error *err) {
    verify_job job = {zip, eg_calloc(zip->n, 1)};
    if (job.verdicts == NULL)
        return eg_fail(err, EG_ERR_NO_MEMORY, "zip: no memory to check %zu members", zip->n);
    if (zip->unpacked_bytes >= parallel_bytes)
        eg_pool_run(verify_one, &job, (int)zip->n);
    else
        for (size_t i = 0; i < zip->n; i++) verify_one(&job, (int)i);
    eg_status status = EG_OK;
    for (size_t i = 0; i < zip->n && status == EG_OK; i++)
        if (job.verdicts[i] != SOUND)
            status = verdict_fail(err, &zip->members[i], (verdict)job.verdicts[i]);
    eg_free(job.verdicts);
    return status;
}

eg_status eg_codec_zip_unpack(const uint8_t **bytes, void **block, const eg_zip_member *m,
                              eg_error *err) {
    if (!m->deflated) {
        *bytes = m->data;
        *block = NULL;
        return EG_OK;
    }
    uint8_t *out = eg_malloc(m->n_bytes > 0 ? m->n_bytes : 1);
    verdict v = out != NULL ? inflate_into(m, out, NULL) : NO_MEMORY;
    if (v != SOUND) {
        eg_free(out);
        return verdict_fail(err, m, v);
    }
    *bytes = out;
    *block = out;
    return EG_OK;
}

/* Z_BUF_ERROR and Z_OK both leave what has come so far; only a damaged stream is an error. */
eg_status eg_codec_zip_peek(const uint8_t **bytes, size_t *n, uint8_t *room, size_t capacity,
                            const eg_zip_member *m, eg_error *err) {
    size_t wanted = m->n_bytes < capacity ? m->n_bytes : capacity;
    *bytes = m->deflated ? room : m->data;
    *n = wanted;
    if (!m->deflated || wanted == 0) return EG_OK;
    z_stream z = {.zalloc = zlib_alloc, .zfree = zlib_free};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) return verdict_fail(err, m, NO_MEMORY);
    z.next_in = (Bytef *)(uintptr_t)m->data; /* zlib does not write through it */
    z.avail_in = m->packed_bytes < CRC_STEP_BYTES ? (uInt)m->packed_bytes : CRC_STEP_BYTES;
    z.next_out = room;
    z.avail_out = (uInt)wanted;
    int code = inflate(&z, Z_SYNC_FLUSH);
    size_t left = z.avail_out;
    inflateEnd(&z);
    if (code == Z_MEM_ERROR) return verdict_fail(err, m, NO_MEMORY);
    if (left > 0) return verdict_fail(err, m, BAD_STREAM);
    return EG_OK;
}
