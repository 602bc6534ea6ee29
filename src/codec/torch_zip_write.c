/* Writer of torch's zip container (formats.md 1.3 and appendix A): what torch.load(weights_only=True)
 * reads into an OrderedDict that load_state_dict(strict=True) takes.
 *
 *   archive/data.pkl | archive/byteorder | archive/data/0 ... | archive/version | directory
 *
 * Every storage is stored, begins at a multiple of 64 bytes (the padding is an extra field "FB", as
 * torch's own writer does it, which lets torch.load map the file), and has its CRC32. No dates, no
 * serialization id: the same tensors give the same bytes. Nothing is copied: headers are built first,
 * then all is written from where it lies. The reader is torch_zip.c. */
#include "codec/state_dict.h"
#include "codec/zip_directory.h"

#include <string.h>

enum {
    ALIGNMENT = 64,
    NAME_BYTES = 40,     /* "archive/data/99999" fits */
    N_FIXED = 3,         /* data.pkl, byteorder, version */
    MAX_TENSORS = 90000, /* of our reader: members of an archive, slots of a memo */
    BATCH = 1000,        /* entries of a SETITEMS, as Python's pickler does it */
    FLAG_UTF8 = 0x0800,
    VERSION_PLAIN = 20, /* of the zip format: 2.0, and 4.5 where zip64 fields are used */
    VERSION_ZIP64 = 45,
    DATE_1980 = 0x0021 /* 1980-01-01, the smallest valid one */
};
static const uint32_t all_ones = 0xFFFFFFFF; /* "see the zip64 field" */

/* ---- data.pkl ---- */

/* Fixed slots of the memo; the names of the tensors follow. */
enum { SLOT_ORDERED_DICT, SLOT_REBUILD, SLOT_STORAGE, SLOT_CPU, SLOT_CLASS };
enum { SLOT_NAMES = SLOT_CLASS + EG_DTYPE_COUNT };

static const char *const storage_classes[EG_DTYPE_COUNT] = {
    [EG_DTYPE_F32] = "FloatStorage", [EG_DTYPE_F64] = "DoubleStorage",
    [EG_DTYPE_F16] = "HalfStorage",  [EG_DTYPE_BF16] = "BFloat16Storage",
    [EG_DTYPE_I64] = "LongStorage",  [EG_DTYPE_I32] = "IntStorage",
    [EG_DTYPE_I16] = "ShortStorage", [EG_DTYPE_I8] = "CharStorage",
    [EG_DTYPE_U8] = "ByteStorage",   [EG_DTYPE_BOOL] = "BoolStorage",
};

typedef struct {
    eg_buffer out;
    bool known[SLOT_NAMES]; /* slots that were written */
} pickler;

static void op(pickler *p, char code) {
    eg_buffer_add(&p->out, &code, 1);
}

/* BINPUT or LONG_BINPUT. */
static void put_memo(pickler *p, uint32_t slot) {
    op(p, slot < 256 ? 'q' : 'r');
    if (slot < 256)
        op(p, (char)slot);
    else
        eg_codec_put_u32(&p->out, slot);
}

/* GLOBAL the first time, BINGET later. */
static void put_global(pickler *p, int slot, const char *module, const char *name) {
    if (p->known[slot]) {
        op(p, 'h');
        op(p, (char)slot);
        return;
    }
    eg_buffer_printf(&p->out, "c%s\n%s\n", module, name);
    put_memo(p, (uint32_t)slot);
    p->known[slot] = true;
}

static void put_text(pickler *p, const char *text) {
    op(p, 'X');
    eg_codec_put_u32(&p->out, (uint32_t)strlen(text));
    eg_buffer_add(&p->out, text, strlen(text));
}

/* A word that comes again for each tensor. */
static void put_word(pickler *p, int slot, const char *word) {
    if (p->known[slot]) {
        op(p, 'h');
        op(p, (char)slot);
        return;
    }
    put_text(p, word);
    put_memo(p, (uint32_t)slot);
    p->known[slot] = true;
}

