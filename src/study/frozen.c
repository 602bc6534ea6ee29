/* Frozen mode with a still trunk: features of every image are computed once, and only the last
 * layer is fitted on them, exactly (head_exact.c) or by the recipe (head_recipe.c). This file
 * computes and writes the features, scores with them and saves the fitted network. */
#include "study/feature_cache.h"
#include "study/recipe.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory for features");
}

eg_status eg_study_head_find(eg_net_tensor **weight, eg_net_tensor **bias, eg_network *net,
                             eg_error *err) {
    size_t n;
    eg_net_tensor *tensors = eg_network_tensors(net, &n);
    *weight = *bias = NULL;
    for (size_t i = 0; i < n; i++) {
        if (!tensors[i].is_head || tensors[i].is_aux || tensors[i].role != EG_TENSOR_PARAMETER)
            continue;
        if (tensors[i].n_dims == 2)
            *weight = &tensors[i];
        else
            *bias = &tensors[i];
    }
    if (*weight && *bias) return EG_OK;
    return eg_fail(err, EG_ERR_INTERNAL, "the network has no last linear layer with a bias");
}

/* Features of every sample of the data set, by dataset index. */
static eg_status fill_store(eg_run *run, eg_error *err) {
    const eg_dataset *ds = run->data->ds;
    const eg_settings *s = run->s;
    eg_feature_store *store = run->store;
    eg_row_cache cache = eg_study_row_cache(&s->o, run->ev);
    eg_scorer_options o = {.ds = ds,
                           .preprocess = s->preprocess,
                           .batch = s->score_batch,
                           .workers = (int)s->o.workers,
                           .deterministic = s->o.deterministic,
                           .bf16 = s->bf16,
                           .features = true};
    uint32_t *all = NULL; /* every sample, so in the order of the data set */
    EG_TRY(eg_dataset_indices(&all, &o.n, ds, EG_SPLIT_ALL, err));
    o.indices = all;
    eg_status status = eg_study_features_get(store, run->net, &o, &cache, run->ev, err);
    eg_free(all);
    EG_TRY(status);
    run->bf16 = store->bf16;
    run->feature_seconds = store->seconds;
    run->images_per_second = store->n_cached < store->n && store->seconds > 0
                                 ? (double)(store->n - store->n_cached) / store->seconds
                                 : NAN;
    run->peak_bytes =
        store->arena_bytes +
        (eg_network_parameters(run->net, false) + store->n * store->width) * sizeof(float);
    return EG_OK;
}

/* View `view` of the training images, from 1, into `out` (n_train, width). */
static eg_status fill_view(float *out, eg_run *run, uint32_t view, eg_error *err) {
    const eg_data_stage *data = run->data;
    const eg_settings *s = run->s;
    eg_row_cache cache = eg_study_row_cache(&s->o, run->ev);
    eg_feature_store store = {0};
    eg_augment augment = s->augment;
    augment.mixup = augment.cutmix = 0; /* a feature has one label */
    eg_scorer_options o = {.ds = data->ds,
                           .indices = data->train,
                           .n = data->n_train,
                           .preprocess = s->preprocess,
                           .batch = s->score_batch,
                           .workers = (int)s->o.workers,
                           .deterministic = s->o.deterministic,
                           .bf16 = s->bf16,
                           .features = true,
                           .augment = &augment,
                           .view = view,
                           .seed = (uint64_t)s->o.seed};
    EG_TRY(eg_study_features_get(&store, run->net, &o, &cache, run->ev, err));
    memcpy(out, store.rows, data->n_train * store.width * sizeof *out);
    run->feature_seconds += store.seconds;
    eg_free(store.rows);
    return EG_OK;
}

static eg_status fill_rows(eg_head_rows *rows, float *x, int32_t *label, eg_run *run,
                           eg_error *err) {
    const eg_data_stage *data = run->data;
    for (size_t i = 0; i < data->n_train; i++) {
        label[i] = data->ds->samples[data->train[i]].label;
        memcpy(x + i * rows->width, run->store->rows + data->train[i] * rows->width,
               rows->width * sizeof *x);
    }
    for (size_t v = 1; v < rows->n_views; v++)
        EG_TRY(fill_view(x + v * data->n_train * rows->width, run, (uint32_t)v, err));
    return EG_OK;
}

