/* `engraft models --recommend`: two networks for the user's images, by a rule that is printed. A
 * short list is measured here; the time on the user's images follows from their number; a network
 * is dearer by as many points of accuracy as its time has doublings. The rule is pure (first half);
 * the second half makes the document. Read first: task_a.h. Loads no weights but for LogME. */
#include "study/feature_cache.h"
#include "study/task_a.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define POINTS_A_DOUBLING 2.0 /* of ImageNet top-1 that twice the time must buy */
/* eight measurements are a minute or two on two cores; two of a kind are enough to see how it scales */
enum { SHORTLIST = 8, OF_A_KIND = 2, LOGME_IMAGES = 1000 };

/* ---- the rule ---- */

static bool beats(const eg_candidate *a, const eg_candidate *b) {
    return a->top1 >= b->top1 && a->multiply_adds <= b->multiply_adds &&
           (a->top1 > b->top1 || a->multiply_adds < b->multiply_adds);
}

/* Families of one kind: those whose names begin alike, as EfficientNet and EfficientNet-Lite, RegNetX
 * and RegNetY, ResNet and ResNeXt do. Who is asked for two different networks does not want both. */
static bool same_kind(const char *a, const char *b) {
    return strncmp(a, b, 5) == 0;
}

/* Beaten by none of its own family and by at most one other. */
static bool eligible(const eg_candidate *c, size_t n, size_t i) {
    const char *family = NULL;
    if (isnan(c[i].top1)) return false;
    for (size_t k = 0; k < n; k++) {
        if (isnan(c[k].top1) || !beats(&c[k], &c[i])) continue;
        if (strcmp(c[k].family, c[i].family) == 0) return false;
        if (family && strcmp(c[k].family, family) != 0) return false;
        family = c[k].family;
    }
    return true;
}

/* Multiply-adds stand for the time until it is measured. */
static double guess(const eg_candidate *c) {
    return c->top1 - POINTS_A_DOUBLING * log2(c->multiply_adds);
}

size_t eg_study_shortlist(bool *keep, const eg_candidate *c, size_t n, size_t most) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) keep[i] = false;
    while (kept < most) {
        size_t best = n;
        for (size_t i = 0; i < n; i++) {
            size_t of_kind = 0;
            if (keep[i] || !eligible(c, n, i)) continue;
            for (size_t k = 0; k < n; k++)
                of_kind += keep[k] && same_kind(c[k].family, c[i].family);
            if (of_kind >= OF_A_KIND) continue;
            if (best == n || guess(&c[i]) > guess(&c[best])) best = i;
        }
        if (best == n) break;
        keep[best] = true;
        kept++;
    }
    return kept;
}

void eg_study_recommend_rank(int *first, int *second, eg_candidate *c, size_t n, double max_minutes,
                             double max_bytes) {
    *first = *second = -1;
    for (size_t i = 0; i < n; i++) {
        c[i].score = c[i].top1 - POINTS_A_DOUBLING * log2(c[i].minutes);
        c[i].fits = isfinite(c[i].score) && c[i].minutes <= max_minutes && c[i].bytes <= max_bytes;
        if (c[i].fits && (*first < 0 || c[i].score > c[*first].score)) *first = (int)i;
    }
    for (int same = 0; same < 2 && *first >= 0 && *second < 0; same++)
        for (size_t i = 0; i < n; i++) {
            if (!c[i].fits || (int)i == *first) continue;
            if (!same && same_kind(c[i].family, c[*first].family)) continue;
            if (*second < 0 || c[i].score > c[*second].score) *second = (int)i;
        }
}

/* ---- figures of the user's images ---- */

typedef struct {
    const eg_options *o;
    const eg_events *ev;
    eg_dataset *ds;
    double n_train, n_val, n_test;
    double max_bytes;    /* INFINITY: no budget, and what is free is not known */
    json_t *rows;        /* the short list */
    size_t n_pretrained; /* networks it was chosen from */
    bool chosen_here;    /* by the rule; false: all that the user named */
    eg_candidate *c;
    size_t n;
    int first, second;
} advice;

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}

