/* Private to the compute room: what a backend of dense convolution and matrix product shares with dispatch.c. */
#ifndef EG_COMPUTE_BACKEND_H
#define EG_COMPUTE_BACKEND_H

#include "compute/compute.h"

/* Tell the backend the cap, before its first use; without effect on a backend that has one code path. */
void eg_compute_backend_cap(eg_isa cap);

/* bf16 where the backend has no bf16 convolution (conv_widen.c): `inner` is the f32 convolution of the same shape; values
 * are widened into `scratch` around it. Weights are rounded to bf16 first, so that the numbers are bf16's.           */
eg_conv_shape eg_compute_widened(const eg_conv_shape *s);
size_t eg_compute_widened_bytes(const eg_conv_shape *s, const eg_conv *inner);
eg_status eg_compute_widened_pack(const eg_conv *inner, void *packed, const float *weights,
                                  eg_error *err);
eg_status eg_compute_widened_forward(const eg_conv *inner, const eg_conv_shape *s, bool add,
                                     void *dst, const void *src, const void *packed,
                                     const float *bias, void *scratch, eg_error *err);
eg_status eg_compute_widened_data(const eg_conv *inner, const eg_conv_shape *s, void *dsrc,
                                  const void *ddst, const void *packed, void *scratch,
                                  eg_error *err);
eg_status eg_compute_widened_weights(const eg_conv *inner, const eg_conv_shape *s, float *dweights,
                                     float *dbias, const void *src, const void *ddst, void *packed,
                                     void *scratch, eg_error *err);

#endif
