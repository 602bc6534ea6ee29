/* One run from start to end: network and weights, config.json, training, the best checkpoint loaded
 * again, validation and (once) test scored, freeze proof, metrics.json and summary.json. How
 * training works is in trainer.c and frozen.c. */
#include "study/evaluation.h"
#include "study/memory_limit.h"
#include "study/recipe.h"
#include <math.h>
#include <string.h>

#define MAX_TRAIN_SCORED                                                                           \
    1024 /* training images scored after training by epochs: enough for the gap, cheap */

static eg_status no_memory(eg_error *err) {
    return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
}

static eg_status load_weights(eg_run *run, eg_error *err) {
    const eg_settings *s = run->s;
    eg_state_dict *sd = NULL;
    bool head_loaded = false;
    EG_TRY(eg_weights_read(&sd, s->o.weights, err));
    eg_status status = eg_network_load(run->net, sd, &head_loaded, err);
    if (status != EG_OK) status = eg_error_in(err, status, s->o.weights);
    if (status == EG_OK && eg_state_dict_note(sd))
        eg_study_note(run->ev, "%s: %s", s->o.weights, eg_state_dict_note(sd));
    if (status == EG_OK && head_loaded)
        eg_study_note(run->ev,
                      "%s: its last layer has the %d classes of the data and is kept as the start",
                      s->o.weights, eg_network_classes(run->net));
    eg_state_dict_free(sd);
    return status;
}

eg_status eg_study_run_network(eg_run *run, eg_error *err) {
    const eg_settings *s = run->s;
    EG_TRY(eg_network_new(&run->net, s->arch->name, run->data->ds->n_classes, s->preprocess.crop,
                          err));
    eg_network_init(run->net, (uint64_t)s->o.seed);
    /* The new last layer starts as torch.nn.Linear does, whatever the family does with 1000
     * classes: EfficientNet's own rule depends on the number of classes and gives two of them a
     * first loss of 6 instead of 0.7. */
    eg_network_init_head(run->net, (uint64_t)s->o.seed);
    eg_network_set_trainable(run->net, s->mode != EG_RUN_FROZEN, true);
    return s->o.weights ? load_weights(run, err) : EG_OK;
}

static eg_status write_start(const eg_run *run, eg_error *err) {
    json_t *config = eg_study_config_json(run->s, run->data->json);
    eg_status status = eg_study_file_write(run->dir, "config.json", config, err);
    json_decref(config);
    EG_TRY(status);
    return eg_study_split_write(run, err);
}

/* Things that a reader of the results should be told while they come about. */
static void say_aloud(const eg_run *run) {
    const eg_settings *s = run->s;
    if (s->mode == EG_RUN_FROZEN && s->bn != EG_BN_FROZEN)
        eg_study_note(run->ev,
                      "--bn %s: batch-norm statistics of the frozen trunk move with the training "
                      "images, as in many "
                      "tutorials; the freeze proof will count the tensors that differ",
                      s->o.bn);
    if (s->mode == EG_RUN_FROZEN && s->live && strcmp(s->o.head, "lbfgs") == 0)
        eg_study_note(
            run->ev,
            "the exact head needs features that stay the same; with --bn %s and --augment %s the "
            "head is trained by the recipe",
            s->o.bn, s->o.augment);
}

/* What a head that is fitted to still features does not do. */
static void say_unused(const eg_run *run) {
    const eg_options *o = &run->s->o;
    if (run->s->live) return;
    if (run->s->focal_gamma > 0 || strcmp(o->sampler, "shuffle") != 0 || o->accumulate > 1 ||
        o->ema > 0 || o->average > 0)
        eg_study_note(run->ev, "--loss focal, --sampler, --accumulate, --ema and --average are for "
                               "training by epochs; this run fits the last layer to still features "
                               "without them");
}

/* ---- after training ---- */

typedef struct {
    eg_scores train, val, test;
    double threshold;
    json_t *train_json, *val_json, *test_json, *freeze, *knn, *emulation;
} run_result;

static void free_result(run_result *r) {
    eg_study_scores_free(&r->train);
    eg_study_scores_free(&r->val);
    eg_study_scores_free(&r->test);
    json_decref(r->train_json);
    json_decref(r->val_json);
    json_decref(r->test_json);
    json_decref(r->freeze);
    json_decref(r->knn);
    json_decref(r->emulation);
}

static eg_status score(eg_scores *out, eg_run *run, const uint32_t *indices, size_t n,
                       const char *stage, eg_error *err) {
    const eg_settings *s = run->s;
    /* shifted views have no cached features: the whole network, then */
    if (!s->live && s->o.tta <= 1) return eg_study_frozen_scores(out, run, indices, n, err);
    eg_scorer_options o = {.ds = run->data->ds,
                           .indices = indices,
                           .n = n,
                           .preprocess = s->preprocess,
                           .batch = s->score_batch,
                           .workers = (int)s->o.workers,
                           .deterministic = s->o.deterministic,
                           .bf16 = s->bf16,
                           .tta = (int)s->o.tta};
    return eg_study_scores_of(out, run->net, &o, stage, run->ev, err);
}