/* Images of each split; validation is taken from train as training would take it. */
static eg_status count_images(advice *a, eg_error *err) {
    double n[EG_SPLIT_COUNT] = {0};
    eg_options o = *a->o;
    o.patients = "none"; /* how many images is all that counts here */
    EG_TRY(eg_study_dataset_open(&a->ds, a->o->data, &o, NULL, a->ev, err));
    for (size_t i = 0; i < a->ds->n_samples; i++) n[a->ds->samples[i].split]++;
    a->n_train = n[EG_SPLIT_TRAIN] + n[EG_SPLIT_ALL];
    a->n_val = n[EG_SPLIT_VAL];
    a->n_test = n[EG_SPLIT_TEST];
    if (n[EG_SPLIT_ALL] > 0 && a->n_val + a->n_test + n[EG_SPLIT_TRAIN] == 0) {
        a->n_test = round(a->o->test_share * a->n_train);
        a->n_train -= a->n_test;
    }
    if (a->n_val == 0) {
        a->n_val = round(a->o->val_share * a->n_train);
        a->n_train -= a->n_val;
    }
    return EG_OK;
}

static void candidate_of(eg_candidate *c, const json_t *row) {
    *c = (eg_candidate){.name = json_string_value(json_object_get(row, "name")),
                        .family = json_string_value(json_object_get(row, "family")),
                        .top1 = eg_study_number(row, "imagenet_top1"),
                        .multiply_adds = eg_study_number(row, "multiply_adds"),
                        .minutes = NAN,
                        .bytes = NAN};
}

/* Rows of the candidates; those that are not worth measuring go. */
static eg_status make_list(advice *a, const eg_arch_info *const *archs, size_t n, bool named,
                           eg_error *err) {
    a->rows = json_array();
    a->c = eg_calloc(n + 1, sizeof *a->c);
    bool *keep = eg_calloc(n + 1, sizeof *keep);
    eg_status status = a->rows && a->c && keep ? EG_OK : no_memory(err);
    if (status == EG_OK) status = eg_study_rows_make(a->rows, archs, n, a->o, a->ev, err);
    size_t n_rows = status == EG_OK ? json_array_size(a->rows) : 0;
    for (size_t i = 0; i < n_rows; i++) {
        candidate_of(&a->c[i], json_array_get(a->rows, i));
        keep[i] = !isnan(a->c[i].top1);
        a->n_pretrained += keep[i];
    }
    /* names are the user's own short list, unless there are too many to measure */
    a->chosen_here = !named || a->n_pretrained > SHORTLIST;
    if (a->chosen_here) eg_study_shortlist(keep, a->c, n_rows, SHORTLIST);
    for (size_t i = n_rows; i-- > 0;)
        if (!keep[i]) json_array_remove(a->rows, i);
    eg_free(keep);
    EG_TRY(status);
    a->n = json_array_size(a->rows);
    if (a->n == 0)
        return eg_fail(err, EG_ERR_USAGE,
                       "--recommend: none of these networks has pretrained weights to transfer");
    return EG_OK;
}

/* A --weights FILE without a name cannot belong to several networks. */
static eg_status check_weights(const advice *a, eg_error *err) {
    char *plain = NULL;
    EG_TRY(eg_study_weights_find(&plain, a->o->weights, "", err));
    eg_status status = EG_OK;
    if (plain && a->n > 1)
        status =
            eg_fail(err, EG_ERR_USAGE,
                    "--weights %s: stands for each of %zu networks; write --weights MODEL=FILE",
                    plain, a->n);
    eg_free(plain);
    return status;
}

/* Minutes of one network in both modes: fine-tuning (all epochs, validation after each), features
 * of every image once, the test images scored. */