/* The shortest of BININT1, BININT2, BININT, LONG1; `value` is not negative. */
static void put_count(pickler *p, int64_t value) {
    if (value < 256) {
        op(p, 'K');
        op(p, (char)value);
    } else if (value < 65536) {
        op(p, 'M');
        eg_codec_put_u16(&p->out, (unsigned)value);
    } else if (value <= INT32_MAX) {
        op(p, 'J');
        eg_codec_put_u32(&p->out, (uint32_t)value);
    } else {
        eg_buffer_add(&p->out, "\x8a\x08", 2);
        eg_codec_put_u64(&p->out, (uint64_t)value);
    }
}

/* EMPTY_TUPLE, TUPLE1 to TUPLE3, or MARK ... TUPLE. */
static void put_counts(pickler *p, const int64_t *values, int n) {
    static const char *const closing[] = {")", "\x85", "\x86", "\x87"};
    if (n > 3) op(p, '(');
    for (int i = 0; i < n; i++) put_count(p, values[i]);
    eg_buffer_add(&p->out, n > 3 ? "t" : closing[n], 1);
}

static void put_empty_ordered_dict(pickler *p) {
    put_global(p, SLOT_ORDERED_DICT, "collections", "OrderedDict");
    eg_buffer_add(&p->out, ")R", 2);
}

/* _rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict()) under its name. */
static void put_tensor(pickler *p, const eg_tensor *t, size_t index) {
    char key[24];
    int64_t strides[EG_MAX_DIMS];
    put_text(p, t->name);
    put_memo(p, SLOT_NAMES + (uint32_t)index); /* also keeps reads of the memo per write low */
    put_global(p, SLOT_REBUILD, "torch._utils", "_rebuild_tensor_v2");
    eg_buffer_add(&p->out, "((", 2);
    put_word(p, SLOT_STORAGE, "storage");
    put_global(p, SLOT_CLASS + (int)t->dtype, "torch", storage_classes[t->dtype]);
    snprintf(key, sizeof key, "%zu", index);
    put_text(p, key);
    put_word(p, SLOT_CPU, "cpu");
    put_count(p, (int64_t)eg_tensor_count(t));
    eg_buffer_add(&p->out, "tQK\0", 4); /* BINPERSID, offset 0 */
    eg_codec_dense_strides(strides, t->dims, t->n_dims);
    for (int i = 0; i < t->n_dims; i++)
        if (strides[i] == 0) strides[i] = 1; /* behind a side of 0: torch counts it as 1 */
    put_counts(p, t->dims, t->n_dims);
    put_counts(p, strides, t->n_dims);
    op(p, '\x89');
    put_empty_ordered_dict(p);
    eg_buffer_add(&p->out, "tR", 2);
}

/* The dict's attribute _metadata = OrderedDict({"": {"version": 2}}), as nn.Module.state_dict leaves it there: torchvision's
 * MNASNet refuses a state dict without a version, and other networks ask nothing of the outermost module's. */
static void put_metadata(pickler *p) {
    op(p, '}');
    put_text(p, "_metadata");
    put_empty_ordered_dict(p);
    put_text(p, "");
    op(p, '}');
    put_text(p, "version");
    put_count(p, 2);
    eg_buffer_add(&p->out, "sssb", 4); /* three SETITEM, from the inside out, BUILD */
}

static void write_pickle(pickler *p, const eg_tensor *tensors, size_t n) {
    eg_buffer_add(&p->out, "\x80\2", 2);
    put_empty_ordered_dict(p);
    for (size_t i = 0; i < n; i++) {
        if (i % BATCH == 0) op(p, '(');
        put_tensor(p, &tensors[i], i);
        if (i % BATCH == BATCH - 1 || i == n - 1) op(p, 'u');
    }
    put_metadata(p);
    op(p, '.');
}

/* ---- the archive ---- */

typedef struct {
    char name[NAME_BYTES];
    const void *data;
    size_t n_bytes;
    uint32_t crc;
    uint64_t header_offset;             /* in the file */
    size_t header_begin, header_length; /* in `headers` */
} record;

typedef struct {
    record *records;
    size_t n;
    eg_buffer headers, directory;
    uint64_t offset; /* bytes of the file so far */
} archive;

