/* Door of the base room: errors, memory, threads, random numbers, byte cursors, number parsing, hashing, files.
 * Knows no image, no network, no statistic. Everything above may include it.                                  */
#ifndef EG_BASE_H
#define EG_BASE_H

#include <engraft.h>
#include <stdarg.h>

/* ---- errors (error.c) ---- */

#define EG_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
/* Fill `err` (may be NULL) and return `status`: `return eg_fail(err, EG_ERR_INPUT, "...", ...)`. offset = -1. */
eg_status eg_fail(eg_error *err, eg_status status, const char *format, ...) EG_PRINTF(3, 4);
/* The same with a byte offset. */
eg_status eg_fail_at(eg_error *err, eg_status status, int64_t offset, const char *format, ...)
    EG_PRINTF(4, 5);
/* Put "name: " in front of the text of an error already set; returns `status`. */
eg_status eg_error_in(eg_error *err, eg_status status, const char *name);
#define EG_TRY(call)                                                                               \
    do {                                                                                           \
        eg_status eg_try_status = (call);                                                          \
        if (eg_try_status != EG_OK) return eg_try_status;                                          \
    } while (0)

/* ---- memory (memory.c): all heap of the library passes this hook ---- */

/* `size` bytes, 64-byte aligned, not initialised (NaN-filled in debug builds); NULL when out of memory or size 0. */
void *eg_malloc(size_t size);
void *eg_calloc(size_t n, size_t size);                    /* zeroed; NULL on overflow */
void *eg_realloc(void *old, size_t old_size, size_t size); /* keeps 64-byte alignment */
void eg_free(void *p);
char *eg_strdup(const char *text);
char *eg_strndup(const char *text, size_t n);
/* printf into a new string (eg_free); NULL when out of memory. */
char *eg_format(const char *format, ...) EG_PRINTF(1, 2);
/* For tests: number of allocations so far, bytes now and at peak; fail the k-th allocation from now (0 = never). */
typedef struct {
    uint64_t n_allocations;
    size_t bytes_now, bytes_peak;
} eg_memory_stats;
eg_memory_stats eg_memory_stats_get(void);
void eg_memory_fail_at(uint64_t k);

/* Arena: blocks that die together (64-byte aligned). */
typedef struct eg_arena eg_arena;
eg_arena *eg_arena_new(size_t block_bytes,
                       size_t limit_bytes);       /* limit 0 = none; NULL: no memory */
void *eg_arena_get(eg_arena *arena, size_t size); /* NULL: no memory or over the limit */
char *eg_arena_strdup(eg_arena *arena, const char *text, size_t n);
void eg_arena_free(eg_arena *arena);

/* Growing byte buffer, for building text and files. On failure `failed` stays set and further adds do nothing. */
typedef struct {
    char *data; /* NUL kept behind size */
    size_t size, capacity;
    bool failed;
} eg_buffer;
void eg_buffer_add(eg_buffer *b, const void *data, size_t n);
void eg_buffer_printf(eg_buffer *b, const char *format, ...) EG_PRINTF(2, 3);
void eg_buffer_free(eg_buffer *b);