static bool add_minutes(advice *a, size_t i, json_t *row) {
    double train = eg_study_number(row, "measured_train_ms_per_image") / 60e3,
           ms = eg_study_number(row, "measured_ms_per_image") / 60e3;
    double tune = (double)a->o->epochs * (a->n_train * train + a->n_val * ms) + a->n_test * ms;
    double features = (a->n_train + a->n_val + a->n_test) * ms;
    candidate_of(&a->c[i], row);
    a->c[i].minutes = tune + features;
    a->c[i].bytes = eg_study_number(row, "peak_bytes");
    return json_object_set_new(row, "seconds_per_epoch", eg_json_real(60 * a->n_train * train)) ==
               0 &&
           json_object_set_new(row, "finetune_minutes", eg_json_real(tune)) == 0 &&
           json_object_set_new(row, "features_minutes", eg_json_real(features)) == 0 &&
           json_object_set_new(row, "minutes", eg_json_real(tune + features)) == 0;
}

/* ---- transferability ---- */

/* LogME of the training images, at most LOGME_IMAGES of them, evenly over the classes' order. */
static eg_status logme_of(double *out, size_t *used, advice *a, eg_network *net, eg_error *err) {
    const eg_arch_info *arch = eg_network_info(net);
    eg_feature_store store = {0};
    eg_row_cache cache = eg_study_row_cache(a->o, a->ev);
    eg_dtype_choice dtype;
    EG_TRY(eg_study_dtype_choose(&dtype, a->o->dtype, net, false, err));
    eg_scorer_options o = {
        .ds = a->ds, .batch = (int)a->o->batch_size, .bf16 = dtype.bf16, .features = true};
    size_t n = 0, all = 0, step = (size_t)ceil((a->n_train + a->n_val) / LOGME_IMAGES);
    uint32_t *indices = eg_malloc((a->ds->n_samples + 1) * sizeof *indices);
    int32_t *labels = eg_malloc((a->ds->n_samples + 1) * sizeof *labels);
    eg_status status = indices && labels ? EG_OK : no_memory(err);
    for (size_t i = 0; status == EG_OK && i < a->ds->n_samples; i++) {
        if (a->ds->samples[i].split == EG_SPLIT_TEST || all++ % (step ? step : 1) != 0) continue;
        labels[n] = a->ds->samples[i].label;
        indices[n++] = (uint32_t)i;
    }
    o.indices = indices;
    o.n = n;
    if (status == EG_OK)
        status = eg_study_preset(&o.preprocess, arch, "weights", a->o->img_size, err);
    /* the same images for every network: hashed once */
    if (status == EG_OK && cache.folder && a->ds->hashed_at == 0)
        status = eg_dataset_hash(a->ds, indices, n, a->ev, err);
    if (status == EG_OK) status = eg_study_features_get(&store, net, &o, &cache, a->ev, err);
    if (status == EG_OK)
        status = eg_logme(out, store.rows, labels, n, store.width, a->ds->n_classes, err);
    *used = n;
    eg_free(store.rows);
    eg_free(labels);
    eg_free(indices);
    return status;
}

/* Where the row's weights are: --weights, else the caches. *path NULL: nowhere. */
static eg_status find_weights(char **path, const advice *a, const eg_arch_info *arch,
                              eg_error *err) {
    EG_TRY(eg_study_weights_find(path, a->o->weights, arch->name, err));
    if (*path || !arch->weights_file) return EG_OK;
    eg_cached_weights found = {0};
    EG_TRY(eg_study_weights_cached(&found, arch->name, arch->weights_file, arch->weights_sha256,
                                   a->o, err));
    *path = found.path;
    return EG_OK;
}

static eg_status add_logme(advice *a, json_t *row, const eg_arch_info *arch, const char *path,
                           eg_error *err) {
    eg_state_dict *sd = NULL;
    eg_network *net = NULL;
    bool head;
    double value = NAN;
    size_t used = 0;
    eg_study_note(a->ev, "LogME of %s", arch->name);
    EG_TRY(eg_weights_read(&sd, path, err));
    eg_status status = eg_network_new(&net, arch->name, a->ds->n_classes, (int)a->o->img_size, err);
    if (status == EG_OK) status = eg_network_load(net, sd, &head, err);
    if (status == EG_OK) status = logme_of(&value, &used, a, net, err);
    eg_network_free(net);
    eg_state_dict_free(sd);
    EG_TRY(status);
    bool ok = json_object_set_new(row, "logme", eg_json_real(value)) == 0 &&
              json_object_set_new(row, "logme_images", json_integer((json_int_t)used)) == 0;
    return ok ? EG_OK : no_memory(err);
}