static void set_record(record *r, const char *name, const void *data, size_t n_bytes) {
    snprintf(r->name, sizeof r->name, "archive/%s", name);
    r->data = data;
    r->n_bytes = n_bytes;
}

static uint32_t capped(uint64_t v) {
    return v < all_ones ? (uint32_t)v : all_ones;
}

/* The fields that local header and directory entry share: version to the length of the name. */
static void put_common(eg_buffer *b, const record *r, bool zip64) {
    eg_codec_put_u16(b, zip64 ? VERSION_ZIP64 : VERSION_PLAIN);
    eg_codec_put_u16(b, FLAG_UTF8);
    eg_codec_put_u16(b, 0); /* stored */
    eg_codec_put_u16(b, 0); /* time */
    eg_codec_put_u16(b, DATE_1980);
    eg_codec_put_u32(b, r->crc);
    eg_codec_put_u32(b, capped(r->n_bytes)); /* packed, unpacked */
    eg_codec_put_u32(b, capped(r->n_bytes));
    eg_codec_put_u16(b, (unsigned)strlen(r->name));
}

/* Local header with the padding that brings the data to a multiple of 64 bytes. */
static void put_local(archive *a, record *r) {
    eg_buffer *b = &a->headers;
    bool zip64 = r->n_bytes >= all_ones;
    r->header_begin = b->size;
    r->header_offset = a->offset;
    uint64_t begin = a->offset + 30 + strlen(r->name) + (zip64 ? 20 : 0) + 4;
    unsigned padding = (unsigned)((ALIGNMENT - begin % ALIGNMENT) % ALIGNMENT);
    eg_buffer_add(b, "PK\3\4", 4);
    put_common(b, r, zip64);
    eg_codec_put_u16(b, (zip64 ? 20 : 0) + 4 + padding);
    eg_buffer_add(b, r->name, strlen(r->name));
    if (zip64) {
        eg_codec_put_u16(b, 1);
        eg_codec_put_u16(b, 16);
        eg_codec_put_u64(b, r->n_bytes); /* unpacked, packed */
        eg_codec_put_u64(b, r->n_bytes);
    }
    eg_buffer_add(b, "FB", 2);
    eg_codec_put_u16(b, padding);
    for (unsigned i = 0; i < padding; i++) eg_buffer_add(b, "Z", 1);
    r->header_length = b->size - r->header_begin;
    a->offset += r->header_length + r->n_bytes;
}

/* Entry of the directory; 64-bit fields only where 32 bits are too few. */
static void put_central(eg_buffer *b, const record *r) {
    bool long_size = r->n_bytes >= all_ones, long_offset = r->header_offset >= all_ones;
    unsigned extra = (long_size ? 16u : 0u) + (long_offset ? 8u : 0u);
    eg_buffer_add(b, "PK\1\2", 4);
    eg_codec_put_u16(b, VERSION_ZIP64);
    put_common(b, r, extra > 0);
    eg_codec_put_u16(b, extra > 0 ? 4 + extra : 0);
    eg_codec_put_u16(b, 0); /* comment, disk, attributes inside and outside */
    eg_codec_put_u16(b, 0);
    eg_codec_put_u16(b, 0);
    eg_codec_put_u32(b, 0);
    eg_codec_put_u32(b, capped(r->header_offset));
    eg_buffer_add(b, r->name, strlen(r->name));
    if (extra == 0) return;
    eg_codec_put_u16(b, 1);
    eg_codec_put_u16(b, extra);
    if (long_size) {
        eg_codec_put_u64(b, r->n_bytes);
        eg_codec_put_u64(b, r->n_bytes);
    }
    if (long_offset) eg_codec_put_u64(b, r->header_offset);
}

