/* Arena: blocks that die together. For the many small pieces of one file or one plan.
 *
 * Blocks are chained, never moved, so every pointer given out stays good until eg_arena_free. Not
 * thread-safe. The limit counts the bytes given out (rounded up to 64), not the slack of the
 * blocks. */
#include "base/base.h"
#include <string.h>

enum { ARENA_ALIGN = 64 };

typedef struct arena_block {
    struct arena_block *next;
    char *data;
    size_t size, used;
} arena_block;

struct eg_arena {
    arena_block *blocks; /* newest first */
    size_t block_bytes;
    size_t limit_bytes; /* 0: none */
    size_t given;
};

eg_arena *eg_arena_new(size_t block_bytes, size_t limit_bytes) {
    eg_arena *arena = eg_calloc(1, sizeof *arena);
    if (arena == NULL) return NULL;
    arena->block_bytes = block_bytes > 0 ? block_bytes : (size_t)64 << 10;
    arena->limit_bytes = limit_bytes;
    return arena;
}

/* A new block in front; an oversized request gets a block of its own size. */
static arena_block *block_add(eg_arena *arena, size_t need) {
    size_t size = need > arena->block_bytes ? need : arena->block_bytes;
    arena_block *block = eg_malloc(sizeof *block);
    char *data = eg_malloc(size);
    if (block == NULL || data == NULL) {
        eg_free(block);
        eg_free(data);
        return NULL;
    }
    *block = (arena_block){.next = arena->blocks, .data = data, .size = size, .used = 0};
    arena->blocks = block;
    return block;
}

/* Only the newest block is looked at: what older ones have left is given up for constant time. */
void *eg_arena_get(eg_arena *arena, size_t size) {
    size_t padded, given;
    if (size == 0) size = 1; /* a distinct address, so that NULL keeps its one meaning */
    if (!eg_add(&padded, size, ARENA_ALIGN - 1)) return NULL;
    padded &= ~(size_t)(ARENA_ALIGN - 1);
    if (!eg_add(&given, arena->given, padded)) return NULL;
    if (arena->limit_bytes > 0 && given > arena->limit_bytes) return NULL;
    arena_block *block = arena->blocks;
    if (block == NULL || block->size - block->used < padded) {
        block = block_add(arena, padded);
        if (block == NULL) return NULL;
    }
    void *p = block->data + block->used;
    block->used += padded;
    arena->given = given;
    return p;
}

char *eg_arena_strdup(eg_arena *arena, const char *text, size_t n) {
    size_t size;
    if (!eg_add(&size, n, 1)) return NULL;
    char *copy = eg_arena_get(arena, size);
    if (copy == NULL) return NULL;
    memcpy(copy, text, n);
    copy[n] = 0;
    return copy;
}

void eg_arena_free(eg_arena *arena) {
    if (arena == NULL) return;
    while (arena->blocks != NULL) {
        arena_block *next = arena->blocks->next;
        eg_free(arena->blocks->data);
        eg_free(arena->blocks);
        arena->blocks = next;
    }
    eg_free(arena);
}
