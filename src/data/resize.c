/* Pillow's resize, bit for bit: which part of the source is needed, which pass comes first
 * (vertical_first() is the rule of Pillow 13; before, columns always came first), and the scratch
 * for it. Computes a window of the result only, since a centre crop follows nearly always. Crops
 * no source, touches no colour. Coefficients: resize_axis.c; loops: resize_passes.c. Read
 * resize.h first, then eg_data_resize. */
#include "data/resize.h"

#include <assert.h>
#include <string.h>

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

void eg_data_work_free(eg_data_work *work) {
    eg_data_scratch_free(&work->resize);
    eg_data_scratch_free(&work->canvas);
    eg_data_scratch_free(&work->table);
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

bool eg_data_work_level(eg_data_work *const works[], size_t n) {
    size_t resize = 0, canvas = 0, table = 0;
    for (size_t i = 0; i < n; i++) {
        resize = larger(resize, works[i]->resize.size_bytes);
        canvas = larger(canvas, works[i]->canvas.size_bytes);
        table = larger(table, works[i]->table.size_bytes);
    }
    for (size_t i = 0; i < n; i++)
        if (!eg_data_scratch_reserve(&works[i]->resize, resize) ||
            !eg_data_scratch_reserve(&works[i]->canvas, canvas) ||
            !eg_data_scratch_reserve(&works[i]->table, table))
            return false;
    return true;
}

/* ---- plan ---- */

/* Parts of the scratch start at 64 bytes. */
static size_t round_up(size_t n) {
    return (n + 63) & ~(size_t)63;
}

/* Offsets of the parts of the scratch block, and its size in `total`. */
typedef struct {
    size_t columns_at, rows_at, weights_at, block_at, between_at, total;
    int column_taps, row_taps;
} layout;

/* Offsets from the sizes of the parts. `between` holds the result of whichever pass comes first. */
static layout place_parts(size_t columns_bytes, size_t rows_bytes, size_t taps,
                          const eg_data_view *src, size_t n_columns, size_t n_rows) {
    layout l = {0};
    const size_t wide = (size_t)src->width, tall = (size_t)src->height;
    l.rows_at = round_up(columns_bytes);
    l.weights_at = l.rows_at + round_up(rows_bytes);
    l.block_at = l.weights_at + round_up(taps * sizeof(double));
    l.between_at = l.block_at + round_up(wide * (size_t)src->channels * EG_DATA_RESIZE_LANES);
    l.total = l.between_at + round_up(larger(tall * n_columns, wide * n_rows) *
                                      eg_data_pixel_bytes(src->channels, src->deep));
    return l;
}

/* Grows with the source's size and never with the box, so a bound for the whole image holds for all
 * its parts. */
static layout plan_layout(double scale_x, double scale_y, const eg_data_view *src,
                          const eg_data_window *w, eg_interp interp) {
    const int x_taps = eg_data_axis_max_taps(scale_x, interp);
    const int y_taps = eg_data_axis_max_taps(scale_y, interp);
    layout l = place_parts(eg_data_axis_bytes(w->n_columns, x_taps, src->deep),
                           eg_data_axis_bytes(w->n_rows, y_taps, src->deep),
                           (size_t)(x_taps > y_taps ? x_taps : y_taps), src, (size_t)w->n_columns,
                           (size_t)w->n_rows);
    l.column_taps = x_taps;
    l.row_taps = y_taps;
    return l;
}

size_t eg_data_resize_scratch_bytes(const eg_data_view *src, const eg_data_window *w,
                                    eg_interp interp) {
    if (src->width < 1 || src->height < 1 || w->width < 1 || w->height < 1) return 0;
    return plan_layout((double)src->width / w->width, (double)src->height / w->height, src, w,
                       interp)
        .total;
}

/* n outputs over at most n_in pixels, reduced by n_in / n or less: the taps of all together stay
 * below those of scale 1 for each and twice the support for every pixel. */
static size_t axis_bound(int n, int n_in, const eg_data_view *src, eg_interp interp) {
    const int least = eg_data_axis_max_taps(1, interp);
    return eg_data_axis_bytes(n, least + 2, src->deep) + eg_data_axis_bytes(n_in, least, src->deep);
}

size_t eg_data_resize_scratch_bound(const eg_data_view *src, int n_columns, int n_rows,
                                    eg_interp interp) {
    const int longer = src->width > src->height ? src->width : src->height;
    const size_t taps = (size_t)eg_data_axis_max_taps(longer, interp);
    return place_parts(axis_bound(n_columns, src->width, src, interp),
                       axis_bound(n_rows, src->height, src, interp), taps, src, (size_t)n_columns,
                       (size_t)n_rows)
        .total;
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

/* ---- run ---- */

/* Pillow 13 (python-pillow/Pillow#9549): rows first when the height loses more than twice the
 * pixels that the width loses. Derived from its results (4,400 sizes, with and without boxes);
 * the whole source counts, not the box. */
static bool vertical_first(const eg_data_window *w, const eg_data_view *src) {
    return w->height < src->height && src->height - w->height > 2 * (src->width - w->width);
}

/* The one or two passes that are needed, each over the part that the window needs. */
static void run_passes(uint8_t *dst, size_t dst_stride, const eg_data_window *w,
                       const eg_data_view *src, const float box[4], const eg_data_axis *columns,
                       const eg_data_axis *rows, uint8_t *block, uint8_t *between) {
    // A pass at scale 1 has coefficients 0 and 1 only; leaving it out changes no bit.
    bool do_columns = w->width != src->width || box[0] != 0 || box[2] != (float)src->width;
    bool do_rows = w->height != src->height || box[1] != 0 || box[3] != (float)src->height;
    const size_t n_ch = (size_t)src->channels, n = (size_t)w->n_columns * n_ch;
    const size_t pixel_bytes = eg_data_pixel_bytes(src->channels, src->deep);
    const size_t stride = src->stride_bytes, n_bytes = (size_t)w->n_columns * pixel_bytes;
    const uint8_t *from = src->pixels + (size_t)(do_rows ? rows->first[0] : w->top) * stride +
                          (size_t)(do_columns ? columns->first[0] : w->left) * pixel_bytes;
    if (do_columns && do_rows && vertical_first(w, src)) {
        size_t extent = (size_t)eg_data_axis_extent(columns), wide = extent * pixel_bytes;
        eg_data_pass_rows(between, wide, from, stride, extent * n_ch, rows);
        eg_data_pass_columns(dst, dst_stride, between, wide, w->n_rows, n_ch, columns, block);
    } else if (do_columns && do_rows) {
        eg_data_pass_columns(between, n_bytes, from, stride, eg_data_axis_extent(rows), n_ch,
                             columns, block);
        eg_data_pass_rows(dst, dst_stride, between, n_bytes, n, rows);
    } else if (do_columns) {
        eg_data_pass_columns(dst, dst_stride, from, stride, w->n_rows, n_ch, columns, block);
    } else if (do_rows) {
        eg_data_pass_rows(dst, dst_stride, from, stride, n, rows);
    } else {
        for (int r = 0; r < w->n_rows; r++)
            memcpy(dst + (size_t)r * dst_stride, from + (size_t)r * stride, n_bytes);
    }
}

/* Pixels taken as they are. */
static void run_nearest(uint8_t *dst, size_t dst_stride, const eg_data_view *src,
                        const eg_data_axis *columns, const eg_data_axis *rows) {
    const size_t bytes = eg_data_pixel_bytes(src->channels, src->deep);
    for (int r = 0; r < rows->n; r++) {
        uint8_t *to = dst + (size_t)r * dst_stride;
        for (int i = 0; i < columns->n; i++, to += bytes) {
            const int x = columns->first[i], y = rows->first[r];
            if (x < 0 || y < 0)
                memset(to, 0, bytes);
            else
                memcpy(to, src->pixels + (size_t)y * src->stride_bytes + (size_t)x * bytes, bytes);
        }
    }
}

eg_status eg_data_resize(void *dst, size_t dst_stride, const eg_data_window *w,
                         const eg_data_view *src, const double box[4], eg_interp interp,
                         eg_data_scratch *scratch, eg_error *err) {
    float b[4] = {0, 0, (float)src->width, (float)src->height}; // float, as Pillow keeps it
    for (int i = 0; box && i < 4; i++) b[i] = (float)box[i];
    EG_TRY(check_sizes(w, src, b, err));
    assert(w->left >= 0 && w->top >= 0 && w->n_columns >= 1 && w->n_rows >= 1);
    assert(w->left + w->n_columns <= w->width && w->top + w->n_rows <= w->height);
    layout l = plan_layout((double)(b[2] - b[0]) / w->width, (double)(b[3] - b[1]) / w->height, src,
                           w, interp);
    if (!eg_data_scratch_reserve(scratch, l.total))
        return eg_fail(err, EG_ERR_NO_MEMORY, "resize: out of memory (%zu bytes)", l.total);
    eg_data_axis columns =
        eg_data_axis_carve(scratch->data + l.columns_at, w->n_columns, l.column_taps, src->deep);
    eg_data_axis rows =
        eg_data_axis_carve(scratch->data + l.rows_at, w->n_rows, l.row_taps, src->deep);
    if (interp == EG_INTERP_NEAREST) {
        eg_data_axis_nearest(&columns, src->width, b[0], b[2], w->width, w->left, src->deep);
        eg_data_axis_nearest(&rows, src->height, b[1], b[3], w->height, w->top, src->deep);
        run_nearest(dst, dst_stride, src, &columns, &rows);
        return EG_OK;
    }
    double *weights = (double *)(void *)(scratch->data + l.weights_at);
    eg_data_axis_fill(&columns, src->width, b[0], b[2], w->width, w->left, interp, weights);
    eg_data_axis_fill(&rows, src->height, b[1], b[3], w->height, w->top, interp, weights);
    run_passes(dst, dst_stride, w, src, b, &columns, &rows, scratch->data + l.block_at,
               scratch->data + l.between_at);
    return EG_OK;
}

eg_status eg_resize(void *dst, int width, int height, const eg_image *src, const double box[4],
                    eg_interp interp, eg_error *err) {
    eg_data_scratch scratch = {0};
    eg_data_view view = eg_data_view_of(src);
    eg_data_window whole = {width, height, 0, 0, width, height};
    eg_status status =
        eg_data_resize(dst, (size_t)width * eg_data_pixel_bytes(view.channels, view.deep), &whole,
                       &view, box, interp, &scratch, err);
    eg_data_scratch_free(&scratch);
    return status;
}
