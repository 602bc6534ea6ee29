/* .npz: a zip of .npy files. The directory and what is checked of it: zip_directory.c; written by
 * ourselves (stored, fixed date: byte-reproducible).
 *
 * Opening reads the headers of the arrays and no data. A stored array is a view into the file where
 * its elements lie aligned there, which bytes always do, so that data sets of many GiB cost address
 * space only; a deflated one is inflated when first asked for. The CRC is compared at that time and
 * not at opening, which would read the whole file from disk to list its names. Arrays above 4 GiB in
 * all are not written with zip64. Read first: npy.h, npy.c. */
#include "codec/npy.h"
#include "codec/utf8.h"
#include "codec/zip_directory.h"
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum { MAX_MEMBERS = 10000, MAX_NAME_BYTES = 200 };
static const size_t max_file_bytes = (size_t)1 << 40;
/* What one array may take of the heap: a deflated one, or one that must be moved to be aligned. */
static const size_t max_array_bytes = (size_t)4 << 30;

/* One member of the archive. */
typedef struct {
    eg_npy_array array; /* data NULL until loaded; descr "" when it is no array read here */
    const eg_zip_member *member;
    char *name;
    char descr[16];
    void *block; /* heap behind array.data; NULL: a view, or not loaded */
    bool loaded;
} npz_slot;

struct eg_npz {
    eg_file_view view; /* of the file; empty when the bytes are the caller's */
    char *path;        /* for messages; NULL when the bytes are the caller's */
    eg_zip_directory *zip;
    npz_slot *slots;
    size_t n;
};

void eg_npz_free(eg_npz *npz) {
    if (npz == NULL) return;
    for (size_t i = 0; i < npz->n; i++) {
        eg_free(npz->slots[i].name);
        eg_free(npz->slots[i].block);
    }
    eg_free(npz->slots);
    eg_codec_zip_close(npz->zip);
    eg_free(npz->path);
    eg_file_close(&npz->view);
    eg_free(npz);
}

size_t eg_npz_count(const eg_npz *npz) {
    return npz->n;
}

const eg_npy_array *eg_npz_at(const eg_npz *npz, size_t i) {
    return &npz->slots[i].array;
}

/* Linear: an .npz has a handful of arrays. */
static npz_slot *find_slot(const eg_npz *npz, const char *name) {
    for (size_t i = 0; i < npz->n; i++)
        if (strcmp(npz->slots[i].name, name) == 0) return &npz->slots[i];
    return NULL;
}

const eg_npy_array *eg_npz_find(const eg_npz *npz, const char *name) {
    const npz_slot *slot = find_slot(npz, name);
    return slot != NULL ? &slot->array : NULL;
}

/* ---- reading ---- */

/* "x.npy" is the array x; other members are listed by their whole names, as numpy.load does. */
static bool is_array_name(const char *name, size_t n) {
    return n > 4 && strcmp(name + n - 4, ".npy") == 0;
}

/* The header of the member's array. Errors begin with the member's name. */
static eg_status read_header(eg_codec_npy_header *out, const eg_zip_member *m, uint8_t *room,
                             eg_error *err) {
    const uint8_t *bytes;
    size_t n;
    char shown[120];
    eg_codec_printable(shown, sizeof shown, m->name, strlen(m->name));
    if (!is_array_name(m->name, strlen(m->name)))
        return eg_fail(err, EG_ERR_INPUT, "member '%s' is not a .npy array", shown);
    EG_TRY(eg_codec_zip_peek(&bytes, &n, room, EG_NPY_HEAD_BYTES, m, err));
    eg_status status = eg_codec_npy_parse_head(out, bytes, n, m->n_bytes, err);
    if (status == EG_OK) return EG_OK;
    if (err != NULL) err->offset = -1; /* it was one of the member, not of the file */
    return eg_error_in(err, status, shown);
}

/* Name, dtype and shape; what is wrong with the member is said when it is asked for. */
static eg_status list_member(eg_npz *npz, const eg_zip_member *m, uint8_t *room, eg_error *err) {
    npz_slot *slot = &npz->slots[npz->n];
    eg_codec_npy_header header = {0};
    eg_status status = read_header(&header, m, room, NULL);
    size_t n = strlen(m->name);
    if (status != EG_ERR_NO_MEMORY)
        slot->name = eg_strndup(m->name, is_array_name(m->name, n) ? n - 4 : n);
    if (slot->name == NULL)
        return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the list of arrays");
    npz->n++;
    if (find_slot(npz, slot->name) != slot)
        return eg_fail(err, EG_ERR_INPUT, "two members are called '%s'",
                       eg_codec_printable((char[80]){0}, 80, slot->name, strlen(slot->name)));
    slot->member = m;
    slot->array = (eg_npy_array){.name = slot->name, .descr = slot->descr};
    if (status != EG_OK) return EG_OK;
    memcpy(slot->descr, header.descr, sizeof slot->descr);
    slot->array.n_dims = header.n_dims;
    slot->array.n_bytes = header.n_bytes;
    memcpy(slot->array.dims, header.dims, sizeof header.dims);
    return EG_OK;
}

/* Bytes behind `npz->zip`'s archive must outlive *npz. */
static eg_status list_members(eg_npz *npz, const void *data, size_t size, eg_error *err) {
    if (size == 0) return eg_fail_at(err, EG_ERR_INPUT, 0, "the file is empty");
    if (size < 22 || memcmp(data, "PK", 2) != 0)
        return eg_fail_at(err, EG_ERR_INPUT, 0, "not an .npz file (not a zip archive)");
    EG_TRY(eg_codec_zip_open(&npz->zip, data, size, err));
    size_t n = npz->zip->n;
    if (n > MAX_MEMBERS)
        return eg_fail(err, EG_ERR_LIMIT, "%zu members, the limit is %d", n, MAX_MEMBERS);
    npz->slots = eg_calloc(n, sizeof *npz->slots);
    uint8_t *room = eg_malloc(EG_NPY_HEAD_BYTES);
    eg_status status = EG_OK;
    if (npz->slots == NULL || room == NULL)
        status = eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the list of arrays");
    for (size_t i = 0; status == EG_OK && i < n; i++)
        status = list_member(npz, &npz->zip->members[i], room, err);
    eg_free(room);
    return status;
}