eg_status eg_study_head_rows_get(eg_head_rows *out, eg_run *run, eg_error *err) {
    EG_TRY(fill_store(run, err));
    eg_head_rows rows = {
        .n = run->data->n_train, .n_views = (size_t)run->s->o.views, .width = run->store->width};
    size_t floats, bytes;
    float *x = NULL;
    if (eg_mul(&floats, rows.n * rows.n_views, rows.width) && eg_mul(&bytes, floats, sizeof *x))
        x = eg_malloc(bytes);
    int32_t *label = eg_malloc((rows.n + 1) * sizeof *label);
    rows.x = x;
    rows.label = label;
    eg_status status = x && label ? fill_rows(&rows, x, label, run, err) : no_memory(err);
    if (status == EG_OK)
        *out = rows;
    else
        eg_study_head_rows_free(&rows);
    return status;
}

void eg_study_head_rows_free(eg_head_rows *rows) {
    eg_free((void *)(uintptr_t)rows->x);
    eg_free((void *)(uintptr_t)rows->label);
    *rows = (eg_head_rows){0};
}

/* Logits in double from float features and head, rounded to float as the network's own output is.
 * */
static void head_logits(float *logits, const float *row, size_t width, const eg_net_tensor *weight,
                        const eg_net_tensor *bias, int n_classes) {
    for (int k = 0; k < n_classes; k++) {
        const float *w = weight->data + (size_t)k * width;
        double sum = 0;
        for (size_t d = 0; d < width; d++) sum += (double)w[d] * (double)row[d];
        logits[k] = (float)(sum + (double)bias->data[k]);
    }
}

eg_status eg_study_frozen_scores(eg_scores *out, eg_run *run, const uint32_t *indices, size_t n,
                                 eg_error *err) {
    eg_net_tensor *weight, *bias;
    eg_scores s;
    EG_TRY(eg_study_head_find(&weight, &bias, run->net, err));
    EG_TRY(eg_study_scores_new(&s, run->data->ds, indices, n, err));
    size_t n_classes = (size_t)s.n_classes;
    float *logits = eg_malloc((n * n_classes + 1) * sizeof *logits);
    if (!logits) {
        eg_study_scores_free(&s);
        return no_memory(err);
    }
    const eg_feature_store *store = run->store;
    for (size_t i = 0; i < n; i++)
        head_logits(logits + i * n_classes, store->rows + indices[i] * store->width, store->width,
                    weight, bias, s.n_classes);
    eg_softmax(s.prob, logits, n, s.n_classes);
    eg_free(logits);
    *out = s;
    return EG_OK;
}

/* Code points of UTF-8 text, for NumPy's UTF-32 strings; bytes that are no UTF-8 count one each, as
 * latin-1. */
static size_t to_utf32(uint32_t *out, const char *text) {
    size_t n = 0;
    for (const unsigned char *c = (const unsigned char *)text; *c;) {
        int more = *c >= 0xf0 ? 3 : *c >= 0xe0 ? 2 : *c >= 0xc2 ? 1 : 0;
        uint32_t point = more == 3   ? *c & 0x07u
                         : more == 2 ? *c & 0x0fu
                         : more == 1 ? *c & 0x1fu
                                     : *c;
        int i = 1;
        for (; i <= more && (c[i] & 0xc0u) == 0x80u; i++) point = point << 6 | (c[i] & 0x3fu);
        if (i <= more) { /* broken sequence */
            point = *c;
            i = 1;
        }
        if (out) out[n] = point;
        n++;
        c += i;
    }
    return n;
}

/* A "<U" array of `n` texts; *data is eg_free'd by the caller. */
static bool text_array(eg_npy_array *array, uint32_t **data, char descr[24], const char *name,
                       const char *const *texts, size_t n) {
    size_t width = 1;
    for (size_t i = 0; i < n; i++) {
        size_t length = to_utf32(NULL, texts[i]);
        if (length > width) width = length;
    }
    *data = eg_calloc(n * width + 1, sizeof **data);
    if (!*data) return false;
    for (size_t i = 0; i < n; i++) to_utf32(*data + i * width, texts[i]);
    snprintf(descr, 24, "<U%zu", width);
    *array = (eg_npy_array){name, descr, 1, {(int64_t)n}, *data, n * width * sizeof **data};
    return true;
}