/* Cached features and the saved network must agree: run some validation images through the whole
 * network as saved. */
static eg_status check_cached(eg_run *run, const eg_scores *val, eg_error *err) {
    size_t n = val->n < 16 ? val->n : 16;
    eg_scores whole;
    eg_scorer_options o = {.ds = run->data->ds,
                           .indices = run->data->val,
                           .n = n,
                           .preprocess = run->s->preprocess,
                           .batch = run->s->score_batch,
                           .workers = (int)run->s->o.workers,
                           .deterministic = run->s->o.deterministic,
                           .bf16 = run->s->bf16};
    EG_TRY(eg_study_scores_of(&whole, run->net, &o, "check", run->ev, err));
    double worst = 0;
    for (size_t i = 0; i < n * (size_t)whole.n_classes; i++)
        worst = fmax(worst, fabs(whole.prob[i] - val->prob[i]));
    eg_study_scores_free(&whole);
    if (!(worst <= 1e-4))
        return eg_fail(err, EG_ERR_INTERNAL,
                       "%s/best.safetensors gives probabilities that differ by %.2g from those of "
                       "the cached features",
                       run->dir, worst);
    return EG_OK;
}

/* Training images for the gap: all of them from cached features, else an even sample. */
static eg_status score_train(run_result *r, eg_run *run, eg_error *err) {
    size_t n = run->data->n_train,
           kept =
               (run->s->live || run->s->o.tta > 1) && n > MAX_TRAIN_SCORED ? MAX_TRAIN_SCORED : n;
    uint32_t *indices = eg_malloc(kept * sizeof *indices);
    if (!indices) return no_memory(err);
    for (size_t i = 0; i < kept; i++) indices[i] = run->data->train[i * n / kept];
    eg_status status = score(&r->train, run, indices, kept, "score train", err);
    eg_free(indices);
    return status;
}

static eg_status write_scores(const eg_run *run, const eg_scores *s, const char *name,
                              eg_error *err) {
    char *path = eg_path_join(run->dir, name);
    eg_status status =
        path ? eg_study_scores_write(s, path, run->data->ds->classes, err) : no_memory(err);
    eg_free(path);
    return status;
}

static eg_status score_all(run_result *r, eg_run *run, eg_error *err) {
    const eg_data_stage *data = run->data;
    char *const *classes = data->ds->classes;
    EG_TRY(score(&r->val, run, data->val, data->n_val, "score val", err));
    r->threshold = eg_study_scores_threshold(&r->val);
    /* with all features from the disk the trunk stays untouched; they were checked when they were new */
    if (!run->s->live && run->s->o.tta <= 1 && run->store->n_cached < run->store->n)
        EG_TRY(check_cached(run, &r->val, err));
    EG_TRY(score_train(r, run, err));
    EG_TRY(eg_study_metrics_json(&r->train_json, &r->train, classes, NAN, err));
    EG_TRY(eg_study_metrics_json(&r->val_json, &r->val, classes, NAN, err));
    EG_TRY(write_scores(run, &r->val, "predictions-val.csv", err));
    if (data->n_test == 0) return EG_OK;
    /* the one look at the test split: nothing that follows changes the network or the threshold */
    EG_TRY(score(&r->test, run, data->test, data->n_test, "test", err));
    EG_TRY(eg_study_metrics_json(&r->test_json, &r->test, classes, NAN, err));
    EG_TRY(eg_study_ledger_note(
        r->test_json, run->dir,
        &(eg_test_look){"train", data->ds->fingerprint, "metrics, predictions-test.csv"}, err));
    return write_scores(run, &r->test, "predictions-test.csv", err);
}

static eg_status prove_freeze(run_result *r, eg_run *run, const char *checkpoint, eg_error *err) {
    const eg_settings *s = run->s;
    if (s->mode != EG_RUN_FROZEN) return EG_OK;
    EG_TRY(eg_study_freeze_prove(&r->freeze, checkpoint, s->o.weights, s, run->data->ds->n_classes,
                                 s->bn == EG_BN_FROZEN, err));
    eg_study_note(run->ev,
                  "freeze proof: %lld of %lld trunk tensors are bit-identical to the weights file",
                  (long long)json_integer_value(json_object_get(r->freeze, "identical")),
                  (long long)json_integer_value(json_object_get(r->freeze, "checked")));
    return eg_study_file_write(run->dir, "freeze.json", r->freeze, err);
}

static json_t *or_null(json_t *json) {
    return json ? json_incref(json) : json_null();
}

