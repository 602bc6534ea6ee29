/* An ordered list of named tensors and everything they point at.
 *
 * Reads no format: torch_zip.c, torch_legacy.c and safetensors.c fill it through state_dict.h.
 * Names are found by bisection in a sorted index and not by hashing, because a hash with a known
 * seed lets a hostile file make every name collide. */
#include "codec/state_dict.h"

#include "codec/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Ranges are rounded to this; on a system with larger pages the hint is refused, and nothing is
 * lost. */
enum { PAGE_BYTES = 4096 };

struct eg_state_dict {
    const char *container; /* static */
    eg_arena *names;       /* names, keys, values */
    eg_tensor *tensors;    /* in the order of the file */
    size_t n, capacity;
    const eg_tensor **by_name; /* sorted after the seal */
    eg_text_pair *metadata;
    size_t n_metadata, metadata_capacity;
    const char **globals;
    size_t n_globals, globals_capacity;
    void **blocks; /* heap blocks that tensors point into */
    size_t n_blocks, blocks_capacity;
    eg_file_view file; /* mapping that tensors point into */
    size_t n_borrowed; /* tensors that point into bytes which were not copied */
    eg_buffer note;
};

/* Empty tensors point here: a valid address, never read. */
static const uint64_t no_data;

eg_state_dict *eg_codec_sd_new(const char *container) {
    eg_state_dict *sd = eg_calloc(1, sizeof *sd);
    if (sd == NULL) return NULL;
    sd->container = container;
    sd->names = eg_arena_new((size_t)16 << 10, 0);
    if (sd->names != NULL) return sd;
    eg_free(sd);
    return NULL;
}

void eg_state_dict_free(eg_state_dict *sd) {
    if (sd == NULL) return;
    for (size_t i = 0; i < sd->n_blocks; i++) eg_free(sd->blocks[i]);
    eg_free(sd->blocks);
    eg_free(sd->tensors);
    eg_free(sd->by_name);
    eg_free(sd->metadata);
    eg_free(sd->globals);
    eg_file_close(&sd->file);
    eg_buffer_free(&sd->note);
    eg_arena_free(sd->names);
    eg_free(sd);
}

void eg_codec_sd_set_container(eg_state_dict *sd, const char *container) {
    sd->container = container;
}

void eg_codec_sd_own_file(eg_state_dict *sd, eg_file_view view) {
    sd->file = view;
}

/* Room for one more item; doubles, so that n adds cost O(n). */
static bool grow(void **items, size_t *capacity, size_t n, size_t item_bytes) {
    if (n < *capacity) return true;
    size_t wanted = *capacity == 0 ? 16 : 2 * *capacity;
    size_t bytes;
    if (!eg_mul(&bytes, wanted, item_bytes)) return false;
    void *grown = eg_realloc(*items, *capacity * item_bytes, bytes);
    if (grown == NULL) return false;
    *items = grown;
    *capacity = wanted;
    return true;
}

/* Frees `p` itself when it cannot take it over, so that callers have one path. */
bool eg_codec_sd_own_block(eg_state_dict *sd, void *p) {
    if (!grow((void **)&sd->blocks, &sd->blocks_capacity, sd->n_blocks, sizeof *sd->blocks)) {
        eg_free(p);
        return false;
    }
    sd->blocks[sd->n_blocks++] = p;
    return true;
}

void eg_codec_dense_strides(int64_t *strides, const int64_t *dims, int n_dims) {
    int64_t step = 1;
    for (int i = n_dims - 1; i >= 0; i--) {
        strides[i] = step;
        step *= dims[i];
    }
}

/* Strides of dimensions of size 1 do not matter: torch writes any value there. */
static bool is_dense(const eg_codec_layout *layout) {
    int64_t dense[EG_MAX_DIMS];
    eg_codec_dense_strides(dense, layout->dims, layout->n_dims);
    for (int i = 0; i < layout->n_dims; i++)
        if (layout->dims[i] != 1 && layout->strides[i] != dense[i]) return false;
    return true;
}

/* `n` elements `step` elements apart. The common width has a loop of its own: weights converted
 * from TensorFlow are transposed, so whole networks pass here. */
static void copy_line(uint8_t *to, const uint8_t *from, size_t n, size_t step, size_t bytes) {
    if (bytes == 4)
        for (size_t i = 0; i < n; i++) memcpy(to + 4 * i, from + 4 * step * i, 4);
    else
        for (size_t i = 0; i < n; i++) memcpy(to + bytes * i, from + bytes * step * i, bytes);
}

/* Gather a strided tensor into dense row-major order: an odometer over all dimensions but the
 * innermost that matters. */
