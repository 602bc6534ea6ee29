/* Sums over all pixels, one a channel (gradients of biases, scales and norms): float over a block of rows, double over
 * blocks, a fixed number of chunks added in order, so that neither length nor threads cost digits. Read first: exec.h. */
#include "net/exec.h"
#include <string.h>

/* 16: enough for the threads of a desktop, few enough that n doubles and floats each are small beside the values.
 * 64 rows: a float sum of so few terms is right to a few units of the last place, and most of the time stays in float. */
enum { CHUNKS = 16, BLOCK_ROWS = 64 };

typedef struct {
    eg_rows_fn fn;
    void *context;
    double *work; /* a chunk: n doubles, then n floats for a block */
    size_t rows, chunk_rows, n, stride /* doubles */;
} sums_job;

static size_t stride_of(size_t n) {
    return eg_align64(n * (sizeof(double) + sizeof(float))) / sizeof(double);
}

size_t eg_channel_sums_bytes(size_t n) {
    return CHUNKS * stride_of(n) * sizeof(double);
}

/* chunk i: its sums stay in its own part of `work` until all are there */
static void chunk(void *context, int i) {
    const sums_job *j = context;
    double *sums = j->work + (size_t)i * j->stride;
    float *block = (float *)(void *)(sums + j->n);
    size_t end =
        ((size_t)i + 1) * j->chunk_rows < j->rows ? ((size_t)i + 1) * j->chunk_rows : j->rows;
    memset(sums, 0, j->n * sizeof *sums);
    for (size_t at = (size_t)i * j->chunk_rows; at < end; at += BLOCK_ROWS) {
        j->fn(j->context, block, at, end - at < BLOCK_ROWS ? end : at + BLOCK_ROWS);
        for (size_t c = 0; c < j->n; c++) sums[c] += (double)block[c];
    }
}

const double *eg_channel_sums_run(eg_rows_fn fn, void *context, size_t rows, size_t n, void *work) {
    sums_job j = {.fn = fn, .context = context, .work = work, .rows = rows, .n = n};
    j.chunk_rows = (rows + CHUNKS - 1) / CHUNKS;
    j.stride = stride_of(n);
    int chunks = (int)((rows + j.chunk_rows - 1) / j.chunk_rows);
    eg_pool_run(chunk, &j, chunks);
    /* on one thread and in order: the same additions whoever ran the chunks */
    for (int i = 1; i < chunks; i++)
        for (size_t c = 0; c < n; c++) j.work[c] += j.work[(size_t)i * j.stride + c];
    return j.work;
}

void eg_channel_sums_store(float *out, const double *sums, size_t n) {
    for (size_t c = 0; c < n; c++) out[c] = (float)sums[c];
}
