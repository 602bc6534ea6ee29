/* Reader of a zip archive's central directory for the torch container and .npz (formats.md 1.3;
 * PKWARE APPNOTE 6.3).
 *
 * libzip is not used: the rules below look at local headers and at overlaps, which it does not show. One archive must mean one thing to every reader, so whatever two readers could understand
 * differently is refused. Unpacking and checksums: zip_member.c. */
#include "codec/zip_directory.h"
#include "codec/utf8.h"

#include <stdlib.h>
#include <string.h>

enum {
    LOCAL_BYTES = 30,
    CENTRAL_BYTES = 46,
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR_BYTES = 20,
    FLAG_DESCRIPTOR = 0x0008, /* sizes and CRC follow the data */
    FLAGS_ALLOWED = 0x080E    /* descriptor, UTF-8 names, deflate's two level bits */
};
static const uint32_t local_magic = 0x04034b50, central_magic = 0x02014b50, end_magic = 0x06054b50,
                      end64_magic = 0x06064b50, locator_magic = 0x07064b50,
                      descriptor_magic = 0x08074b50;
/* Deflate cannot do better than 1032:1; a member that claims more lies. */
static const size_t max_ratio = 1032;
/* What re-zipped weights may unpack to: far more than any network compresses, far less than a
 * bomb. */
static const size_t unpacked_floor = (size_t)64 << 20, unpacked_factor = 16;

/* Where the directory is and how much it holds. */
typedef struct {
    const uint8_t *data;
    size_t size;
    size_t directory_offset, directory_bytes, n_members;
} archive;

/* Zip is little endian, at any address. */
static uint16_t get16(const uint8_t *p) {
    return (uint16_t)(p[0] | p[1] << 8);
}
static uint32_t get32(const uint8_t *p) {
    return get16(p) | (uint32_t)get16(p + 2) << 16;
}
static uint64_t get64(const uint8_t *p) {
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

/* Member names are shown as printable ASCII: a hostile one could hold escape sequences. */
static eg_status refuse(eg_error *err, size_t offset, const char *name, const char *rule) {
    char shown[120];
    if (name == NULL)
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)offset, "zip: %s, at byte %zu", rule, offset);
    eg_codec_printable(shown, sizeof shown, name, strlen(name));
    return eg_fail_at(err, EG_ERR_INPUT, (int64_t)offset, "zip member '%s': %s, at byte %zu", shown,
                      rule, offset);
}

/* ---- end records ---- */

/* A field of the 16/32-bit end record either agrees with zip64 or is all ones ("see zip64"). */
static bool agrees(uint64_t small, uint64_t all_ones, uint64_t large) {
    return small == large || small == all_ones;
}

/* torch writes zip64 records even for tiny archives. There is no gap between directory, zip64
 * record, locator and end record, so each must begin where the one before ends. */
static eg_status read_end64(archive *a, size_t locator, const uint8_t *end, eg_error *err) {
    const uint8_t *l = a->data + locator;
    uint64_t at = get64(l + 8);
    if (get32(l + 4) != 0 || get32(l + 16) != 1)
        return refuse(err, locator, NULL, "archives in several parts are not read");
    if (locator < END64_BYTES || at != locator - END64_BYTES)
        return refuse(err, locator, NULL, "the zip64 end record is not where its locator says");
    const uint8_t *e = a->data + at;
    if (get32(e) != end64_magic || get64(e + 4) != END64_BYTES - 12 || get32(e + 16) != 0 ||
        get32(e + 20) != 0 || get64(e + 24) != get64(e + 32))
        return refuse(err, at, NULL, "the zip64 end record is damaged");
    uint64_t n = get64(e + 32), bytes = get64(e + 40), offset = get64(e + 48);
    if (!agrees(get16(end + 10), 0xFFFF, n) || !agrees(get32(end + 12), 0xFFFFFFFF, bytes) ||
        !agrees(get32(end + 16), 0xFFFFFFFF, offset))
        return refuse(err, at, NULL, "the two end records contradict each other");
    if (offset > at || bytes != at - offset)
        return refuse(err, at, NULL, "the directory does not end where the end record begins");
    a->n_members = (size_t)n;
    a->directory_offset = (size_t)offset;
    a->directory_bytes = (size_t)bytes;
    return EG_OK;
}

/* The end record is where everything starts; two readers that find different ones see different
 * archives. */