static void copy_strided(uint8_t *to, const eg_codec_layout *layout, size_t count) {
    size_t bytes = eg_dtype_bytes(layout->dtype);
    size_t dims[EG_MAX_DIMS], steps[EG_MAX_DIMS], index[EG_MAX_DIMS] = {0};
    int n = 0;
    for (int d = 0; d < layout->n_dims; d++) {
        if (layout->dims[d] == 1) continue;
        dims[n] = (size_t)layout->dims[d];
        steps[n++] = (size_t)layout->strides[d];
    }
    /* not dense, so there is at least one dimension that matters */
    size_t line = dims[n - 1];
    const uint8_t *from = layout->bytes;
    for (size_t done = 0; done < count; done += line, to += line * bytes) {
        copy_line(to, from, line, steps[n - 1], bytes);
        for (int d = n - 2; d >= 0; d--) {
            if (++index[d] < dims[d]) {
                from += steps[d] * bytes;
                break;
            }
            from -= steps[d] * bytes * (dims[d] - 1);
            index[d] = 0;
        }
    }
}

/* Give the pages of data that was copied back to the system at once: a legacy file would otherwise
 * be in memory twice while it is read. The mapping stays valid; a second tensor of the same storage
 * just reads them again. */
static void forget_pages(const eg_state_dict *sd, const eg_codec_layout *layout) {
    uintptr_t begin = (uintptr_t)layout->bytes, end = begin + eg_dtype_bytes(layout->dtype);
    uintptr_t file = (uintptr_t)sd->file.data;
    if (sd->file.data == NULL || begin < file || begin >= file + sd->file.size) return;
    for (int d = 0; d < layout->n_dims; d++)
        end += (size_t)(layout->dims[d] - 1) * (size_t)layout->strides[d] *
               eg_dtype_bytes(layout->dtype);
    begin = (begin + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    end = end / PAGE_BYTES * PAGE_BYTES;
    if (end > begin) (void)madvise((void *)begin, end - begin, MADV_DONTNEED); /* only a hint */
}

static eg_status no_memory(eg_error *err, const char *name, size_t n_bytes) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "%s: no memory for %zu bytes", name, n_bytes);
}

/* Point the tensor at the bytes of the layout, or at a dense copy of them. */
static eg_status place(eg_state_dict *sd, eg_tensor *t, const eg_codec_layout *layout,
                       eg_error *err) {
    size_t bytes = eg_dtype_bytes(t->dtype);
    if (t->n_bytes == 0) {
        t->data = &no_data;
        return EG_OK;
    }
    bool dense = is_dense(layout);
    if (dense && (uintptr_t)layout->bytes % bytes == 0) {
        t->data = layout->bytes;
        sd->n_borrowed++;
        return EG_OK;
    }
    uint8_t *copy = eg_malloc(t->n_bytes);
    if (copy == NULL || !eg_codec_sd_own_block(sd, copy))
        return no_memory(err, t->name, t->n_bytes);
    if (dense)
        memcpy(copy, layout->bytes, t->n_bytes);
    else
        copy_strided(copy, layout, t->n_bytes / bytes);
    forget_pages(sd, layout);
    t->data = copy;
    return EG_OK;
}

/* The name is copied: it is a view of a pickle or a JSON tree that dies before the state dict
 * does. */
eg_status eg_codec_sd_add(eg_state_dict *sd, const char *name, size_t name_length,
                          const eg_codec_layout *layout, eg_error *err) {
    eg_tensor t = {.dtype = layout->dtype, .n_dims = layout->n_dims};
    char shown[80];
    if (name_length == 0 || memchr(name, 0, name_length) != NULL)
        return eg_fail(err, EG_ERR_INPUT, "tensor name '%s' is empty or holds a zero byte",
                       eg_codec_printable(shown, sizeof shown, name, name_length));
    t.name = eg_arena_strdup(sd->names, name, name_length);
    if (t.name == NULL || !grow((void **)&sd->tensors, &sd->capacity, sd->n, sizeof *sd->tensors))
        return no_memory(err, "tensor list", name_length);
    for (int i = 0; i < t.n_dims; i++) t.dims[i] = layout->dims[i];
    t.n_bytes = eg_tensor_count(&t) * eg_dtype_bytes(t.dtype);
    EG_TRY(place(sd, &t, layout, err));
    sd->tensors[sd->n++] = t;
    return EG_OK;
}

eg_status eg_codec_sd_add_metadata(eg_state_dict *sd, const char *key, const char *value,
                                   eg_error *err) {
    eg_text_pair pair = {eg_arena_strdup(sd->names, key, strlen(key)),
                         eg_arena_strdup(sd->names, value, strlen(value))};
    if (pair.key == NULL || pair.value == NULL ||
        !grow((void **)&sd->metadata, &sd->metadata_capacity, sd->n_metadata, sizeof pair))
        return no_memory(err, "metadata", strlen(value));
    sd->metadata[sd->n_metadata++] = pair;
    return EG_OK;
}

eg_status eg_codec_sd_add_global(eg_state_dict *sd, const char *name, eg_error *err) {
    const char *copy = eg_arena_strdup(sd->names, name, strlen(name));
    if (copy == NULL ||
        !grow((void **)&sd->globals, &sd->globals_capacity, sd->n_globals, sizeof *sd->globals))
        return no_memory(err, "globals", strlen(name));
    sd->globals[sd->n_globals++] = copy;
    return EG_OK;
}

