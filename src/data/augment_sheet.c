/* The picture sheet of `engraft data --show-augmentation`: what the augmentation makes of some
 * training images, so that a person can see whether it is still medicine. The pictures are those
 * that training would see, taken back from the normalised floats. Writes no file. Read pixels.h
 * first. */
#include "data/pixels.h"

#include <math.h>
#include <string.h>

enum { GAP_PX = 4, MAX_CELLS = 4096 };

/* Everything of one sheet; the arrays are owned. */
typedef struct {
    size_t n;
    int side;
    eg_image *images; /* (n) decoded */
    float *rows;      /* (n, side, side, 3) of one column */
    float *first;     /* (side, side, 3): row 0 before it was mixed */
    eg_image sheet;
} sheet_job;

static void free_job(sheet_job *job) {
    for (size_t i = 0; job->images && i < job->n; i++) eg_image_free(&job->images[i]);
    eg_free(job->images);
    eg_free(job->rows);
    eg_free(job->first);
}

/* Normalised floats back to 8 bit, into the cell (row, column) of the sheet. */
static void put_cell(sheet_job *job, size_t row, size_t column, const float *pixels,
                     const eg_preprocess *p) {
    const size_t side = (size_t)job->side, step = side + GAP_PX;
    for (size_t y = 0; y < side; y++) {
        uint8_t *to =
            job->sheet.pixels +
            3 * ((GAP_PX + row * step + y) * (size_t)job->sheet.width + GAP_PX + column * step);
        for (size_t x = 0; x < side * 3; x++) {
            float value = (*pixels++ * p->std[x % 3] + p->mean[x % 3]) * 255.0f + 0.5f;
            to[x] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
        }
    }
}

/* Each row with the one below it, the last with the first, as a batch of these images would be. */
static void mix_rows(sheet_job *job, const uint32_t *indices, const eg_augment *a, uint64_t seed,
                     uint32_t epoch) {
    const size_t floats = (size_t)job->side * (size_t)job->side * 3;
    memcpy(job->first, job->rows, floats * sizeof(float));
    for (size_t i = 0; i < job->n; i++) {
        const float *below = i + 1 < job->n ? job->rows + (i + 1) * floats : job->first;
        eg_data_mix mix = eg_data_mix_draw(a, job->side, seed, epoch, indices[i]);
        eg_data_mix_apply(job->rows + i * floats, below, job->side, &mix);
    }
}

static eg_status open_job(sheet_job *job, size_t n, int n_draws, int side, eg_error *err) {
    const size_t cells = n * ((size_t)n_draws + 1), step = (size_t)side + GAP_PX;
    if (n < 1 || n_draws < 0 || side < 1 || cells > MAX_CELLS ||
        cells * step * step > (size_t)EG_DATA_MAX_SIDE_PX * 256)
        return eg_fail(err, EG_ERR_USAGE,
                       "augmentation sheet: %zu images, %d draws of %d pixels - too large a sheet",
                       n, n_draws, side);
    const size_t floats = (size_t)side * (size_t)side * 3;
    job->n = n;
    job->side = side;
    job->sheet.width = (int)(((size_t)n_draws + 1) * step + GAP_PX);
    job->sheet.height = (int)(n * step + GAP_PX);
    job->sheet.channels = 3;
    const size_t bytes = eg_image_bytes(&job->sheet);
    job->images = eg_calloc(n, sizeof *job->images);
    job->rows = eg_malloc(n * floats * sizeof(float));
    job->first = eg_malloc(floats * sizeof(float));
    job->sheet.pixels = eg_malloc(bytes);
    if (!job->images || !job->rows || !job->first || !job->sheet.pixels)
        return eg_fail(err, EG_ERR_NO_MEMORY, "augmentation sheet: out of memory");
    memset(job->sheet.pixels, 96, bytes); /* neither black nor white: both occur in pictures */
    return EG_OK;
}

static eg_status draw_sheet(sheet_job *job, const eg_dataset *ds, const uint32_t *indices,
                            int n_draws, const eg_preprocess *p, const eg_augment *a, uint64_t seed,
                            eg_error *err) {
    const size_t floats = (size_t)job->side * (size_t)job->side * 3;
    for (int column = 0; column <= n_draws; column++) {
        for (size_t i = 0; i < job->n; i++) {
            float *row = job->rows + i * floats;
            eg_image *image = &job->images[i];
            if (column == 0) {
                EG_TRY(eg_dataset_image(image, ds, indices[i], err));
                eg_data_collapse_gray(image); /* as the loader does */
            }
            eg_status status = column == 0 ? eg_preprocess_float(row, image, p, err)
                                           : eg_augment_float(row, image, p, a, seed,
                                                              (uint32_t)column, indices[i], err);
            if (status != EG_OK) return eg_error_in(err, status, ds->samples[indices[i]].file);
        }
        if (column > 0) mix_rows(job, indices, a, seed, (uint32_t)column);
        for (size_t i = 0; i < job->n; i++)
            put_cell(job, i, (size_t)column, job->rows + i * floats, p);
    }
    return EG_OK;
}

eg_status eg_augment_sheet(eg_image *out, const eg_dataset *ds, const uint32_t *indices, size_t n,
                           int n_draws, const eg_preprocess *p, const eg_augment *a, uint64_t seed,
                           eg_error *err) {
    sheet_job job = {0};
    eg_status status = open_job(&job, n, n_draws, p->crop, err);
    if (status == EG_OK) status = draw_sheet(&job, ds, indices, n_draws, p, a, seed, err);
    free_job(&job);
    if (status == EG_OK)
        *out = job.sheet;
    else
        eg_image_free(&job.sheet);
    return status;
}
