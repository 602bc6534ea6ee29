/* Places buffers with known lives into one arena. The biggest win of planning: a training step's gradients and work
 * spaces take the bytes of activations that are dead by then. Read first: exec.h.                              */
#include "net/exec.h"
#include <stdlib.h>

int eg_memplan_add(eg_memplan *m, size_t bytes, int first, int last) {
    if (bytes == 0 || m->failed) return -1;
    if (m->n == m->capacity) {
        int capacity = m->capacity ? 2 * m->capacity : 64;
        eg_mem_buffer *grown =
            eg_realloc(m->buffers, (size_t)m->n * sizeof *grown, (size_t)capacity * sizeof *grown);
        if (!grown) {
            m->failed = true;
            return -1;
        }
        m->buffers = grown;
        m->capacity = capacity;
    }
    m->buffers[m->n] = (eg_mem_buffer){eg_align64(bytes), 0, first, last};
    return m->n++;
}

/* larger first; ties in order of number, so that the plan is the same everywhere */
static int by_size(const void *a, const void *b, void *context) {
    const eg_mem_buffer *buffers = context;
    int i = *(const int *)a, j = *(const int *)b;
    if (buffers[i].bytes != buffers[j].bytes) return buffers[i].bytes < buffers[j].bytes ? 1 : -1;
    return i - j;
}

/* do their lives meet? Both ends count: what is read at a time must outlast what is written then */
static bool together(const eg_mem_buffer *a, const eg_mem_buffer *b) {
    return a->first <= b->last && b->first <= a->last;
}

/* `placed` holds the numbers already placed, sorted by offset; returns where in that order the new one stands */
static int place(eg_mem_buffer *all, const int *placed, int n, eg_mem_buffer *b) {
    size_t at = 0;
    /* the lowest gap among those whose lives meet this one's; `at` is where everything passed so far has ended */
    for (int i = 0; i < n; i++) {
        const eg_mem_buffer *other = &all[placed[i]];
        if (!together(other, b)) continue;
        if (at + b->bytes <= other->offset) break;
        size_t end = other->offset + other->bytes;
        if (end > at) at = end;
    }
    b->offset = at;
    int position = 0;
    while (position < n && all[placed[position]].offset <= at) position++;
    return position;
}

eg_status eg_memplan_solve(eg_memplan *m, size_t *total, eg_error *err) {
    size_t bytes = (size_t)m->n * sizeof(int);
    int *order = eg_malloc(bytes ? bytes : 1), *placed = eg_malloc(bytes ? bytes : 1);
    if (m->failed || !order || !placed) {
        eg_free(order);
        eg_free(placed);
        return eg_fail(err, EG_ERR_NO_MEMORY, "memory plan: out of memory");
    }
    for (int i = 0; i < m->n; i++) order[i] = i;
    qsort_r(order, (size_t)m->n, sizeof *order, by_size, m->buffers);
    *total = 0;
    for (int i = 0; i < m->n; i++) {
        eg_mem_buffer *b = &m->buffers[order[i]];
        int position = place(m->buffers, placed, i, b);
        for (int k = i; k > position; k--) placed[k] = placed[k - 1];
        placed[position] = order[i];
        if (b->offset + b->bytes > *total) *total = b->offset + b->bytes;
    }
    eg_free(order);
    eg_free(placed);
    return EG_OK;
}

void eg_memplan_free(eg_memplan *m) {
    eg_free(m->buffers);
    *m = (eg_memplan){0};
}