/* ---- the document ---- */

static eg_status measure_list(advice *a, eg_error *err) {
    for (size_t i = 0; i < a->n; i++) {
        json_t *row = json_array_get(a->rows, i);
        const eg_arch_info *arch = eg_arch_find(json_string_value(json_object_get(row, "name")));
        char *path = NULL;
        if (eg_study_stopped(a->ev)) return eg_fail(err, EG_ERR_INTERRUPTED, "interrupted");
        eg_study_note(a->ev, "measuring %s (%zu of %zu)", arch->name, i + 1, a->n);
        EG_TRY(eg_study_measure(row, arch, a->ds->n_classes, a->o, err));
        if (!add_minutes(a, i, row)) return no_memory(err);
        EG_TRY(find_weights(&path, a, arch, err));
        bool ok = json_object_set_new(row, "weights_here", json_boolean(path != NULL)) == 0;
        eg_status status = ok ? EG_OK : no_memory(err);
        if (ok && path && a->o->transferability && !arch->conv_head)
            status = add_logme(a, row, arch, path, err);
        eg_free(path);
        EG_TRY(status);
    }
    return EG_OK;
}

/* "21.9 GB", or that there is no limit. */
static void memory_text(char out[48], double bytes) {
    if (isinf(bytes))
        snprintf(out, 48, "unlimited memory");
    else
        snprintf(out, 48, "%.1f GB of memory", bytes / 1e9);
}

/* One sentence for each aspect that is asked for when a network is chosen. */
static bool explain(json_t *text, const advice *a, int i, const char *rank) {
    const json_t *row = json_array_get(a->rows, (size_t)i);
    const eg_candidate *c = &a->c[i];
    const char *weights = json_string_value(json_object_get(row, "weights"));
    const char *dtype = json_string_value(json_object_get(row, "measured_dtype"));
    char allowed[48], place[64] = "the best of the list";
    double best = 0;
    memory_text(allowed, a->max_bytes);
    for (size_t k = 0; k < a->n; k++) best = fmax(best, a->c[k].top1);
    if (best > c->top1)
        snprintf(place, sizeof place, "%.1f points below the best of the list", best - c->top1);
    return eg_study_say(text, "%s: %s. Score %.1f = %.1f (accuracy) - %.0f log2(%.1f minutes).",
                        rank, c->name, c->score, c->top1, POINTS_A_DOUBLING, c->minutes) &&
           eg_study_say(text,
                        "Architecture: %s (%s). Complexity: %.2f million parameters, %.2f billion "
                        "multiply-adds per image of %.0f x %.0f pixels.",
                        c->family, json_string_value(json_object_get(row, "description")),
                        eg_study_number(row, "parameters") / 1e6, c->multiply_adds / 1e9,
                        eg_study_number(row, "img_size"), eg_study_number(row, "img_size")) &&
           eg_study_say(text, "Pretrained accuracy: ImageNet top-1 %.1f %% (weights %s), %s.",
                        c->top1, weights ? weights : "?", place) &&
           eg_study_say(text,
                        "Computation time, measured here in %s: %.1f ms per image in prediction, "
                        "%.1f in training; %.1f minutes to fine-tune for %lld epochs, %.1f for the "
                        "features of all images (frozen mode).",
                        dtype ? dtype : "?", eg_study_number(row, "measured_ms_per_image"),
                        eg_study_number(row, "measured_train_ms_per_image"),
                        eg_study_number(row, "finetune_minutes"), (long long)a->o->epochs,
                        eg_study_number(row, "features_minutes")) &&
           eg_study_say(text,
                        "Resources: %.2f GB for a training step of %.0f images (activations, "
                        "weights, gradients, AdamW's moments; %s allowed); a weights file of "
                        "%.1f MB.",
                        c->bytes / 1e9, eg_study_number(row, "measured_batch"), allowed,
                        eg_study_number(row, "file_bytes") / 1e6);
}