/* The directory and its three end records; torch writes the zip64 ones even for tiny archives. */
static void put_directory(archive *a) {
    eg_buffer *b = &a->directory;
    for (size_t i = 0; i < a->n; i++) put_central(b, &a->records[i]);
    uint64_t bytes = b->size, end = a->offset + bytes;
    eg_buffer_add(b, "PK\6\6", 4);
    eg_codec_put_u64(b, 44); /* bytes of this record that follow */
    eg_codec_put_u16(b, VERSION_ZIP64);
    eg_codec_put_u16(b, VERSION_ZIP64);
    eg_codec_put_u64(b, 0); /* this disk, disk of the directory */
    eg_codec_put_u64(b, a->n);
    eg_codec_put_u64(b, a->n);
    eg_codec_put_u64(b, bytes);
    eg_codec_put_u64(b, a->offset);
    eg_buffer_add(b, "PK\6\7", 4);
    eg_codec_put_u32(b, 0);
    eg_codec_put_u64(b, end);
    eg_codec_put_u32(b, 1);
    eg_buffer_add(b, "PK\5\6", 4);
    eg_codec_put_u32(b, 0);
    unsigned count = a->n < 0xFFFF ? (unsigned)a->n : 0xFFFF;
    eg_codec_put_u16(b, count);
    eg_codec_put_u16(b, count);
    eg_codec_put_u32(b, capped(bytes));
    eg_codec_put_u32(b, capped(a->offset));
    eg_codec_put_u16(b, 0); /* no comment */
}

static void sum_one(void *context, int i) {
    record *r = &((record *)context)[i];
    r->crc = eg_codec_crc32(r->data, r->n_bytes);
}

/* ---- all together ---- */

/* `parts`: room for a header and the data of each record, and the directory. */
static eg_status write_archive(const char *path, archive *a, eg_part *parts, eg_error *err) {
    eg_pool_run(sum_one, a->records, (int)a->n); /* the only pass over the data but the writing */
    for (size_t i = 0; i < a->n; i++) put_local(a, &a->records[i]);
    put_directory(a);
    if (a->headers.failed || a->directory.failed)
        return eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory for the headers", path);
    for (size_t i = 0; i < a->n; i++) {
        const record *r = &a->records[i];
        parts[2 * i] = (eg_part){a->headers.data + r->header_begin, r->header_length};
        parts[2 * i + 1] = (eg_part){r->data, r->n_bytes};
    }
    parts[2 * a->n] = (eg_part){a->directory.data, a->directory.size};
    return eg_file_write_atomic(path, parts, 2 * a->n + 1, err);
}

static eg_status write_tensors(const char *path, archive *a, eg_part *parts,
                               const eg_tensor *tensors, size_t n, eg_error *err) {
    pickler p = {.out = {0}};
    write_pickle(&p, tensors, n);
    eg_status status = EG_ERR_NO_MEMORY;
    if (p.out.failed) {
        eg_fail(err, status, "%s: no memory for data.pkl", path);
    } else {
        set_record(&a->records[0], "data.pkl", p.out.data, p.out.size);
        set_record(&a->records[1], "byteorder", "little", 6);
        for (size_t i = 0; i < n; i++) {
            char name[NAME_BYTES - 8];
            snprintf(name, sizeof name, "data/%zu", i);
            set_record(&a->records[2 + i], name, tensors[i].data, tensors[i].n_bytes);
        }
        set_record(&a->records[2 + n], "version", "3\n", 2);
        status = write_archive(path, a, parts, err);
    }
    eg_buffer_free(&p.out);
    return status;
}

eg_status eg_torch_zip_write(const char *path, const eg_tensor *tensors, size_t n, eg_error *err) {
    if (n > MAX_TENSORS)
        return eg_fail(err, EG_ERR_LIMIT, "%s: %zu tensors, at most %d go into one .pth", path, n,
                       MAX_TENSORS);
    EG_TRY(eg_codec_tensors_check(tensors, n, err));
    archive a = {.n = n + N_FIXED};
    a.records = eg_calloc(a.n, sizeof *a.records);
    eg_part *parts = eg_calloc(2 * a.n + 1, sizeof *parts);
    eg_status status = EG_ERR_NO_MEMORY;
    if (a.records == NULL || parts == NULL)
        eg_fail(err, status, "%s: no memory to write %zu tensors", path, n);
    else
        status = write_tensors(path, &a, parts, tensors, n, err);
    eg_buffer_free(&a.headers);
    eg_buffer_free(&a.directory);
    eg_free(a.records);
    eg_free(parts);
    return status;
}