eg_status eg_study_features_write(const char *path, const float *rows, size_t width,
                                  const eg_dataset *ds, bool with_split, eg_error *err) {
    size_t n = ds->n_samples;
    int64_t *labels = eg_malloc((n + 1) * sizeof *labels);
    const char **files = eg_malloc((n + 1) * sizeof *files),
               **splits = eg_malloc((n + 1) * sizeof *splits);
    uint32_t *file_text = NULL, *split_text = NULL;
    char file_descr[24], split_descr[24];
    eg_npy_array arrays[4];
    bool ok = labels && files && splits;
    for (size_t i = 0; ok && i < n; i++) {
        labels[i] = ds->samples[i].label;
        files[i] = ds->samples[i].file;
        splits[i] = eg_split_name(ds->samples[i].split);
    }
    arrays[0] = (eg_npy_array){
        "features", "<f4", 2, {(int64_t)n, (int64_t)width}, rows, n * width * sizeof *rows};
    arrays[1] = (eg_npy_array){"labels", "<i8", 1, {(int64_t)n}, labels, n * sizeof *labels};
    ok = ok && text_array(&arrays[2], &file_text, file_descr, "files", files, n) &&
         text_array(&arrays[3], &split_text, split_descr, "split", splits, n);
    eg_status status = ok ? eg_npz_write(path, arrays, with_split ? 4 : 3, err) : no_memory(err);
    eg_free(labels);
    eg_free(files);
    eg_free(splits);
    eg_free(file_text);
    eg_free(split_text);
    return status;
}

/* Save the fitted network: best and last are the same bytes, for the head has one solution (exact)
 * or the best epoch. */
static eg_status save_checkpoints(eg_run *run, eg_error *err) {
    eg_scores val;
    EG_TRY(eg_study_frozen_scores(&val, run, run->data->val, run->data->n_val, err));
    double threshold = eg_study_scores_threshold(&val);
    eg_study_scores_free(&val);
    static const char *const NAMES[] = {"last.safetensors", "best.safetensors"};
    for (int i = 0; i < 2; i++) {
        char *path = eg_path_join(run->dir, NAMES[i]);
        eg_status status =
            path ? eg_study_checkpoint_save(run, path, run->best_epoch, threshold, err)
                 : no_memory(err);
        eg_free(path);
        EG_TRY(status);
    }
    return EG_OK;
}

static eg_status train_on(eg_run *run, const eg_head_rows *rows, eg_error *err) {
    const eg_feature_store *store = run->store;
    char *path = eg_path_join(run->dir, "features.npz");
    eg_status status =
        path ? eg_study_features_write(path, store->rows, store->width, run->data->ds, true, err)
             : no_memory(err);
    eg_free(path);
    EG_TRY(status);
    double start = eg_time_now();
    status =
        run->s->lbfgs ? eg_study_head_exact(run, rows, err) : eg_study_head_recipe(run, rows, err);
    run->train_seconds = eg_time_now() - start;
    return status;
}

eg_status eg_study_train_frozen(eg_run *run, eg_error *err) {
    eg_head_rows rows;
    EG_TRY(eg_study_history_rewrite(run, err));
    EG_TRY(eg_study_head_rows_get(&rows, run, err));
    eg_status status = train_on(run, &rows, err);
    eg_study_head_rows_free(&rows);
    EG_TRY(status);
    return save_checkpoints(run, err);
}

/* The figures of the probe, before its history makes way for that of training. */
static eg_status keep_probe(eg_run *run, eg_error *err) {
    eg_scores val;
    eg_brief brief;
    EG_TRY(eg_study_frozen_scores(&val, run, run->data->val, run->data->n_val, err));
    eg_status status = eg_study_scores_brief(&brief, &val, err);
    eg_study_scores_free(&val);
    EG_TRY(status);
    eg_study_note(run->ev,
                  "linear probe: validation loss %.4f, accuracy %.4f, AUC %.4f; every layer is "
                  "trained from there",
                  brief.loss, brief.accuracy, brief.auc);
    run->probe = json_pack("{s:o, s:o, s:o, s:I, s:o}", "val_loss", eg_json_real(brief.loss),
                           "val_accuracy", eg_json_real(brief.accuracy), "val_auc",
                           eg_json_real(brief.auc), "iterations", (json_int_t)run->epochs,
                           "seconds", eg_json_real(run->feature_seconds + run->train_seconds));
    return run->probe ? EG_OK : no_memory(err);
}

eg_status eg_study_linear_probe(eg_run *run, eg_error *err) {
    eg_head_rows rows;
    EG_TRY(eg_study_history_rewrite(run, err));
    EG_TRY(eg_study_head_rows_get(&rows, run, err));
    double start = eg_time_now();
    eg_status status = eg_study_head_exact(run, &rows, err);
    run->train_seconds = eg_time_now() - start;
    eg_study_head_rows_free(&rows);
    if (status == EG_OK) status = keep_probe(run, err);
    eg_free(run->store->rows);
    *run->store = (eg_feature_store){0};
    json_array_clear(run->history);
    run->epochs = run->best_epoch = 0;
    return status;
}