/* Longer sentences are cut: they are for people. */
bool eg_codec_sd_note(eg_state_dict *sd, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    eg_buffer_printf(&sd->note, "%s%s", sd->note.size > 0 ? "; " : "", text);
    return !sd->note.failed;
}

static int compare_names(const void *a, const void *b) {
    const eg_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

eg_status eg_codec_tensors_check(const eg_tensor *tensors, size_t n, eg_error *err) {
    for (size_t i = 0; i < n; i++) {
        const eg_tensor *t = &tensors[i];
        if (t->name == NULL || t->name[0] == 0 || !eg_codec_utf8_valid(t->name, strlen(t->name)))
            return eg_fail(err, EG_ERR_INTERNAL, "the name of tensor %zu cannot be written", i);
        if ((unsigned)t->dtype >= EG_DTYPE_COUNT || t->n_dims < 0 || t->n_dims > EG_MAX_DIMS ||
            t->n_bytes != eg_tensor_count(t) * eg_dtype_bytes(t->dtype))
            return eg_fail(err, EG_ERR_INTERNAL, "tensor '%s': size does not fit its shape",
                           t->name);
    }
    if (n < 2) return EG_OK;
    const eg_tensor **order = eg_malloc(n * sizeof *order);
    if (order == NULL) return no_memory(err, "tensor index", n * sizeof *order);
    for (size_t i = 0; i < n; i++) order[i] = &tensors[i];
    qsort(order, n, sizeof *order, compare_names);
    eg_status status = EG_OK;
    for (size_t i = 1; i < n && status == EG_OK; i++)
        if (strcmp(order[i]->name, order[i - 1]->name) == 0)
            status = eg_fail(err, EG_ERR_INTERNAL, "tensor '%s' is given twice", order[i]->name);
    eg_free(order);
    return status;
}

/* nn.DataParallel puts `module.` before every name; a prefix that only some names have is theirs to
 * keep. */
static bool strip_module(eg_state_dict *sd) {
    static const char prefix[] = "module.";
    const size_t length = sizeof prefix - 1;
    for (size_t i = 0; i < sd->n; i++)
        if (strncmp(sd->tensors[i].name, prefix, length) != 0 || sd->tensors[i].name[length] == 0)
            return true;
    for (size_t i = 0; i < sd->n; i++) sd->tensors[i].name += length;
    return sd->n == 0 || eg_codec_sd_note(sd, "stripped 'module.' from %zu names", sd->n);
}

/* The index holds pointers into `tensors`, which no longer moves from here on. */
eg_status eg_codec_sd_seal(eg_state_dict *sd, eg_error *err) {
    if (!strip_module(sd)) return no_memory(err, "note", 0);
    if (sd->n_borrowed == 0) eg_file_close(&sd->file);
    if (sd->n == 0) return EG_OK;
    sd->by_name = eg_malloc(sd->n * sizeof *sd->by_name);
    if (sd->by_name == NULL) return no_memory(err, "tensor index", sd->n * sizeof *sd->by_name);
    for (size_t i = 0; i < sd->n; i++) sd->by_name[i] = &sd->tensors[i];
    qsort(sd->by_name, sd->n, sizeof *sd->by_name, compare_names);
    for (size_t i = 1; i < sd->n; i++) {
        char shown[80];
        const char *name = sd->by_name[i]->name;
        if (strcmp(name, sd->by_name[i - 1]->name) == 0)
            return eg_fail(err, EG_ERR_INPUT,
                           "tensor '%s' is given twice - which one is meant cannot be known",
                           eg_codec_printable(shown, sizeof shown, name, strlen(name)));
    }
    return EG_OK;
}

size_t eg_state_dict_count(const eg_state_dict *sd) {
    return sd->n;
}

const eg_tensor *eg_state_dict_at(const eg_state_dict *sd, size_t i) {
    return i < sd->n ? &sd->tensors[i] : NULL;
}

/* Thread-safe: a sealed state dict never changes. */
const eg_tensor *eg_state_dict_find(const eg_state_dict *sd, const char *name) {
    if (sd->n == 0 || sd->by_name == NULL) return NULL;
    eg_tensor wanted = {.name = name};
    const eg_tensor *key = &wanted;
    const eg_tensor **found = bsearch(&key, sd->by_name, sd->n, sizeof *sd->by_name, compare_names);
    return found != NULL ? *found : NULL;
}

const char *eg_state_dict_metadata(const eg_state_dict *sd, const char *key) {
    for (size_t i = 0; i < sd->n_metadata; i++)
        if (strcmp(sd->metadata[i].key, key) == 0) return sd->metadata[i].value;
    return NULL;
}

const char *eg_state_dict_container(const eg_state_dict *sd) {
    return sd->container;
}

size_t eg_state_dict_n_globals(const eg_state_dict *sd) {
    return sd->n_globals;
}

const char *eg_state_dict_global(const eg_state_dict *sd, size_t i) {
    return i < sd->n_globals ? sd->globals[i] : NULL;
}

const char *eg_state_dict_note(const eg_state_dict *sd) {
    return sd->note.size > 0 ? sd->note.data : NULL;
}
