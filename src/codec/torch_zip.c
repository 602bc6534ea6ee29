/* The torch container since 1.6: a zip with one pickle and one member a storage (formats.md 1.3).
 *
 * zip_directory.c has checked the archive, pickle.c reads data.pkl; this file knows which members
 * there are and that each storage is exactly as long as the pickle says. Stored members stay where
 * they are: tensors point into the file's mapping. Does not read TorchScript archives, which hold
 * code. */
#include "codec/torch_tree.h"
#include "codec/utf8.h"
#include "codec/zip_directory.h"

#include <string.h>

typedef struct {
    eg_state_dict *sd;
    const eg_zip_directory *zip;
    const uint8_t **unpacked; /* one a member; NULL until asked for */
    const char *folder;       /* top folder with its slash */
    size_t folder_length;
    char *full_name; /* scratch for member(): folder_length + MAX_NAME_BYTES + 1 */
} reader;

/* "data/" and a key, which pickle_global.c bounds to 64 bytes */
enum { MAX_NAME_BYTES = 5 + 64 };

/* Member "<folder>/<name>"; NULL: absent. */
static const eg_zip_member *member(const reader *r, const char *name, size_t name_length) {
    if (name_length > MAX_NAME_BYTES || memchr(name, 0, name_length) != NULL) return NULL;
    memcpy(r->full_name, r->folder, r->folder_length);
    memcpy(r->full_name + r->folder_length, name, name_length);
    r->full_name[r->folder_length + name_length] = 0;
    return eg_codec_zip_find(r->zip, r->full_name);
}

/* The one top folder is that of the first member; everything must be inside it. */
static eg_status check_folder(reader *r, eg_error *err) {
    const char *first = r->zip->members[0].name, *slash = strchr(first, '/');
    if (slash == NULL || slash == first)
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)r->zip->members[0].header_offset,
                          "a zip archive, but not torch's: its first member, at byte %zu, is in no "
                          "folder",
                          r->zip->members[0].header_offset);
    r->folder = first;
    r->folder_length = (size_t)(slash - first) + 1;
    r->full_name = eg_malloc(r->folder_length + MAX_NAME_BYTES + 1);
    if (r->full_name == NULL)
        return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for a member's name");
    for (size_t i = 0; i < r->zip->n; i++) {
        const char *name = r->zip->members[i].name;
        char shown[120];
        if (strncmp(name, r->folder, r->folder_length) != 0)
            return eg_fail_at(err, EG_ERR_INPUT, (int64_t)r->zip->members[i].header_offset,
                              "zip member '%s' at byte %zu is outside of the archive's one folder",
                              eg_codec_printable(shown, sizeof shown, name, strlen(name)),
                              r->zip->members[i].header_offset);
        const char *inside = name + r->folder_length;
        if (strcmp(inside, "constants.pkl") == 0 || strncmp(inside, "code/", 5) == 0)
            return eg_fail_at(err, EG_ERR_INPUT, (int64_t)r->zip->members[i].header_offset,
                              "a TorchScript archive, which holds code (at byte %zu) - save "
                              "model.state_dict() with torch.save instead",
                              r->zip->members[i].header_offset);
    }
    return EG_OK;
}

/* Bytes of a member, unpacked at most once; sd owns them. */
static eg_status unpack(const uint8_t **bytes, reader *r, const eg_zip_member *m, eg_error *err) {
    size_t i = (size_t)(m - r->zip->members);
    if (r->unpacked[i] == NULL) {
        void *block;
        const uint8_t *data;
        EG_TRY(eg_codec_zip_unpack(&data, &block, m, err));
        if (block != NULL && !eg_codec_sd_own_block(r->sd, block))
            return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the list of storages");
        r->unpacked[i] = data;
    }
    *bytes = r->unpacked[i];
    return EG_OK;
}

/* `version` is decimal text and a newline, from 1 to 10; torch wrote 3 in all its releases, 6 and
 * above as .data/version. */
static eg_status check_version(reader *r, eg_error *err) {
    const eg_zip_member *m = member(r, "version", 7);
    if (m == NULL) m = member(r, ".data/version", 13);
    if (m == NULL)
        return eg_fail(err, EG_ERR_INPUT, "a zip archive without torch's version member");
    const uint8_t *text;
    EG_TRY(unpack(&text, r, m, err));
    int value = 0;
    size_t n = m->n_bytes;
    if (n > 0 && text[n - 1] == '\n') n--;
    for (size_t i = 0; i < n && i < 3; i++)
        value = text[i] >= '0' && text[i] <= '9' ? value * 10 + text[i] - '0' : 1000;
    if (n == 0 || n > 2 || value < 1 || value > 10)
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)m->offset,
                          "torch container of an unknown version at byte %zu, expected 1 to 10",
                          m->offset);
    return EG_OK;
}

