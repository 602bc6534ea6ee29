/* .npz: a zip of .npy files. Read through libzip, written by ourselves (stored, fixed date:
 * byte-reproducible).
 *
 * Limits before memory: members, names, total size, and the ratio that DEFLATE can reach at most,
 * so that a small file cannot ask for much. The CRC of every member is compared. Arrays above 4 GiB
 * in all are refused, not written with zip64. Read first: npy.h, npy.c. */
#include "codec/npy.h"
#include "codec/zip_directory.h"
#include <string.h>
#include <zip.h>
#include <zlib.h>

enum { MAX_MEMBERS = 10000, MAX_NAME_BYTES = 200, DEFLATE_RATIO = 1032 };
static const size_t max_total_bytes = (size_t)4 << 30;

struct eg_npz {
    eg_npy_array *arrays;
    void **blocks; /* of arrays[i]: the whole member; its data point into it */
    size_t n;
};

void eg_npz_free(eg_npz *npz) {
    if (npz == NULL) return;
    for (size_t i = 0; i < npz->n; i++) {
        eg_free((char *)(uintptr_t)npz->arrays[i].name);
        eg_free((char *)(uintptr_t)npz->arrays[i].descr);
        eg_free(npz->blocks[i]);
    }
    eg_free(npz->arrays);
    eg_free(npz->blocks);
    eg_free(npz);
}

/* Linear: an .npz here has a handful of arrays. */
const eg_npy_array *eg_npz_find(const eg_npz *npz, const char *name) {
    for (size_t i = 0; i < npz->n; i++) {
        if (strcmp(npz->arrays[i].name, name) == 0) return &npz->arrays[i];
    }
    return NULL;
}

/* ---- reading ---- */

/* What is left of the budget while members are read. */
typedef struct {
    zip_t *zip;
    size_t file_bytes;
    size_t bytes_left;
    eg_error *err;
} npz_reader;

/* libzip's code as ours. */
static eg_status fail_zip(eg_error *err, int code) {
    zip_error_t e;
    zip_error_init_with_code(&e, code);
    eg_status status = code == ZIP_ER_MEMORY ? EG_ERR_NO_MEMORY : EG_ERR_INPUT;
    eg_fail(err, status, "not a sound .npz file: %s", zip_error_strerror(&e));
    zip_error_fini(&e);
    return status;
}

/* Everything that the directory claims about a member, before memory is asked for. */
static eg_status check_member(const npz_reader *r, const zip_stat_t *st) {
    const zip_uint64_t need =
        ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if ((st->valid & need) != need || st->name == NULL) {
        return eg_fail(r->err, EG_ERR_INPUT, "a member without name or size");
    }
    size_t n = strlen(st->name);
    if (n > MAX_NAME_BYTES || n <= 4 || strcmp(st->name + n - 4, ".npy") != 0) {
        return eg_fail(r->err, EG_ERR_INPUT, "member '%.64s' is not a .npy array", st->name);
    }
    if (st->comp_method != ZIP_CM_STORE && st->comp_method != ZIP_CM_DEFLATE) {
        return eg_fail(r->err, EG_ERR_UNSUPPORTED,
                       "member '%s': compression method %d, supported are stored and deflated",
                       st->name, st->comp_method);
    }
    if ((st->valid & ZIP_STAT_ENCRYPTION_METHOD) && st->encryption_method != ZIP_EM_NONE) {
        return eg_fail(r->err, EG_ERR_UNSUPPORTED, "member '%s' is encrypted", st->name);
    }
    bool stored = st->comp_method == ZIP_CM_STORE;
    if (st->comp_size > r->file_bytes || (stored && st->comp_size != st->size) ||
        st->size / DEFLATE_RATIO > st->comp_size) {
        return eg_fail(r->err, EG_ERR_INPUT, "member '%s' lies about its size: %ju from %ju bytes",
                       st->name, (uintmax_t)st->size, (uintmax_t)st->comp_size);
    }
    if (st->size > r->bytes_left) {
        return eg_fail(r->err, EG_ERR_LIMIT, "more than %zu bytes in all", max_total_bytes);
    }
    return EG_OK;
}

