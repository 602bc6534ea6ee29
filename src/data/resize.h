/* Between resize.c (plan and run), resize_axis.c (filters and their coefficients) and
 * resize_passes.c (the hot loops); nobody else includes it. Read pixels.h first. */
#ifndef EG_DATA_RESIZE_H
#define EG_DATA_RESIZE_H

#include "data/pixels.h"

#define EG_DATA_RESIZE_BITS                                                                        \
    22 /* of a coefficient: 32 - 8 for the pixel - 2 of headroom, as Pillow */
#define EG_DATA_RESIZE_LANES 16 /* pixels a hot loop carries at once */

/* One axis: output i (counted from the window's start) is the sum over t < n_taps[i] of k[i *
 * max_taps + t] * source[first[i] + t]. Nearest: source[first[i]], 0 where first[i] is -1. */
typedef struct {
    int n, max_taps;
    int *first, *n_taps;
    int32_t *k;     /* 8-bit pixels: fixed point; NULL when deep */
    double *k_deep; /* deep pixels; NULL otherwise */
} eg_data_axis;

/* Room for the coefficients of one output; 0 for nearest. */
int eg_data_axis_max_taps(double scale, eg_interp interp);
/* Bytes of the arrays of n outputs, and the arrays laid over such a block (8-byte aligned). */
size_t eg_data_axis_bytes(int n, int max_taps, bool deep);
eg_data_axis eg_data_axis_carve(uint8_t *block, int n, int max_taps, bool deep);
/* Outputs start .. start + a->n of `out_size`, over [in0, in1) of a source of in_size pixels.
 * weights: scratch, max_taps doubles. */
void eg_data_axis_fill(eg_data_axis *a, int in_size, float in0, float in1, int out_size, int start,
                       eg_interp interp, double *weights);
void eg_data_axis_nearest(eg_data_axis *a, int in_size, float in0, float in1, int out_size,
                          int start, bool deep);
/* Source lines from first[0] to the end of the last output's taps. */
static inline int eg_data_axis_extent(const eg_data_axis *a) {
    return a->first[a->n - 1] + a->n_taps[a->n - 1] - a->first[0];
}

/* Columns: n_rows rows -> (n_rows, a->n, n_ch). src points at the first row and at column
 * a->first[0]. block: 16 * n_ch * (columns needed) bytes, 8-bit pixels only. Strides in bytes. */
void eg_data_pass_columns(void *dst, size_t dst_stride, const void *src, size_t src_stride,
                          int n_rows, size_t n_ch, const eg_data_axis *a, uint8_t *block);
/* Rows: a->n rows of n samples. src points at row a->first[0]. */
void eg_data_pass_rows(void *dst, size_t dst_stride, const void *src, size_t src_stride, size_t n,
                       const eg_data_axis *a);

#endif