static eg_status read_end(archive *a, eg_error *err) {
    if (a->size < END_BYTES) return refuse(err, a->size, NULL, "the file is cut off");
    size_t at = a->size - END_BYTES;
    const uint8_t *e = a->data + at;
    /* A comment could hide a second end record, and torch writes none: the record must end the
     * file. */
    if (get32(e) != end_magic || get16(e + 20) != 0)
        return refuse(err, at, NULL,
                      "no end record at the end of the file - cut off, or something was appended");
    if (get16(e + 4) != 0 || get16(e + 6) != 0 || get16(e + 8) != get16(e + 10))
        return refuse(err, at, NULL, "archives in several parts are not read");
    if (at >= LOCATOR_BYTES && get32(a->data + at - LOCATOR_BYTES) == locator_magic)
        return read_end64(a, at - LOCATOR_BYTES, e, err);
    a->n_members = get16(e + 10);
    a->directory_bytes = get32(e + 12);
    a->directory_offset = get32(e + 16);
    if (a->directory_offset > at || a->directory_bytes != at - a->directory_offset)
        return refuse(err, at, NULL, "the directory does not end where the end record begins");
    return EG_OK;
}

/* ---- one member ---- */

/* No path that leaves its folder on any system, no byte that ends a C string early. */
static bool name_is_safe(const uint8_t *name, size_t n) {
    if (n == 0 || name[0] == '/' || !eg_codec_utf8_valid(name, n)) return false;
    for (size_t i = 0; i < n; i++)
        if (name[i] < 0x20 || name[i] == '\\' || name[i] == 0x7F) return false;
    for (size_t i = 0; i < n;) {
        const uint8_t *slash = memchr(name + i, '/', n - i);
        size_t length = slash != NULL ? (size_t)(slash - name) - i : n - i;
        if (length == 2 && name[i] == '.' && name[i + 1] == '.') return false;
        i += length + 1;
    }
    return true;
}

/* Replace each all-ones field by its zip64 value. Walks every extra field, so a malformed one is
 * noticed. */
static bool read_zip64_extra(const uint8_t *extra, size_t n, uint64_t *const fields[3],
                             uint32_t all_ones) {
    bool seen = false;
    while (n >= 4) {
        size_t id = get16(extra), length = get16(extra + 2);
        if (length > n - 4) return false;
        if (id == 1) {
            if (seen) return false;
            seen = true;
            size_t used = 0;
            for (int i = 0; i < 3; i++) {
                if (*fields[i] != all_ones) continue;
                if (used + 8 > length) return false;
                *fields[i] = get64(extra + 4 + used);
                used += 8;
            }
        }
        extra += 4 + length;
        n -= 4 + length;
    }
    return n == 0;
}

/* The 16- or 24-byte record behind the data repeats CRC and sizes. Returns its length, 0 when it
 * disagrees. */
static size_t descriptor_bytes(const uint8_t *d, size_t n, const eg_zip_member *m) {
    if (n < 16 || get32(d) != descriptor_magic || get32(d + 4) != m->crc) return 0;
    if (n >= 24 && get64(d + 8) == m->packed_bytes && get64(d + 16) == m->n_bytes) return 24;
    return get32(d + 8) == m->packed_bytes && get32(d + 12) == m->n_bytes ? 16 : 0;
}

/* Find the data through the local header, whose name and numbers must be those of the directory
 * entry `c`. */