/* Exactly `size` bytes and then the end, where libzip compares the CRC. */
static eg_status read_bytes(const npz_reader *r, zip_uint64_t index, uint8_t *block, size_t size,
                            const char *name) {
    zip_file_t *file = zip_fopen_index(r->zip, index, 0);
    if (file == NULL) return fail_zip(r->err, zip_error_code_zip(zip_get_error(r->zip)));
    size_t got = 0;
    bool sound = true;
    while (sound && got < size) {
        zip_int64_t n = zip_fread(file, block + got, size - got);
        sound = n > 0;
        if (sound) got += (size_t)n;
    }
    uint8_t extra;
    sound = sound && zip_fread(file, &extra, 1) == 0;
    eg_status status = EG_OK;
    if (!sound) {
        const char *why = zip_error_strerror(zip_file_get_error(file));
        status = eg_fail_at(
            r->err, EG_ERR_INPUT, (int64_t)got, "member '%s' is damaged after %zu of %zu bytes: %s",
            name, got, size,
            zip_error_code_zip(zip_file_get_error(file)) == ZIP_ER_OK ? "wrong length" : why);
    }
    zip_fclose(file);
    return status;
}

/* One member to one array of `npz`; its block holds the whole .npy file. */
static eg_status read_member(eg_npz *npz, npz_reader *r, zip_uint64_t index) {
    zip_stat_t st;
    if (zip_stat_index(r->zip, index, 0, &st) != 0) {
        return fail_zip(r->err, zip_error_code_zip(zip_get_error(r->zip)));
    }
    EG_TRY(check_member(r, &st));
    r->bytes_left -= st.size;
    uint8_t *block = eg_malloc(st.size > 0 ? st.size : 1);
    char *name = eg_strndup(st.name, strlen(st.name) - 4);
    eg_codec_npy_header header = {0};
    eg_status status = EG_OK;
    if (block == NULL || name == NULL) {
        status = eg_fail(r->err, EG_ERR_NO_MEMORY, "no memory for member '%s'", st.name);
    }
    if (status == EG_OK && eg_npz_find(npz, name) != NULL) {
        status = eg_fail(r->err, EG_ERR_INPUT, "two members are called '%s'", st.name);
    }
    if (status == EG_OK) status = read_bytes(r, index, block, st.size, st.name);
    if (status == EG_OK) {
        status = eg_codec_npy_parse(&header, block, st.size, r->err);
        if (status != EG_OK) status = eg_error_in(r->err, status, st.name);
    }
    char *descr = NULL;
    if (status == EG_OK && (descr = eg_strdup(header.descr)) == NULL) {
        status = eg_fail(r->err, EG_ERR_NO_MEMORY, "no memory for member '%s'", st.name);
    }
    if (status != EG_OK) {
        eg_free(block);
        eg_free(name);
        return status;
    }
    /* NumPy pads to 64 bytes; where another writer did not, the data are moved to where the kernels
     * like them */
    uint8_t *data = block + header.data_offset;
    if (header.data_offset % 64 != 0) data = memmove(block, data, header.n_bytes);
    eg_npy_array *array = &npz->arrays[npz->n];
    *array = (eg_npy_array){.name = name,
                            .descr = descr,
                            .n_dims = header.n_dims,
                            .data = data,
                            .n_bytes = header.n_bytes};
    memcpy(array->dims, header.dims, sizeof array->dims);
    npz->blocks[npz->n++] = block;
    return EG_OK;
}

static eg_status read_members(eg_npz **out, npz_reader *r) {
    zip_int64_t n = zip_get_num_entries(r->zip, 0);
    if (n < 0 || n > MAX_MEMBERS) {
        return eg_fail(r->err, EG_ERR_LIMIT, "%jd members, the limit is %d", (intmax_t)n,
                       MAX_MEMBERS);
    }
    eg_npz *npz = eg_calloc(1, sizeof *npz);
    if (npz != NULL) {
        npz->arrays = eg_calloc((size_t)n + 1, sizeof *npz->arrays);
        npz->blocks = eg_calloc((size_t)n + 1, sizeof *npz->blocks);
    }
    eg_status status = EG_OK;
    if (npz == NULL || npz->arrays == NULL || npz->blocks == NULL) {
        status = eg_fail(r->err, EG_ERR_NO_MEMORY, "no memory for the .npz file");
    }
    for (zip_int64_t i = 0; status == EG_OK && i < n; i++) {
        status = read_member(npz, r, (zip_uint64_t)i);
    }
    if (status != EG_OK) {
        eg_npz_free(npz);
        return status;
    }
    *out = npz;
    return EG_OK;
}