/* What the second costs and gives beside the first: why the pair is worth comparing. */
static bool explain_pair(json_t *text, const advice *a) {
    const eg_candidate *x = &a->c[a->first], *y = &a->c[a->second];
    const json_t *p = json_array_get(a->rows, (size_t)a->first),
                 *q = json_array_get(a->rows, (size_t)a->second);
    double points = y->top1 - x->top1;
    bool ok = eg_study_say(
        text,
        "%s beside %s: %.1f points %s ImageNet accuracy, %.2f times the parameters, %.2f times the "
        "multiply-adds, %.2f times the time, %.2f times the memory.%s",
        y->name, x->name, fabs(points), points < 0 ? "less" : "more",
        eg_study_number(q, "parameters") / eg_study_number(p, "parameters"),
        y->multiply_adds / x->multiply_adds, y->minutes / x->minutes, y->bytes / x->bytes,
        x->score - y->score < 1 ? " Less than a point apart in score: a near tie." : "");
    if (ok && same_kind(x->family, y->family))
        ok = eg_study_say(text, "Both are of one kind: no other fits the budget.");
    return ok;
}

/* The commands that come next, whole, to be copied. Weights of some networks lie in Python packages,
 * where pull cannot get them. */
static bool next_commands(json_t *commands, const advice *a) {
    const int both[] = {a->first, a->second};
    const char *names[2] = {"", ""};
    eg_buffer pull = {0}, script = {0};
    if (a->first < 0) return true;
    for (int k = 0; k < 2; k++) {
        if (both[k] < 0) continue;
        const json_t *row = json_array_get(a->rows, (size_t)both[k]);
        names[k] = a->c[both[k]].name;
        if (json_is_true(json_object_get(row, "weights_here"))) continue;
        eg_buffer_printf(eg_arch_find(names[k])->weights_url ? &pull : &script, " %s", names[k]);
    }
    bool ok = !pull.failed && !script.failed;
    if (ok && pull.size > 0) ok = eg_study_say(commands, "engraft pull%s", pull.data);
    if (ok && script.size > 0)
        ok = eg_study_say(commands, "scripts/fetch_weights build/weights%s", script.data);
    eg_buffer_free(&pull);
    eg_buffer_free(&script);
    const char *dir = a->o->data, *quote = strpbrk(dir, " \t$&;()<>|*?\"`\\") ? "'" : "";
    return ok && eg_study_say(commands, "engraft study %s%s%s --models %s%s%s --out STUDY", quote,
                              dir, quote, names[0], a->second < 0 ? "" : ",", names[1]);
}

/* Nothing fits: what would have to give. */
static bool explain_none(json_t *text, const advice *a) {
    double minutes = INFINITY, bytes = INFINITY;
    char allowed[48];
    memory_text(allowed, a->max_bytes);
    for (size_t i = 0; i < a->n; i++) {
        if (a->c[i].minutes < minutes) minutes = a->c[i].minutes;
        if (a->c[i].bytes < bytes) bytes = a->c[i].bytes;
    }
    if (isinf(minutes))
        return eg_study_say(text,
                            "No network could be measured: a training step of each needs more than "
                            "the free memory - take a smaller --batch-size or --img-size.");
    return eg_study_say(text,
                        "No network fits into %.3g minutes and %s; the quickest takes %.3g "
                        "minutes, the smallest %.2f GB - raise --budget-minutes or "
                        "--budget-memory, or take fewer --epochs or a smaller --batch-size or "
                        "--img-size.",
                        a->o->budget_minutes, allowed, minutes, bytes / 1e9);
}

static bool explain_choice(json_t *text, const advice *a) {
    if (a->first < 0) return explain_none(text, a);
    if (!explain(text, a, a->first, "First choice")) return false;
    if (a->second < 0) return eg_study_say(text, "No second network fits the budget.");
    return explain(text, a, a->second, "Second choice") && explain_pair(text, a);
}

