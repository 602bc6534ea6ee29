/* 1x1 convolutions on all threads: rows in fixed chunks, each by our own kernel with its epilogue, so that neither the number
 * of threads nor who runs what changes a bit. Packing likewise, by blocks of outputs. Read first: exec.h; the kernel:
 * compute/isa/kern_pointwise.c.                                                                                  */
#include "net/exec.h"

/* rows a task: they stay in L2 beside one block of weights while the blocks pass by */
enum { CHUNK_ROWS = 96 };

/* Where values come from memory oneDNN is 3 to 10 % faster (ResNet-50's layers), but an activation with an exponential
 * costs it as much again; ours comes nearly free. With smaller vectors, or bf16 without its instruction, oneDNN's. */
bool eg_pointwise_serves(const eg_node *conv, int act, eg_type type) {
    eg_isa least = type == EG_TYPE_BF16 ? EG_ISA_AVX512BF16 : EG_ISA_AVX512;
    return eg_node_is_pointwise(conv) && act > EG_KACT_RELU6 && eg_isa_now() >= least;
}

typedef struct {
    void *packed;
    const float *weights;
    eg_pointwise_weights shape;
    eg_type type;
} pack_job;

static void pack_block(void *context, int i) {
    const pack_job *j = context;
    eg_pointwise_weights s = j->shape;
    s.k0 = i * EG_PW_BLOCK;
    s.k1 = s.k0 + EG_PW_BLOCK < s.K ? s.k0 + EG_PW_BLOCK : s.K;
    eg_kernels_for(j->type)->pw_pack(j->packed, j->weights, &s);
}

void eg_pointwise_pack(void *packed, const float *weights, int C, int K, eg_type type) {
    pack_job j = {packed, weights, {.C = C, .K = K}, type};
    eg_pool_run(pack_block, &j, (K + EG_PW_BLOCK - 1) / EG_PW_BLOCK);
}

typedef struct {
    void *y;
    const void *x, *packed;
    const eg_pointwise *p;
    eg_type type;
} rows_job;

static void run_chunk(void *context, int i) {
    const rows_job *j = context;
    eg_pointwise p = *j->p;
    size_t begin = (size_t)i * CHUNK_ROWS, left = p.rows - begin;
    p.rows = left < CHUNK_ROWS ? left : CHUNK_ROWS;
    if (p.residual) p.residual = eg_value_at(p.residual, begin * (size_t)p.K, j->type);
    eg_kernels_for(j->type)->pointwise(eg_value_to(j->y, begin * (size_t)p.K, j->type),
                                       eg_value_at(j->x, begin * (size_t)p.C, j->type), j->packed,
                                       &p);
}

void eg_pointwise_run(void *y, const void *x, const void *packed, const eg_pointwise *p,
                      eg_type type) {
    rows_job j = {y, x, packed, p, type};
    eg_pool_run(run_chunk, &j, (int)((p->rows + CHUNK_ROWS - 1) / CHUNK_ROWS));
}
