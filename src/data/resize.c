/* Pillow's antialiased resize, bit for bit (Pillow Resample.c, 8-bit path): filter coefficients
 * in double, normalised, rounded to 22-bit fixed point; two passes, over the part that is
 * needed, each rounded to 8 bits. Which pass comes first shows in the last bit: vertical_first()
 * is the rule of Pillow 13; before, columns always came first. Computes a window of the result
 * only, since a centre crop follows nearly always. Crops no source, touches no colour. Read
 * pixels.h first, then eg_data_resize; the two pass_* functions are the hot loops. */
#include "data/pixels.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define PRECISION_BITS 22 /* 32 - 8 for the pixel - 2 of headroom, as Pillow */
#define LANES          16 /* pixels a hot loop carries at once */

/* ---- scratch ---- */

/* The new block comes before the old one goes, so that a failure leaves the scratch usable. */
bool eg_data_scratch_reserve(eg_data_scratch *scratch, size_t bytes) {
    if (bytes <= scratch->size_bytes) return true;
    uint8_t *data = eg_malloc(bytes);
    if (!data) return false;
    eg_free(scratch->data);
    scratch->data = data;
    scratch->size_bytes = bytes;
    return true;
}

void eg_data_scratch_free(eg_data_scratch *scratch) {
    eg_free(scratch->data);
    *scratch = (eg_data_scratch){0};
}

/* ---- filters ---- */

