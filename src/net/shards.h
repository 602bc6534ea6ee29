/* Private to the net room: dense convolutions and matrix products of a plan, with what --deterministic asks of them. Such
 * a plan cuts its batch into EG_SHARDS shards; each is computed on one thread, whichever it is, and gradients are summed
 * in a tree by shard, so that no bit depends on the number of threads. Any other plan has one shard on all threads.
 * Everything else in the room works in fixed pieces anyway (eg_span_run, channel_sums.c). Read first: exec.h.    */
#ifndef EG_NET_SHARDS_H
#define EG_NET_SHARDS_H

#include "net/exec.h"

/* Part of what --deterministic promises, like a file format: another number gives other bits. */
enum { EG_SHARDS = 4 };

/* One pass of a convolution over the whole batch: used as eg_conv is, with the same meaning of all arguments. */
typedef struct eg_shards eg_shards;
eg_status eg_net_shards_new(eg_shards **out, const eg_plan *plan, const eg_conv_shape *s,
                            eg_conv_pass pass, const eg_conv_epilogue *e, eg_error *err);
void eg_net_shards_free(eg_shards *s);
/* Whole multiples of 64. Scratch holds the shards' gradients but the first. */
size_t eg_net_shards_packed_bytes(const eg_shards *s);
size_t eg_net_shards_scratch_bytes(const eg_shards *s);
eg_status eg_net_shards_pack(const eg_shards *s, void *packed, const float *weights, eg_error *err);
eg_status eg_net_shards_forward(const eg_shards *s, void *dst, const void *src, void *packed,
                                const float *bias, void *scratch, eg_error *err);
eg_status eg_net_shards_backward_data(const eg_shards *s, void *dsrc, const void *ddst,
                                      void *packed, void *scratch, eg_error *err);
eg_status eg_net_shards_backward_weights(const eg_shards *s, float *dweights, float *dbias,
                                         const void *src, const void *ddst, void *packed,
                                         void *scratch, eg_error *err);

/* eg_gemm for a plan. On one thread where bits must not depend on their number: a dense layer has few rows, and what it
 * costs is reading its weights once. */
eg_status eg_net_gemm(const eg_plan *plan, float *c, const float *a, const float *b, int m, int n,
                      int k, bool transpose_a, bool transpose_b, bool accumulate, eg_error *err);

#endif