static eg_status read_local(const archive *a, eg_zip_member *m, const uint8_t *c, eg_error *err) {
    size_t at = m->header_offset, limit = a->directory_offset;
    if (at > limit || limit - at < LOCAL_BYTES)
        return refuse(err, at < a->size ? at : a->size, m->name,
                      "its local header lies outside the file's data");
    const uint8_t *l = a->data + at;
    size_t name_bytes = get16(l + 26), extra_bytes = get16(l + 28);
    if (get32(l) != local_magic) return refuse(err, at, m->name, "it has no local header");
    if (limit - at - LOCAL_BYTES < name_bytes + extra_bytes)
        return refuse(err, at, m->name, "its local header runs into the directory");
    if (name_bytes != get16(c + 28) || memcmp(l + LOCAL_BYTES, c + CENTRAL_BYTES, name_bytes) != 0)
        return refuse(err, at, m->name, "local header and directory name it differently");
    if (get16(l + 6) != get16(c + 8) || get16(l + 8) != get16(c + 10))
        return refuse(err, at, m->name, "local header and directory disagree on flags or method");
    uint64_t packed = get32(l + 18), unpacked = get32(l + 22), unused = 0;
    uint64_t *const fields[3] = {&unpacked, &packed, &unused};
    if (!read_zip64_extra(l + LOCAL_BYTES + name_bytes, extra_bytes, fields, 0xFFFFFFFF))
        return refuse(err, at, m->name, "an extra field of its local header is damaged");
    bool described = get16(c + 8) & FLAG_DESCRIPTOR;
    bool blank = packed == 0 && unpacked == 0 && get32(l + 14) == 0;
    bool same = packed == m->packed_bytes && unpacked == m->n_bytes && get32(l + 14) == m->crc;
    if (!same && !(described && blank))
        return refuse(err, at, m->name, "local header and directory disagree on size or checksum");
    m->offset = at + LOCAL_BYTES + name_bytes + extra_bytes;
    if (m->packed_bytes > limit - m->offset)
        return refuse(err, at, m->name, "its data runs over the end of the file's data");
    m->data = a->data + m->offset;
    m->end = m->offset + m->packed_bytes;
    if (described) {
        size_t length = descriptor_bytes(a->data + m->end, limit - m->end, m);
        if (length == 0) return refuse(err, m->end, m->name, "its data descriptor is damaged");
        m->end += length;
    }
    return EG_OK;
}

/* One entry of the directory at `*at`, which moves on. */
static eg_status read_member(const archive *a, eg_zip_directory *zip, size_t *at, eg_error *err) {
    size_t left = a->directory_offset + a->directory_bytes - *at;
    const uint8_t *c = a->data + *at;
    if (left < CENTRAL_BYTES || get32(c) != central_magic)
        return refuse(err, *at, NULL, "the directory is damaged");
    size_t name_bytes = get16(c + 28), extra_bytes = get16(c + 30), comment_bytes = get16(c + 32);
    if (left - CENTRAL_BYTES < name_bytes + extra_bytes + comment_bytes)
        return refuse(err, *at, NULL, "an entry runs over the end of the directory");
    if (!name_is_safe(c + CENTRAL_BYTES, name_bytes))
        return refuse(err, *at, NULL, "a member's name is empty, not text, or leaves its folder");
    eg_zip_member *m = &zip->members[zip->n];
    m->name = eg_arena_strdup(zip->arena, (const char *)c + CENTRAL_BYTES, name_bytes);
    if (m->name == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "zip: no memory for the directory");
    uint16_t flags = get16(c + 8), method = get16(c + 10);
    if (flags & 0x2041) return refuse(err, *at, m->name, "encrypted members are not read");
    if (flags & ~FLAGS_ALLOWED) return refuse(err, *at, m->name, "it has flags nobody writes");
    if (method != 0 && method != 8) return refuse(err, *at, m->name, "neither stored nor deflated");
    uint64_t packed = get32(c + 20), unpacked = get32(c + 24), header = get32(c + 42);
    uint64_t *const fields[3] = {&unpacked, &packed, &header};
    if (!read_zip64_extra(c + CENTRAL_BYTES + name_bytes, extra_bytes, fields, 0xFFFFFFFF) ||
        get16(c + 34) != 0)
        return refuse(err, *at, m->name, "an extra field of its directory entry is damaged");
    if (header > SIZE_MAX || packed > a->size || unpacked / max_ratio > packed + 1)
        return refuse(err, *at, m->name, "its size cannot be true");
    m->header_offset = (size_t)header;
    m->packed_bytes = (size_t)packed;
    m->n_bytes = (size_t)unpacked;
    m->crc = get32(c + 16);
    m->deflated = method == 8;
    if (!m->deflated && packed != unpacked)
        return refuse(err, *at, m->name, "it is stored, but its two sizes differ");
    EG_TRY(read_local(a, m, c, err));
    *at += CENTRAL_BYTES + name_bytes + extra_bytes + comment_bytes;
    zip->n++;
    return EG_OK;
}

/* ---- rules about all members ---- */