/* Old files do not say; all machines torch ran on then were little endian. */
static eg_status check_byte_order(reader *r, eg_error *err) {
    const eg_zip_member *m = member(r, "byteorder", 9);
    if (m == NULL) return EG_OK; /* before torch 2.1: little endian */
    const uint8_t *text;
    EG_TRY(unpack(&text, r, m, err));
    if (m->n_bytes != 6 || memcmp(text, "little", 6) != 0)
        return eg_fail_at(
            err, EG_ERR_INPUT, (int64_t)m->offset,
            "numbers are not little endian, says byte %zu - save the file on a little endian "
            "machine",
            m->offset);
    return EG_OK;
}

/* The member must hold exactly the elements that the pickle claims: a longer claim would read
 * beyond it (CVE-2026-24747 is this check, missing), a shorter one means that the two do not belong
 * together. */
static eg_status resolve(const uint8_t **bytes, void *context, const eg_pickle_storage *s,
                         eg_error *err) {
    reader *r = context;
    char name[5 + 64], shown[72];
    memcpy(name, "data/", 5);
    memcpy(name + 5, s->key, s->key_length);
    const eg_zip_member *m = member(r, name, 5 + s->key_length);
    eg_codec_printable(shown, sizeof shown, s->key, s->key_length);
    if (m == NULL)
        return eg_fail(err, EG_ERR_INPUT,
                       "data.pkl: storage '%s' at byte %zu is not in the archive", shown,
                       s->position);
    size_t wanted = (size_t)s->root_numel * eg_dtype_bytes(s->dtype);
    if (m->n_bytes != wanted)
        return eg_fail_at(err, EG_ERR_INPUT, (int64_t)m->offset,
                          "storage '%s' at byte %zu has %zu bytes, but data.pkl says %zu: %lld "
                          "elements of %s",
                          shown, m->offset, m->n_bytes, wanted, (long long)s->root_numel,
                          eg_dtype_name(s->dtype));
    return unpack(bytes, r, m, err);
}

/* The pickle must fill its member: readers that stop at the first STOP and scanners that look
 * further would see two different files. */
static eg_status read_pickle(reader *r, size_t file_bytes, eg_error *err) {
    const eg_zip_member *m = member(r, "data.pkl", 8);
    if (m == NULL) return eg_fail(err, EG_ERR_INPUT, "a zip archive without data.pkl: not torch's");
    if (m->n_bytes > EG_PICKLE_MAX_BYTES)
        return eg_fail(err, EG_ERR_LIMIT, "data.pkl: %zu bytes, more than %zu", m->n_bytes,
                       EG_PICKLE_MAX_BYTES);
    eg_pickle_source source = {
        .size = m->n_bytes, .file_offset = (int64_t)m->offset, .where = "data.pkl"};
    EG_TRY(unpack(&source.data, r, m, err));
    eg_pickle *p = eg_codec_pickle_new();
    if (p == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "data.pkl: no memory to read it");
    eg_pickle_value root;
    size_t end = 0;
    eg_status status = eg_codec_pickle_read(p, &root, &end, &source, err);
    if (status == EG_OK && end != m->n_bytes)
        status = eg_fail_at(
            err, EG_ERR_INPUT, source.file_offset + (int64_t)end,
            "data.pkl: something follows the pickle at byte %zu: a second, hidden one?", end);
    /* every storage that is named must be sound, also one that no tensor of the state dict uses */
    for (size_t i = 0; status == EG_OK && i < eg_codec_pickle_n_storages(p); i++) {
        const uint8_t *unused;
        status = resolve(&unused, r, eg_codec_pickle_storage_at(p, i), err);
    }
    size_t data_bytes = file_bytes > r->zip->unpacked_bytes ? file_bytes : r->zip->unpacked_bytes;
    if (status == EG_OK)
        status = eg_codec_torch_collect(r->sd, p, &root, resolve, r, 4 * data_bytes, err);
    eg_codec_pickle_free(p);
    return status;
}

/* Checksums are verified before a single member is interpreted. */
eg_status eg_codec_torch_zip_read(eg_state_dict *sd, const uint8_t *data, size_t size,
                                  eg_error *err) {
    eg_codec_sd_set_container(sd, "torch zip");
    eg_zip_directory *zip = NULL;
    EG_TRY(eg_codec_zip_open(&zip, data, size, err));
    reader r = {.sd = sd, .zip = zip, .unpacked = eg_calloc(zip->n, sizeof *r.unpacked)};
    eg_status status = r.unpacked != NULL
                           ? check_folder(&r, err)
                           : eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the list of storages");
    if (status == EG_OK) status = eg_codec_zip_bound(zip, size, err);
    if (status == EG_OK) status = eg_codec_zip_verify(zip, err);
    if (status == EG_OK) status = check_version(&r, err);
    if (status == EG_OK) status = check_byte_order(&r, err);
    if (status == EG_OK) status = read_pickle(&r, size, err);
    eg_free(r.unpacked);
    eg_free(r.full_name);
    eg_codec_zip_close(zip);
    return status;
}