static json_t *summary_json(const run_result *r, eg_run *run) {
    const eg_settings *s = run->s;
    json_t *freeze = r->freeze
                         ? json_pack("{s:O, s:O}", "checked", json_object_get(r->freeze, "checked"),
                                     "identical", json_object_get(r->freeze, "identical"))
                         : json_null();
    char *name = eg_format("%s-%s", s->arch->name, eg_study_mode_name(s->mode));
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:s, s:s, s:o, "
        "s:O, "
        "s:o, s:o, s:o, s:o, s:I, s:o, s:s, s:I, s:s, s:o, s:o, s:o, s:o, s:o}",
        "name", name ? name : s->arch->name, "model", s->arch->name, "mode",
        eg_study_mode_name(s->mode), "head", s->lbfgs ? "lbfgs" : "recipe", "dtype",
        eg_study_dtype_name(run->bf16), "parameters",
        (json_int_t)eg_network_parameters(run->net, false), "trainable_parameters",
        (json_int_t)eg_network_parameters(run->net, true), "train_seconds",
        eg_json_real(run->train_seconds), "images_per_second", eg_json_real(run->images_per_second),
        "feature_seconds", s->live ? json_null() : eg_json_real(run->feature_seconds),
        "features_cached", s->live ? json_null() : json_integer((json_int_t)run->store->n_cached),
        "peak_bytes", (json_int_t)run->peak_bytes, "best_epoch", (json_int_t)run->best_epoch,
        "epochs", (json_int_t)run->epochs, "stopped", run->stopped, "weights_sha256",
        s->weights_sha256, "threshold", eg_json_real(r->threshold), "history", run->history,
        "train", or_null(r->train_json), "val", or_null(r->val_json), "test", or_null(r->test_json),
        "freeze", freeze, "batch_size", (json_int_t)s->o.batch_size, "memory",
        eg_study_memory_json(s), "recipe", s->o.recipe, "tta", (json_int_t)s->o.tta, "emulate",
        s->o.emulate, "probe", or_null(run->probe), "penalty", or_null(run->penalty), "average",
        or_null(run->average), "knn", or_null(r->knn), "emulation", or_null(r->emulation));
    eg_free(name);
    return json;
}

static eg_status finish_into(run_result *r, json_t **out, eg_run *run, eg_error *err) {
    char *best = eg_path_join(run->dir, "best.safetensors");
    if (!best) return no_memory(err);
    eg_status status = eg_study_checkpoint_load(run->net, best, err);
    if (status == EG_OK) status = score_all(r, run, err);
    if (status == EG_OK && !run->s->live) status = eg_study_knn_json(&r->knn, run, err);
    if (status == EG_OK) status = prove_freeze(r, run, best, err);
    if (status == EG_OK)
        status =
            eg_study_emulation_cost(&r->emulation, run, r->freeze, r->val_json, r->test_json, err);
    eg_free(best);
    EG_TRY(status);
    json_t *metrics = json_pack("{s:s, s:o, s:o}", "dtype", eg_study_dtype_name(run->bf16), "val",
                                or_null(r->val_json), "test", or_null(r->test_json));
    status = eg_study_file_write(run->dir, "metrics.json", metrics, err);
    json_decref(metrics);
    EG_TRY(status);
    json_t *summary = summary_json(r, run);
    status = eg_study_file_write(run->dir, "summary.json", summary,
                                 err); /* last: it marks the run complete */
    if (status == EG_OK)
        *out = summary;
    else
        json_decref(summary);
    return status;
}

static eg_status finish(json_t **out, eg_run *run, eg_error *err) {
    run_result r = {0};
    eg_status status = finish_into(&r, out, run, err);
    free_result(&r);
    if (status == EG_ERR_INTERRUPTED && run->s->live)
        return eg_fail(err, status,
                       "interrupted while scoring: training is complete, %s/best.safetensors holds "
                       "epoch %lld - go on "
                       "with: engraft train %s --resume %s",
                       run->dir, (long long)run->best_epoch, run->data->ds->path, run->dir);
    return status;
}

/* Has an epoch been saved? Then its network is the start, not a new head. */
static bool has_state(const char *dir) {
    char *path = eg_path_join(dir, "resume/state.json");
    bool has = path && eg_path_exists(path);
    eg_free(path);
    return has;
}

static eg_status execute(json_t **out, eg_run *run, eg_error *err) {
    EG_TRY(eg_study_run_network(run, err));
    if (!run->resume) EG_TRY(write_start(run, err));
    say_aloud(run);
    say_unused(run);
    if (run->s->mode == EG_RUN_LPFT && !(run->resume && has_state(run->dir)))
        EG_TRY(eg_study_linear_probe(run, err));
    EG_TRY(run->s->live ? eg_study_train_live(run, err) : eg_study_train_frozen(run, err));
    if (run->best_epoch == 0)
        return eg_fail(err, EG_ERR_DIVERGED,
                       "training never gave a finite validation loss: try a smaller --lr (a "
                       "tenth), or --clip-grad 1");
    EG_TRY(finish(out, run, err));
    eg_study_resume_clear(run->dir);
    return EG_OK;
}

eg_status eg_study_run_execute(json_t **out, eg_run *run, eg_error *err) {
    eg_feature_store store = {0};
    run->store = &store;
    run->history = json_array();
    eg_status status = run->history ? execute(out, run, err) : no_memory(err);
    json_decref(run->history);
    json_decref(run->average);
    json_decref(run->probe);
    json_decref(run->penalty);
    run->history = run->average = run->probe = run->penalty = NULL;
    eg_network_free(run->net);
    run->net = NULL;
    eg_free(store.rows);
    run->store = NULL;
    return status;
}