static int compare_names(const void *a, const void *b) {
    const eg_zip_member *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* By where the members are in the file. */
static int compare_offsets(const void *a, const void *b) {
    const eg_zip_member *const *x = a, *const *y = b;
    return ((*x)->header_offset > (*y)->header_offset) -
           ((*x)->header_offset < (*y)->header_offset);
}

/* Sorting finds overlaps and equal names among neighbours. The first header must be at byte 0:
 * readers that walk the file from its front must meet what the directory lists. */
static eg_status check_members(eg_zip_directory *zip, eg_error *err) {
    const eg_zip_member **order = zip->by_name;
    for (size_t i = 0; i < zip->n; i++) {
        order[i] = &zip->members[i];
        if (!eg_add(&zip->unpacked_bytes, zip->unpacked_bytes, order[i]->n_bytes))
            return refuse(err, order[i]->header_offset, order[i]->name, "its size cannot be true");
    }
    qsort(order, zip->n, sizeof *order, compare_offsets);
    if (order[0]->header_offset != 0)
        return refuse(err, 0, NULL, "the first local header is not in the directory");
    for (size_t i = 1; i < zip->n; i++)
        if (order[i]->header_offset < order[i - 1]->end)
            return refuse(err, order[i]->header_offset, order[i]->name,
                          "it overlaps another member");
    qsort(order, zip->n, sizeof *order, compare_names);
    for (size_t i = 1; i < zip->n; i++)
        if (strcmp(order[i]->name, order[i - 1]->name) == 0)
            return refuse(err, order[i]->header_offset, order[i]->name,
                          "two members have this name");
    return EG_OK;
}

/* The directory holds exactly the entries that the end record counts. */
static eg_status read_members(const archive *a, eg_zip_directory *zip, eg_error *err) {
    size_t at = a->directory_offset;
    for (size_t i = 0; i < a->n_members; i++) EG_TRY(read_member(a, zip, &at, err));
    if (at != a->directory_offset + a->directory_bytes)
        return refuse(err, at, NULL, "the directory holds more than its number of entries");
    return check_members(zip, err);
}

/* The count is checked against the directory's length before anything of its size is allocated. */
eg_status eg_codec_zip_open(eg_zip_directory **out, const uint8_t *data, size_t size,
                            eg_error *err) {
    archive a = {.data = data, .size = size};
    EG_TRY(read_end(&a, err));
    if (a.n_members > EG_ZIP_MAX_MEMBERS)
        return eg_fail(err, EG_ERR_LIMIT, "zip: %zu members, more than %d", a.n_members,
                       EG_ZIP_MAX_MEMBERS);
    if (a.n_members == 0 || a.directory_bytes / CENTRAL_BYTES < a.n_members)
        return refuse(err, a.directory_offset, NULL, "the directory is empty or too short");
    eg_zip_directory *zip = eg_calloc(1, sizeof *zip);
    if (zip != NULL) {
        zip->arena = eg_arena_new((size_t)16 << 10, 0);
        zip->members = eg_calloc(a.n_members, sizeof *zip->members);
        zip->by_name = eg_calloc(a.n_members, sizeof *zip->by_name);
    }
    eg_status status = EG_ERR_NO_MEMORY;
    if (zip == NULL || zip->arena == NULL || zip->members == NULL || zip->by_name == NULL)
        eg_fail(err, status, "zip: no memory for a directory of %zu members", a.n_members);
    else
        status = read_members(&a, zip, err);
    if (status == EG_OK)
        *out = zip;
    else
        eg_codec_zip_close(zip);
    return status;
}

eg_status eg_codec_zip_bound(const eg_zip_directory *zip, size_t file_bytes, eg_error *err) {
    if (zip->unpacked_bytes / unpacked_factor <= file_bytes + unpacked_floor / unpacked_factor)
        return EG_OK;
    return eg_fail(err, EG_ERR_LIMIT,
                   "zip: the members unpack to more than %zu times the file's size",
                   unpacked_factor);
}

void eg_codec_zip_close(eg_zip_directory *zip) {
    if (zip == NULL) return;
    eg_free(zip->members);
    eg_free(zip->by_name);
    eg_arena_free(zip->arena);
    eg_free(zip);
}

const eg_zip_member *eg_codec_zip_find(const eg_zip_directory *zip, const char *name) {
    eg_zip_member wanted = {.name = name};
    const eg_zip_member *key = &wanted;
    const eg_zip_member **found =
        bsearch(&key, zip->by_name, zip->n, sizeof *zip->by_name, compare_names);
    return found != NULL ? *found : NULL;
}