/* A triangle of half-width 1. */
static double bilinear(double x) {
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Keys' cubic with a = -0.5. */
static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

/* Half-width in source pixels at scale 1; shrinking widens it, which is the antialiasing. */
static double filter_support(eg_interp interp) {
    return interp == EG_INTERP_BICUBIC ? 2.0 : 1.0;
}

/* One axis: output i (counted from the window's start) is the sum over t < n_taps[i] of k[i *
 * max_taps + t] * source[first[i] + t]. */
typedef struct {
    int n, max_taps;
    int *first, *n_taps;
    int32_t *k;
} axis;

/* Room for the coefficients of one output. */
static int axis_max_taps(double scale, eg_interp interp) {
    return (int)ceil(filter_support(interp) * fmax(scale, 1.0)) * 2 + 1;
}

/* The order of the floating-point operations is Pillow's; it decides the last bit of a
 * coefficient. */
static void fill_axis(axis *a, int in_size, float in0, float in1, int out_size, int start,
                      eg_interp interp, double *weights) {
    double scale = (double)(in1 - in0) / out_size;
    double filter_scale = scale < 1.0 ? 1.0 : scale;
    double support = filter_support(interp) * filter_scale, inverse = 1.0 / filter_scale;
    for (int i = 0; i < a->n; i++) {
        double centre = in0 + (start + i + 0.5) * scale;
        int first = (int)(centre - support + 0.5), end = (int)(centre + support + 0.5);
        if (first < 0) first = 0;
        if (end > in_size) end = in_size;
        int n = end - first;
        double sum = 0.0;
        for (int t = 0; t < n; t++) {
            double x = (t + first - centre + 0.5) * inverse;
            weights[t] = interp == EG_INTERP_BICUBIC ? bicubic(x) : bilinear(x);
            sum += weights[t];
        }
        int32_t *k = a->k + (size_t)i * (size_t)a->max_taps;
        for (int t = 0; t < n; t++) {
            double w = (sum != 0.0 ? weights[t] / sum : weights[t]) * (1 << PRECISION_BITS);
            k[t] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
        }
        a->first[i] = first;
        a->n_taps[i] = n;
    }
}

/* Source lines from first[0] to the end of the last output's taps. */
static inline int axis_extent(const axis *a) {
    return a->first[a->n - 1] + a->n_taps[a->n - 1] - a->first[0];
}

/* ---- the two passes ---- */

typedef int32_t lanes8 __attribute__((vector_size(32)));
typedef uint8_t bytes8 __attribute__((vector_size(8)));

/* sum += k * the 16 bytes at p, in two halves. A macro: vectors as arguments would tie the code
 * to one ABI. */
#define ADD_16(low, high, p, k)                                                                    \
    do {                                                                                           \
        bytes8 p_low, p_high;                                                                      \
        memcpy(&p_low, (p), 8);                                                                    \
        memcpy(&p_high, (p) + 8, 8);                                                               \
        (low) += __builtin_convertvector(p_low, lanes8) * (k);                                     \
        (high) += __builtin_convertvector(p_high, lanes8) * (k);                                   \
    } while (0)

/* sum >> 22, clipped to 0..255, 8 bytes to p. A comparison gives -1 where true. */
#define STORE_8(p, sum)                                                                            \
    do {                                                                                           \
        lanes8 value = (sum) >> PRECISION_BITS;                                                    \
        value &= value > 0;                                                                        \
        lanes8 over = value > 255;                                                                 \
        value = (value & ~over) | (over & 255);                                                    \
        bytes8 value_bytes = __builtin_convertvector(value, bytes8);                               \
        memcpy((p), &value_bytes, 8);                                                              \
    } while (0)

/* STORE_8 for one value. */
static inline uint8_t clip8(int32_t sum) {
    int32_t value = sum >> PRECISION_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* Columns: n_rows rows -> (n_rows, a->n, n_ch). src points at the first row and at column
 * a->first[0]. Sixteen rows are turned at a time, so that one coefficient meets sixteen
 * neighbouring bytes. block: 16 * n_ch * (columns needed) bytes. */
static inline __attribute__((always_inline)) void
pass_columns_body(uint8_t *dst, size_t dst_stride, const uint8_t *src, size_t src_stride,
                  int n_rows, size_t n_ch, const axis *a, uint8_t *block) {
    const int first_column = a->first[0];
    const size_t n_bytes = (size_t)axis_extent(a) * n_ch;
    for (int row = 0; row < n_rows; row += LANES) {
        int count = n_rows - row < LANES ? n_rows - row : LANES;
        for (int r = 0; r < LANES; r++) { // lanes beyond the last row repeat it
            const uint8_t *line = src + (size_t)(row + (r < count ? r : count - 1)) * src_stride;
            for (size_t j = 0; j < n_bytes; j++) block[j * LANES + (size_t)r] = line[j];
        }
        for (int i = 0; i < a->n; i++) {
            const int32_t *k = a->k + (size_t)i * (size_t)a->max_taps;
            const int taps = a->n_taps[i];
            const uint8_t *from = block + (size_t)(a->first[i] - first_column) * n_ch * LANES;
            for (size_t c = 0; c < n_ch; c++) {
                lanes8 low = {0}, high = {0};
                low += 1 << (PRECISION_BITS - 1);
                high += 1 << (PRECISION_BITS - 1);
                for (int t = 0; t < taps; t++)
                    ADD_16(low, high, from + ((size_t)t * n_ch + c) * LANES, k[t]);
                uint8_t out[LANES];
                STORE_8(out, low);
                STORE_8(out + 8, high);
                uint8_t *to = dst + (size_t)row * dst_stride + (size_t)i * n_ch + c;
                for (int r = 0; r < count; r++) to[(size_t)r * dst_stride] = out[r];
            }
        }
    }
}

/* Rows: a->n rows of n_bytes bytes. src points at row a->first[0]. */
static inline __attribute__((always_inline)) void pass_rows_body(uint8_t *dst, size_t dst_stride,
                                                                 const uint8_t *src,
                                                                 size_t src_stride, size_t n_bytes,
                                                                 const axis *a) {
    for (int i = 0; i < a->n; i++) {
        const int32_t *k = a->k + (size_t)i * (size_t)a->max_taps;
        const uint8_t *from = src + (size_t)(a->first[i] - a->first[0]) * src_stride;
        uint8_t *to = dst + (size_t)i * dst_stride;
        const int taps = a->n_taps[i];
        size_t j = 0;
        for (; j + LANES <= n_bytes; j += LANES) {
            lanes8 low = {0}, high = {0};
            low += 1 << (PRECISION_BITS - 1);
            high += 1 << (PRECISION_BITS - 1);
            for (int t = 0; t < taps; t++)
                ADD_16(low, high, from + (size_t)t * src_stride + j, k[t]);
            STORE_8(to + j, low);
            STORE_8(to + j + 8, high);
        }
        for (; j < n_bytes; j++) {
            int32_t sum = 1 << (PRECISION_BITS - 1);
            for (int t = 0; t < taps; t++) sum += k[t] * from[(size_t)t * src_stride + j];
            to[j] = clip8(sum);
        }
    }
}

/* The same code for AVX2 where the processor has it: integers, so the bits are the same. */
#ifdef __x86_64__
#    define FOR_AVX2 __attribute__((target("avx2")))

static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") != 0;
}
#else
#    define FOR_AVX2

static bool has_avx2(void) {
    return false;
}
#endif

FOR_AVX2 static void pass_columns_avx2(uint8_t *dst, size_t dst_stride, const uint8_t *src,
                                       size_t src_stride, int n_rows, size_t n_ch, const axis *a,
                                       uint8_t *block) {
    pass_columns_body(dst, dst_stride, src, src_stride, n_rows, n_ch, a, block);
}

static void pass_columns(uint8_t *dst, size_t dst_stride, const uint8_t *src, size_t src_stride,
                         int n_rows, size_t n_ch, const axis *a, uint8_t *block) {
    if (has_avx2())
        pass_columns_avx2(dst, dst_stride, src, src_stride, n_rows, n_ch, a, block);
    else
        pass_columns_body(dst, dst_stride, src, src_stride, n_rows, n_ch, a, block);
}

FOR_AVX2 static void pass_rows_avx2(uint8_t *dst, size_t dst_stride, const uint8_t *src,
                                    size_t src_stride, size_t n_bytes, const axis *a) {
    pass_rows_body(dst, dst_stride, src, src_stride, n_bytes, a);
}

static void pass_rows(uint8_t *dst, size_t dst_stride, const uint8_t *src, size_t src_stride,
                      size_t n_bytes, const axis *a) {
    if (has_avx2())
        pass_rows_avx2(dst, dst_stride, src, src_stride, n_bytes, a);
    else
        pass_rows_body(dst, dst_stride, src, src_stride, n_bytes, a);
}

/* ---- plan and run ---- */

/* Parts of the scratch start at 64 bytes. */
static size_t round_up(size_t n) {
    return (n + 63) & ~(size_t)63;
}

/* Offsets of the parts of the scratch block, and its size in `total`. */
typedef struct {
    size_t columns_at, rows_at, weights_at, block_at, between_at, total;
    int column_taps, row_taps;
} layout;

/* Grows with the source's size and never with the box, so a bound for the whole image holds for all
 * its parts. `between` holds the result of whichever pass comes first. */
static layout plan_layout(double scale_x, double scale_y, int width, int height, int channels,
                          const eg_data_window *w, eg_interp interp) {
    layout l = {.column_taps = axis_max_taps(scale_x, interp),
                .row_taps = axis_max_taps(scale_y, interp)};
    size_t n_c = (size_t)w->n_columns, n_r = (size_t)w->n_rows;
    size_t taps = (size_t)(l.column_taps > l.row_taps ? l.column_taps : l.row_taps);
    l.rows_at = round_up(n_c * (2 * sizeof(int) + (size_t)l.column_taps * sizeof(int32_t)));
    l.weights_at =
        l.rows_at + round_up(n_r * (2 * sizeof(int) + (size_t)l.row_taps * sizeof(int32_t)));
    l.block_at = l.weights_at + round_up(taps * sizeof(double));
    l.between_at = l.block_at + round_up((size_t)width * (size_t)channels * LANES);
    size_t tall = (size_t)height * n_c, wide = n_r * (size_t)width; // between the passes
    l.total = l.between_at + round_up((tall > wide ? tall : wide) * (size_t)channels);
    return l;
}

size_t eg_data_resize_scratch_bytes(int src_width, int src_height, int channels,
                                    const eg_data_window *w, eg_interp interp) {
    if (src_width < 1 || src_height < 1 || w->width < 1 || w->height < 1) return 0;
    return plan_layout((double)src_width / w->width, (double)src_height / w->height, src_width,
                       src_height, channels, w, interp)
        .total;
}

/* Arrays of one axis, one behind the other. */
static axis carve_axis(uint8_t *at, int n, int max_taps) {
    axis a = {.n = n, .max_taps = max_taps};
    a.first = (int *)(void *)at;
    a.n_taps = a.first + n;
    a.k = (int32_t *)(a.n_taps + n);
    return a;
}

/* All that can be wrong with the arguments, before anything is computed from them. */
static eg_status check_sizes(const eg_data_window *w, const eg_data_view *src, const float box[4],
                             eg_error *err) {
    if (src->width < 1 || src->height < 1 || (src->channels != 1 && src->channels != 3))
        return eg_fail(err, EG_ERR_INPUT, "resize: image of %d x %d pixels and %d channels",
                       src->width, src->height, src->channels);
    if (w->width < 1 || w->height < 1)
        return eg_fail(err, EG_ERR_INPUT, "resize: to %d x %d pixels - both sides must be positive",
                       w->width, w->height);
    const int sides[] = {src->width, src->height, w->width, w->height};
    for (int i = 0; i < 4; i++)
        if (sides[i] > EG_DATA_MAX_SIDE_PX)
            return eg_fail(err, EG_ERR_LIMIT,
                           "resize: a side of %d pixels, at most %d are supported", sides[i],
                           EG_DATA_MAX_SIDE_PX);
    if (!(box[0] >= 0 && box[1] >= 0 && box[2] <= (float)src->width &&
          box[3] <= (float)src->height && box[2] > box[0] && box[3] > box[1]))
        return eg_fail(err, EG_ERR_INPUT,
                       "resize: box (%g, %g, %g, %g) does not lie in %d x %d pixels",
                       (double)box[0], (double)box[1], (double)box[2], (double)box[3], src->width,
                       src->height);
    return EG_OK;
}

/* Pillow 13 (python-pillow/Pillow#9549): rows first when the height loses more than twice the
 * pixels that the width loses. Derived from its results (4,400 sizes, with and without boxes);
 * the whole source counts, not the box. */
static bool vertical_first(const eg_data_window *w, const eg_data_view *src) {
    return w->height < src->height && src->height - w->height > 2 * (src->width - w->width);
}

/* The one or two passes that are needed, each over the part that the window needs. */
static void run_passes(uint8_t *dst, size_t dst_stride, const eg_data_window *w,
                       const eg_data_view *src, const float box[4], const axis *columns,
                       const axis *rows, uint8_t *block, uint8_t *between) {
    // A pass at scale 1 has coefficients 0 and 1 only; leaving it out changes no bit.
    bool do_columns = w->width != src->width || box[0] != 0 || box[2] != (float)src->width;
    bool do_rows = w->height != src->height || box[1] != 0 || box[3] != (float)src->height;
    const size_t n_ch = (size_t)src->channels, n_bytes = (size_t)w->n_columns * n_ch;
    const size_t stride = src->stride_bytes;
    const uint8_t *from = src->pixels + (size_t)(do_rows ? rows->first[0] : w->top) * stride +
                          (size_t)(do_columns ? columns->first[0] : w->left) * n_ch;
    if (do_columns && do_rows && vertical_first(w, src)) {
        size_t wide = (size_t)axis_extent(columns) * n_ch;
        pass_rows(between, wide, from, stride, wide, rows);
        pass_columns(dst, dst_stride, between, wide, w->n_rows, n_ch, columns, block);
    } else if (do_columns && do_rows) {
        pass_columns(between, n_bytes, from, stride, axis_extent(rows), n_ch, columns, block);
        pass_rows(dst, dst_stride, between, n_bytes, n_bytes, rows);
    } else if (do_columns) {
        pass_columns(dst, dst_stride, from, stride, w->n_rows, n_ch, columns, block);
    } else if (do_rows) {
        pass_rows(dst, dst_stride, from, stride, n_bytes, rows);
    } else {
        for (int r = 0; r < w->n_rows; r++)
            memcpy(dst + (size_t)r * dst_stride, from + (size_t)r * stride, n_bytes);
    }
}

eg_status eg_data_resize(uint8_t *dst, size_t dst_stride, const eg_data_window *w,
                         const eg_data_view *src, const double box[4], eg_interp interp,
                         eg_data_scratch *scratch, eg_error *err) {
    float b[4] = {0, 0, (float)src->width, (float)src->height}; // float, as Pillow keeps it
    for (int i = 0; box && i < 4; i++) b[i] = (float)box[i];
    EG_TRY(check_sizes(w, src, b, err));
    assert(w->left >= 0 && w->top >= 0 && w->n_columns >= 1 && w->n_rows >= 1);
    assert(w->left + w->n_columns <= w->width && w->top + w->n_rows <= w->height);
    layout l = plan_layout((double)(b[2] - b[0]) / w->width, (double)(b[3] - b[1]) / w->height,
                           src->width, src->height, src->channels, w, interp);
    if (!eg_data_scratch_reserve(scratch, l.total))
        return eg_fail(err, EG_ERR_NO_MEMORY, "resize: out of memory (%zu bytes)", l.total);
    axis columns = carve_axis(scratch->data + l.columns_at, w->n_columns, l.column_taps);
    axis rows = carve_axis(scratch->data + l.rows_at, w->n_rows, l.row_taps);
    double *weights = (double *)(void *)(scratch->data + l.weights_at);
    fill_axis(&columns, src->width, b[0], b[2], w->width, w->left, interp, weights);
    fill_axis(&rows, src->height, b[1], b[3], w->height, w->top, interp, weights);

    run_passes(dst, dst_stride, w, src, b, &columns, &rows, scratch->data + l.block_at,
               scratch->data + l.between_at);
    return EG_OK;
}

eg_status eg_resize(uint8_t *dst, int width, int height, const eg_image *src, const double box[4],
                    eg_interp interp, eg_error *err) {
    eg_data_scratch scratch = {0};
    eg_data_view view = eg_data_view_of(src);
    eg_data_window whole = {width, height, 0, 0, width, height};
    eg_status status = eg_data_resize(dst, (size_t)width * (size_t)view.channels, &whole, &view,
                                      box, interp, &scratch, err);
    eg_data_scratch_free(&scratch);
    return status;
}