/* ZIP_CHECKCONS: local headers must agree with the directory, or two readers could see two
 * files. */
eg_status eg_codec_npz_decode(eg_npz **out, const void *data, size_t size, eg_error *err) {
    if (size == 0) return eg_fail_at(err, EG_ERR_INPUT, 0, "the file is empty");
    if (size < 22 || memcmp(data, "PK", 2) != 0) {
        return eg_fail_at(err, EG_ERR_INPUT, 0, "not an .npz file (not a zip archive)");
    }
    zip_error_t e;
    zip_error_init(&e);
    zip_source_t *source = zip_source_buffer_create(data, size, 0, &e);
    zip_t *zip = NULL;
    if (source != NULL) zip = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &e);
    if (zip == NULL) {
        zip_source_free(source);
        eg_status failed = fail_zip(err, zip_error_code_zip(&e));
        zip_error_fini(&e);
        return failed;
    }
    npz_reader r = {.zip = zip, .file_bytes = size, .bytes_left = max_total_bytes, .err = err};
    eg_status status = read_members(out, &r);
    zip_discard(zip);
    zip_error_fini(&e);
    return status;
}

eg_status eg_npz_read(eg_npz **out, const char *path, eg_error *err) {
    eg_file_view view;
    EG_TRY(eg_file_open(&view, path, max_total_bytes + ((size_t)1 << 20), err));
    eg_status status = eg_codec_npz_decode(out, view.data, view.size, err);
    if (status != EG_OK) status = eg_error_in(err, status, path);
    eg_file_close(&view);
    return status;
}

/* ---- writing ---- */

/* The local header of a member with the .npy header behind it, and what the central directory
 * repeats. */
typedef struct {
    eg_buffer head;
    uint32_t crc, size, offset; /* size: .npy header and data */
} npz_member;

/* The part that local header and central directory have in common: version needed to extra
 * length. */
static void put_common(eg_buffer *b, const npz_member *m, size_t name_bytes) {
    eg_codec_put_u16(b, 20);     /* version needed: 2.0 */
    eg_codec_put_u16(b, 0x0800); /* names are UTF-8 */
    eg_codec_put_u16(b, 0);      /* stored */
    eg_codec_put_u16(b, 0);      /* time and date: 1980-01-01 00:00, the smallest valid one */
    eg_codec_put_u16(b, 0x0021);
    eg_codec_put_u32(b, m->crc);
    eg_codec_put_u32(b, m->size);
    eg_codec_put_u32(b, m->size);
    eg_codec_put_u16(b, (unsigned)name_bytes);
    eg_codec_put_u16(b, 0); /* no extra field */
}

/* Sizes and CRC are known before the first byte is written: no data descriptors are needed. */
static eg_status build_member(npz_member *m, const eg_npy_array *array, size_t offset,
                              eg_error *err) {
    eg_buffer npy = {0};
    EG_TRY(eg_codec_npy_header_write(&npy, array, err));
    size_t size;
    size_t n_name = strlen(array->name);
    bool fits = eg_add(&size, npy.size, array->n_bytes) && size <= UINT32_MAX - 1 &&
                offset <= UINT32_MAX - 1 && n_name <= MAX_NAME_BYTES - 4;
    if (!fits) {
        eg_buffer_free(&npy);
        return eg_fail(err, EG_ERR_LIMIT, "%.64s: the arrays of one .npz must stay below 4 GiB",
                       array->name);
    }
    uLong crc = crc32_z(0, (const Bytef *)npy.data, npy.size);
    if (array->n_bytes > 0) crc = crc32_z(crc, array->data, array->n_bytes);
    m->crc = (uint32_t)crc;
    m->size = (uint32_t)size;
    m->offset = (uint32_t)offset;
    eg_buffer_add(&m->head, "PK\3\4", 4);
    put_common(&m->head, m, n_name + 4);
    eg_buffer_add(&m->head, array->name, n_name);
    eg_buffer_add(&m->head, ".npy", 4);
    eg_buffer_add(&m->head, npy.data, npy.size);
    bool failed = npy.failed || m->head.failed;
    eg_buffer_free(&npy);
    if (failed) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory to write the arrays");
    return EG_OK;
}