eg_status eg_codec_npz_decode(eg_npz **out, const void *data, size_t size, eg_error *err) {
    eg_npz *npz = eg_calloc(1, sizeof *npz);
    if (npz == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the .npz file");
    eg_status status = list_members(npz, data, size, err);
    if (status == EG_OK)
        *out = npz;
    else
        eg_npz_free(npz);
    return status;
}

eg_status eg_npz_read(eg_npz **out, const char *path, eg_error *err) {
    eg_file_view view;
    eg_npz *npz = NULL;
    EG_TRY(eg_file_open(&view, path, max_file_bytes, err));
    eg_status status = eg_codec_npz_decode(&npz, view.data, view.size, err);
    if (status != EG_OK) {
        eg_file_close(&view);
        return eg_error_in(err, status, path);
    }
    npz->view = view;
    npz->path = eg_strdup(path);
    if (npz->path == NULL) {
        eg_npz_free(npz);
        return eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory for the .npz file", path);
    }
    *out = npz;
    return EG_OK;
}

/* ---- data ---- */

/* What the elements must be aligned to: their size; the characters of texts. */
static size_t alignment_of(const eg_codec_npy_header *header) {
    if (header->descr[1] == 'U') return 4;
    return header->descr[1] == 'S' ? 1 : header->item_bytes;
}

static eg_status fail_large(const npz_slot *slot, const char *how, const char *hint,
                            eg_error *err) {
    return eg_fail(err, EG_ERR_LIMIT, "array '%.64s' is %s and has %zu bytes, the limit is %zu%s",
                   slot->name, how, slot->member->n_bytes, max_array_bytes, hint);
}

/* A stored member: its check sum, then where it lies, or a copy when that is not aligned. */
static eg_status load_stored(npz_slot *slot, const eg_codec_npy_header *header, eg_error *err) {
    const eg_zip_member *m = slot->member;
    if (eg_codec_crc32(m->data, m->n_bytes) != m->crc)
        return eg_fail_at(
            err, EG_ERR_INPUT, (int64_t)m->offset,
            "array '%.64s': its check sum (CRC32) is wrong: the data is damaged - get "
            "the file again",
            slot->name);
    const uint8_t *data = m->data + header->data_offset;
    if ((uintptr_t)data % alignment_of(header) != 0 && header->n_bytes > 0) {
        if (header->n_bytes > max_array_bytes)
            return fail_large(slot, "not aligned in the file", " - store it alone in a file", err);
        slot->block = eg_malloc(header->n_bytes);
        if (slot->block == NULL)
            return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for array '%.64s' of %zu bytes",
                           slot->name, header->n_bytes);
        data = memcpy(slot->block, data, header->n_bytes);
    }
    slot->array.data = data;
    return EG_OK;
}

/* A deflated member: the block holds the whole .npy file. NumPy pads its header to 64 bytes; where
 * another writer did not, the data are moved to where the kernels like them. */
static eg_status load_deflated(npz_slot *slot, const eg_codec_npy_header *header, eg_error *err) {
    const uint8_t *bytes;
    EG_TRY(eg_codec_zip_unpack(&bytes, &slot->block, slot->member, err));
    uint8_t *data = (uint8_t *)slot->block + header->data_offset;
    if (header->data_offset % 64 != 0) data = memmove(slot->block, data, header->n_bytes);
    slot->array.data = data;
    return EG_OK;
}

static eg_status load(npz_slot *slot, eg_error *err) {
    eg_codec_npy_header header;
    if (slot->member->deflated && slot->member->n_bytes > max_array_bytes)
        return fail_large(slot, "deflated",
                          " - unpack the .npz, and pack it again without compression (zip -0)",
                          err);
    uint8_t *room = eg_malloc(EG_NPY_HEAD_BYTES);
    if (room == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory to read an array");
    eg_status status = read_header(&header, slot->member, room, err);
    eg_free(room);
    EG_TRY(status);
    EG_TRY(slot->member->deflated ? load_deflated(slot, &header, err)
                                  : load_stored(slot, &header, err));
    slot->loaded = true;
    return EG_OK;
}

/* The names that there are, for the message. */
static eg_status fail_absent(const eg_npz *npz, const char *name, eg_error *err) {
    char have[160] = "", one[40];
    size_t n = 0;
    for (size_t i = 0; i < npz->n && n + sizeof one + 8 < sizeof have; i++) {
        eg_codec_printable(one, sizeof one, npz->slots[i].name, strlen(npz->slots[i].name));
        n += (size_t)snprintf(have + n, sizeof have - n, "%s%s", i > 0 ? ", " : "", one);
    }
    return eg_fail(err, EG_ERR_NOT_FOUND, "no array '%.64s' in the .npz; it has %s", name, have);
}

eg_status eg_npz_get(const eg_npy_array **out, eg_npz *npz, const char *name, eg_error *err) {
    npz_slot *slot = find_slot(npz, name);
    eg_status status = EG_OK;
    if (slot == NULL)
        status = fail_absent(npz, name, err);
    else if (!slot->loaded)
        status = load(slot, err);
    if (status == EG_OK) *out = &slot->array;
    if (status != EG_OK && npz->path != NULL) status = eg_error_in(err, status, npz->path);
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