/* checked arithmetic: false on overflow */
static inline bool eg_mul(size_t *out, size_t a, size_t b) {
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool eg_add(size_t *out, size_t a, size_t b) {
    return !__builtin_add_overflow(a, b, out);
}

/* ---- threads (pool.c): OpenMP, the pool that oneDNN uses too, so that they do not spin against each other ---- */

int eg_pool_threads(void);
/* Run fn(context, i) for i in [0, n); returns when all are done. Which thread takes which i is not fixed: a task
 * must write to its own place only, so that results do not depend on the number of threads.                 */
void eg_pool_run(void (*fn)(void *context, int i), void *context, int n);
/* Between the two, code of others that asks OpenMP how many threads to take (oneDNN) gets one when called on this thread;
 * eg_pool_run is as before. `before`: what _begin gave. */
int eg_pool_single_begin(void);
void eg_pool_single_end(int before);

/* ---- random numbers (random.c): counter-based Philox4x32-10 (Salmon et al. 2011), no state to save ---- */

typedef struct {
    uint32_t key[2];
    uint32_t counter[4]; /* [0] counts blocks; [1..3] are the stream */
    uint32_t block[4];
    int used; /* words of `block` given out; 4 = empty */
} eg_random;
/* Stream for (seed, a, b, c): e.g. (seed, epoch, sample, purpose). */
eg_random eg_random_make(uint64_t seed, uint32_t a, uint32_t b, uint32_t c);
uint32_t eg_random_u32(eg_random *r);
double eg_random_uniform(eg_random *r); /* [0, 1), 53 bits */
double eg_random_normal(eg_random *r);  /* mean 0, sd 1 (Box-Muller, one value a call) */
uint32_t eg_random_below(eg_random *r, uint32_t n);              /* [0, n), unbiased */
void eg_random_shuffle(eg_random *r, uint32_t *items, size_t n); /* Fisher-Yates */

/* ---- byte cursor (cursor.c): reads of a borrowed byte range that cannot run over ---- */

typedef struct {
    const uint8_t *data;
    size_t size, pos;
} eg_cursor;
bool eg_cursor_skip(eg_cursor *c, size_t n);           /* false: not that many left */
const uint8_t *eg_cursor_take(eg_cursor *c, size_t n); /* NULL: not that many left */
bool eg_cursor_u8(eg_cursor *c, uint8_t *v);
bool eg_cursor_u16le(eg_cursor *c, uint16_t *v);
bool eg_cursor_u32le(eg_cursor *c, uint32_t *v);
bool eg_cursor_u64le(eg_cursor *c, uint64_t *v);

/* ---- numbers (number.c): strict, C locale, no trailing junk ---- */

bool eg_parse_int(int64_t *out, const char *text); /* decimal, K/M/G suffix (1024) */
bool eg_parse_real(double *out, const char *text); /* finite decimal or exponent form */
/* Bytes: digits with at most one point, then K, M, G or T (1024 each; iB or B may follow): "800M", "1.5GiB". */
bool eg_parse_size(int64_t *out, const char *text);

/* ---- hashing and files (sha256.c, file.c) ---- */

void eg_sha256_hex(char out[65], const void *data, size_t n);
eg_status eg_sha256_file(char out[65], const char *path, eg_error *err);
/* Whole file, read-only view (mmap); `data` NULL for an empty file. EG_ERR_NOT_FOUND, EG_ERR_IO, EG_ERR_LIMIT. */
typedef struct {
    const uint8_t *data;
    size_t size;
} eg_file_view;
eg_status eg_file_open(eg_file_view *out, const char *path, size_t max_bytes, eg_error *err);
void eg_file_close(eg_file_view *view);
/* Crash-safe replacement of a file: temporary beside it, preallocated, written, fsync, rename, fsync of the folder
 * (reliability.md 1.2). The old content stays on any failure. EG_ERR_IO names the path and the system's reason. */
typedef struct {
    const void *data;
    size_t size;
} eg_part;
eg_status eg_file_write_atomic(const char *path, const eg_part *parts, size_t n_parts,
                               eg_error *err);
/* Give a file that is written and synced its name: rename over `to`, fsync of the folder. */
eg_status eg_file_rename(const char *from, const char *to, eg_error *err);
/* Append one line and flush (history.jsonl). */
eg_status eg_file_append(const char *path, const char *text, eg_error *err);
/* mkdir -p. */
eg_status eg_dir_make(const char *path, eg_error *err);
bool eg_path_exists(const char *path);
bool eg_path_is_dir(const char *path);
char *eg_path_join(const char *a, const char *b); /* eg_free */
double eg_time_now(void);                         /* monotonic seconds */
/* SHA-256 of the linker's mark in this code: changes with every other build; "" where there is no mark (build_id.c). */
void eg_build_id(char out[65]);
/* Peak resident memory of the process in bytes (VmHWM). */
size_t eg_process_peak_bytes(void);

#endif