/* Central directory and its end record. */
static void put_directory(eg_buffer *b, const npz_member *members, const eg_npy_array *arrays,
                          size_t n, size_t offset) {
    for (size_t i = 0; i < n; i++) {
        size_t n_name = strlen(arrays[i].name);
        eg_buffer_add(b, "PK\1\2", 4);
        eg_codec_put_u16(b, 3 << 8 | 20); /* made by: Unix, 2.0 */
        put_common(b, &members[i], n_name + 4);
        eg_codec_put_u16(b, 0); /* comment, disk, internal attributes */
        eg_codec_put_u16(b, 0);
        eg_codec_put_u16(b, 0);
        eg_codec_put_u32(b, 0600u << 16); /* as NumPy's own writer */
        eg_codec_put_u32(b, members[i].offset);
        eg_buffer_add(b, arrays[i].name, n_name);
        eg_buffer_add(b, ".npy", 4);
    }
    uint32_t directory_bytes = (uint32_t)b->size;
    eg_buffer_add(b, "PK\5\6", 4);
    eg_codec_put_u32(b, 0); /* this disk, disk of the directory */
    eg_codec_put_u16(b, (unsigned)n);
    eg_codec_put_u16(b, (unsigned)n);
    eg_codec_put_u32(b, directory_bytes);
    eg_codec_put_u32(b, (uint32_t)offset);
    eg_codec_put_u16(b, 0); /* no comment */
}

static eg_status write_members(const char *path, npz_member *members, eg_part *parts,
                               eg_buffer *directory, const eg_npy_array *arrays, size_t n,
                               eg_error *err) {
    size_t offset = 0;
    for (size_t i = 0; i < n; i++) {
        EG_TRY(build_member(&members[i], &arrays[i], offset, err));
        parts[2 * i] = (eg_part){.data = members[i].head.data, .size = members[i].head.size};
        parts[2 * i + 1] = (eg_part){.data = arrays[i].data, .size = arrays[i].n_bytes};
        offset += members[i].head.size + arrays[i].n_bytes;
    }
    if (offset > UINT32_MAX - 1) {
        return eg_fail(err, EG_ERR_LIMIT, "the arrays of one .npz must stay below 4 GiB");
    }
    put_directory(directory, members, arrays, n, offset);
    if (directory->failed) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory to write the arrays");
    parts[2 * n] = (eg_part){.data = directory->data, .size = directory->size};
    return eg_file_write_atomic(path, parts, 2 * n + 1, err);
}

/* Names, dtypes and data are borrowed; large arrays are written from where they lie. */
eg_status eg_npz_write(const char *path, const eg_npy_array *arrays, size_t n, eg_error *err) {
    if (n > MAX_MEMBERS) return eg_fail(err, EG_ERR_LIMIT, "%s: too many arrays", path);
    npz_member *members = eg_calloc(n + 1, sizeof *members);
    eg_part *parts = eg_calloc(2 * n + 1, sizeof *parts);
    eg_buffer directory = {0};
    eg_status status = EG_ERR_NO_MEMORY;
    if (members == NULL || parts == NULL) {
        eg_fail(err, status, "%s: no memory to write the arrays", path);
    } else {
        status = write_members(path, members, parts, &directory, arrays, n, err);
    }
    for (size_t i = 0; members != NULL && i < n; i++) eg_buffer_free(&members[i].head);
    eg_buffer_free(&directory);
    eg_free(members);
    eg_free(parts);
    return status;
}