/* The rule in words, with this call's numbers; the caller frees it. NULL: no memory. */
static char *rule_text(const advice *a) {
    char list[320], allowed[48];
    memory_text(allowed, a->max_bytes);
    if (a->chosen_here)
        snprintf(list, sizeof list,
                 "of %zu pretrained networks the %zu with the best ImageNet accuracy for their "
                 "multiply-adds, at most %d of a kind; left out is what its own family, or two "
                 "others, beat in both",
                 a->n_pretrained, a->n, OF_A_KIND);
    else
        snprintf(list, sizeof list, "the networks that were named");
    return eg_format(
        "Short list: %s. Each is measured on this machine with random images. Score: ImageNet "
        "top-1 accuracy in percent minus %.0f for every doubling of the time, top-1 - %.0f "
        "log2(minutes), where minutes is fine-tuning for %lld epochs and extracting features once "
        "on these %.0f training, %.0f validation and %.0f test images (reading images runs beside "
        "and is not counted). First choice: best score within %g minutes and %s. Second: best "
        "score of another kind of network. Other programs that run meanwhile make times longer: "
        "repeat it when scores are close.%s",
        list, POINTS_A_DOUBLING, POINTS_A_DOUBLING, (long long)a->o->epochs, a->n_train, a->n_val,
        a->n_test, a->o->budget_minutes, allowed,
        a->o->transferability ? " LogME (higher: the frozen features separate these classes "
                                "better) is shown for weights that are here; it does not decide."
                              : "");
}

static eg_status document(json_t **out, advice *a, eg_error *err) {
    for (size_t i = 0; i < a->n; i++) {
        json_t *row = json_array_get(a->rows, i);
        if (json_object_set_new(row, "score", eg_json_real(a->c[i].score)) != 0 ||
            json_object_set_new(row, "fits", json_boolean(a->c[i].fits)) != 0)
            return no_memory(err);
    }
    json_t *text = json_array(), *commands = json_array(), *json = NULL;
    char *rule = rule_text(a);
    /* the sentences first: they find a row by its place */
    if (rule && text && commands && explain_choice(text, a) && next_commands(commands, a) &&
        eg_study_rows_sort(a->rows, a->o->sort ? a->o->sort : "score", err) == EG_OK)
        json = json_pack(
            "{s:s, s:{s:I, s:I, s:I}, s:I, s:{s:f, s:o}, s:O, s:s?, s:s?, s:O, s:O}", "rule", rule,
            "images", "train", (json_int_t)a->n_train, "val", (json_int_t)a->n_val, "test",
            (json_int_t)a->n_test, "epochs", (json_int_t)a->o->epochs, "budget", "minutes",
            a->o->budget_minutes, "bytes", eg_json_real(a->max_bytes), "shortlist", a->rows,
            "first", a->first < 0 ? NULL : a->c[a->first].name, "second",
            a->second < 0 ? NULL : a->c[a->second].name, "text", text, "commands", commands);
    json_decref(text);
    json_decref(commands);
    eg_free(rule);
    if (!json) return no_memory(err);
    *out = json;
    return EG_OK;
}

static eg_status advise(json_t **out, advice *a, const eg_arch_info *const *archs, size_t n,
                        bool named, eg_error *err) {
    EG_TRY(count_images(a, err));
    EG_TRY(make_list(a, archs, n, named, err));
    EG_TRY(check_weights(a, err));
    /* before the minutes of measuring: a wrong column shows at once */
    if (a->o->sort) EG_TRY(eg_study_rows_sort(a->rows, a->o->sort, err));
    double free_bytes = (double)eg_study_memory_free();
    a->max_bytes = a->o->budget_memory > 0 ? 1e9 * a->o->budget_memory
                   : free_bytes > 0        ? free_bytes
                                           : INFINITY;
    EG_TRY(measure_list(a, err));
    eg_study_recommend_rank(&a->first, &a->second, a->c, a->n, a->o->budget_minutes, a->max_bytes);
    return document(out, a, err);
}

eg_status eg_study_recommend(json_t **out, const eg_arch_info *const *archs, size_t n, bool named,
                             const eg_options *o, const eg_events *ev, eg_error *err) {
    advice a = {.o = o, .ev = ev};
    eg_status status = advise(out, &a, archs, n, named, err);
    json_decref(a.rows);
    eg_free(a.c);
    eg_dataset_free(a.ds);
    return status;
}
