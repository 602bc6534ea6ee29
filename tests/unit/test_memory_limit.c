/* --max-memory: the estimate is above what a process really takes (each case runs in a process of its own, whose peak the
 * kernel counts), the batch is the largest that fits, and what was changed is told and written down. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "study_tree.h"

#include "study/memory_limit.h"
#include <sys/wait.h>
#include <unistd.h>

#define ROOT    TEST_BINARY_DIR "/trees/memory_limit"
#define DATA    ROOT "/data"
#define WEIGHTS ROOT "/resnet18.safetensors"
#define MIB     ((size_t)1 << 20)

/* A sanitizer's own memory is several times that of the program: peaks say nothing then. */
#if defined(__SANITIZE_ADDRESS__)
#    define PEAK_COUNTS false
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define PEAK_COUNTS false
#    endif
#endif
#ifndef PEAK_COUNTS
#    define PEAK_COUNTS true
#endif

/* What a child tells: sizes of a run under a limit. */
typedef struct {
    size_t limit, estimate, asked_estimate, peak;
    int batch, batch_asked, notes;
    char failure[700];
} outcome;

typedef void (*child_work)(outcome *out);

/* Run `work` in a child: its peak is its own, and no thread of ours is in it. */
static outcome in_child(child_work work) {
    int ends[2], code;
    outcome out = {.failure = "the child ended early"};
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        outcome mine = {0};
        work(&mine);
        mine.peak = eg_process_peak_bytes();
        bool sent = write(ends[1], &mine, sizeof mine) == (ssize_t)sizeof mine;
        _exit(sent ? 0 : 1);
    }
    close(ends[1]);
    if (read(ends[0], &out, sizeof out) != (ssize_t)sizeof out) out.failure[0] = '?';
    close(ends[0]);
    assert_int_equal(waitpid(child, &code, 0), child);
    if (code != 0 || out.failure[0]) fail_msg("child: %s (%d)", out.failure, code);
    return out;
}

static void make_files(outcome *out) {
    (void)out;
    tree_make(DATA, 16, 4);
    tree_weights(WEIGHTS, "resnet18", 3);
}

static int setup(void **state) {
    (void)state;
    tree_remove(ROOT);
    in_child(make_files);
    return 0;
}

static eg_options options(const char *model, const char *mode, int side, int batch) {
    eg_options o;
    eg_options_init(&o);
    o.model = model;
    o.mode = mode;
    o.weights = WEIGHTS;
    o.img_size = side;
    o.batch_size = batch;
    o.epochs = 2;
    o.val_by = "image";
    o.overwrite = true;
    return o;
}

static void count_notes(void *context, const eg_progress *p) {
    outcome *out = context;
    if (p->kind == EG_PROGRESS_NOTE) out->notes += strstr(p->text, "--max-memory") != NULL;
}

/* The estimate of a run of `batch`. */
static size_t estimate(const eg_options *options, int batch, outcome *out) {
    eg_options o = *options;
    eg_settings s = {0};
    eg_dataset *ds = NULL;
    eg_error err = {0};
    size_t bytes = 0;
    o.batch_size = batch;
    o.max_memory = INT64_C(1) << 40;
    eg_status status = eg_study_settings_resolve(&s, &o, o.model, o.mode, &err);
    if (status == EG_OK)
        status = eg_dataset_open(&ds, DATA, &(eg_dataset_options){.patients = "none"}, &err);
    for (size_t i = 0; ds && i < ds->n_samples; i++)
        ds->samples[i].width = ds->samples[i].height = TREE_SIDE;
    if (status == EG_OK) status = eg_study_memory_settle(&s, ds, false, NULL, &err);
    if (status == EG_OK) bytes = s.memory.bytes;
    if (status != EG_OK) snprintf(out->failure, sizeof out->failure, "%s", err.text);
    eg_dataset_free(ds);
    if (status == EG_OK) eg_study_settings_free(&s);
    return bytes;
}

/* A training run whose limit lies `share` of the way from the least batch's need to that of the batch asked for. */
static void train(outcome *out, const eg_options *options, int least, double share) {
    eg_options o = *options;
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_events ev = {.progress = count_notes, .context = out};
    double low = (double)estimate(&o, least, out),
           high = (double)estimate(&o, (int)o.batch_size, out), value = NAN;
    o.max_memory = (int64_t)(low + share * (high - low));
    out->limit = (size_t)o.max_memory;
    if (out->failure[0]) return;
    if (eg_train(&doc, DATA, &o, &ev, &err) != EG_OK) {
        snprintf(out->failure, sizeof out->failure, "%s", err.text);
        return;
    }
    static const char *const PATHS[] = {"memory.batch", "memory.batch_asked",
                                        "memory.estimated_bytes", "memory.limit_bytes"};
    double values[4];
    for (int i = 0; i < 4; i++) {
        if (eg_doc_number(&value, doc, PATHS[i], &err) != EG_OK)
            snprintf(out->failure, sizeof out->failure, "%s", err.text);
        values[i] = value;
    }
    out->batch = (int)values[0];
    out->batch_asked = (int)values[1];
    out->estimate = (size_t)values[2];
    if ((size_t)values[3] != out->limit)
        snprintf(out->failure, sizeof out->failure, "limit_bytes is wrong");
    out->asked_estimate = (size_t)high;
    eg_doc_free(doc);
}

static void check_shrunk(const outcome *out, int asked) {
    print_message("limit %zu MiB, estimate %zu, peak %zu; batch %d of %d\n", out->limit / MIB,
                  out->estimate / MIB, out->peak / MIB, out->batch, out->batch_asked);
    assert_int_equal(out->batch_asked, asked);
    assert_true(out->batch < asked && out->batch >= 1);
    assert_true(out->estimate <= out->limit && out->limit < out->asked_estimate);
    assert_true(!PEAK_COUNTS || out->peak <= out->limit);
    assert_int_equal(out->notes, 1);
}

static void small_scratch(outcome *out) {
    eg_options o = options("small_cnn", "scratch", 128, 32);
    o.out = ROOT "/small";
    train(out, &o, 2, 0.5);
}

static void resnet_finetune(outcome *out) {
    eg_options o = options("resnet18", "finetune", 128, 16);
    o.out = ROOT "/tuned";
    o.epochs = 1;
    train(out, &o, 2, 0.5);
}

static void resnet_frozen(outcome *out) {
    eg_options o = options("resnet18", "frozen", 128, 64);
    o.out = ROOT "/frozen";
    train(out, &o, 1, 0.3);
}

static void peaks(void **state) {
    (void)state;
    outcome small = in_child(small_scratch);
    check_shrunk(&small, 32);
    outcome tuned = in_child(resnet_finetune);
    check_shrunk(&tuned, 16);
    assert_true(!PEAK_COUNTS || tuned.peak > tuned.estimate / 2); /* an upper bound, not a fable */
    outcome frozen = in_child(resnet_frozen);
    check_shrunk(&frozen, 64);
    /* config.json of a training run holds the batch that was used, that of features the recipe's */
    json_t *config = NULL;
    assert_int_equal(eg_json_read(&config, ROOT "/tuned/config.json", NULL), EG_OK);
    const json_t *settings = json_object_get(config, "settings");
    assert_int_equal(json_integer_value(json_object_get(settings, "batch-size")), tuned.batch);
    assert_null(json_object_get(settings, "max-memory"));
    json_decref(config);
    assert_int_equal(eg_json_read(&config, ROOT "/frozen/config.json", NULL), EG_OK);
    settings = json_object_get(config, "settings");
    assert_int_equal(json_integer_value(json_object_get(settings, "batch-size")), 64);
    json_decref(config);
}

/* The same limit, the same batch; nothing is said when everything fits. */
static void whole_batch(outcome *out) {
    eg_options o = options("resnet18", "finetune", 64, 8);
    o.out = ROOT "/whole";
    o.epochs = 1;
    train(out, &o, 2, 1.0);
}

static void fits(void **state) {
    (void)state;
    outcome whole = in_child(whole_batch);
    assert_true(whole.batch == 8 && whole.batch_asked == 8 && whole.notes == 0);
    assert_true(!PEAK_COUNTS || whole.peak <= whole.limit);
    outcome again = in_child(resnet_finetune), first = in_child(resnet_finetune);
    assert_int_equal(again.batch, first.batch);
    assert_int_equal(again.estimate, first.estimate);
}

/* Prediction and scores with a smaller batch are those of the batch asked for, but for rounding. */
static void predict_both(outcome *out) {
    static const char *const IMAGES[] = {DATA "/test/LEFT/t000.png", DATA "/test/RIGHT/t001.png",
                                         DATA "/test/LEFT/t002.png", DATA "/test/RIGHT/t003.png"};
    eg_error err = {0};
    eg_events ev = {.progress = count_notes, .context = out};
    double p[2][4] = {0}, accuracy[2] = {0};
    for (int i = 0; i < 2 && !out->failure[0]; i++) {
        eg_options o;
        eg_doc *doc = NULL;
        eg_options_init(&o);
        o.max_memory = i == 0 ? (int64_t)(260 * MIB) : 0;
        o.batch_size = i == 0 ? 512 : 4; /* 512 samples of 128 x 128 would take some 2 GiB */
        if (i == 0) {
            eg_status status = eg_eval(&doc, ROOT "/tuned", DATA, &o, &ev, &err);
            if (status == EG_OK) eg_doc_number(&accuracy[0], doc, "loss", &err);
            if (status != EG_OK) snprintf(out->failure, sizeof out->failure, "%s", err.text);
            if (status == EG_OK) eg_doc_free(doc);
            o.batch_size = 4;
        }
        if (eg_predict(&doc, ROOT "/tuned", IMAGES, 4, &o, &ev, &err) != EG_OK) {
            snprintf(out->failure, sizeof out->failure, "%s", err.text);
            return;
        }
        for (int k = 0; k < 4; k++) {
            char path[32];
            snprintf(path, sizeof path, "images.%d.p.1", k);
            eg_doc_number(&p[i][k], doc, path, &err);
        }
        eg_doc_free(doc);
        if (PEAK_COUNTS && i == 0 && eg_process_peak_bytes() > 260 * MIB)
            snprintf(out->failure, sizeof out->failure, "peak %zu MiB",
                     eg_process_peak_bytes() / MIB);
    }
    for (int k = 0; k < 4; k++)
        if (!(fabs(p[0][k] - p[1][k]) < 1e-4))
            snprintf(out->failure, sizeof out->failure, "p differs");
    if (!(accuracy[0] > 0)) snprintf(out->failure, sizeof out->failure, "no loss");
}

static void predictions(void **state) {
    (void)state;
    outcome out = in_child(predict_both);
    assert_int_equal(out.notes, 1); /* eval had to shrink, predict not */
}

static void refuse(outcome *out) {
    eg_options o = options("resnet18", "finetune", 128, 16);
    eg_doc *doc = NULL;
    eg_error err = {0};
    o.out = ROOT "/refused";
    o.max_memory = 100 << 20;
    if (eg_train(&doc, DATA, &o, NULL, &err) != EG_ERR_LIMIT ||
        !strstr(err.text, "--max-memory 100 MiB: resnet18 needs at least ") ||
        eg_path_exists(ROOT "/refused/config.json"))
        snprintf(out->failure, sizeof out->failure, "%s", err.text[0] ? err.text : "taken");
    /* what it says is enough, is enough */
    const char *at = strstr(err.text, "at least ");
    int mib = at ? atoi(at + 9) : 0;
    o.max_memory = (int64_t)mib << 20;
    err = (eg_error){0};
    if (eg_train(&doc, DATA, &o, NULL, &err) != EG_OK)
        snprintf(out->failure, sizeof out->failure, "%d MiB: %s", mib, err.text);
    else
        eg_doc_free(doc);
    out->limit = (size_t)mib * MIB;
}

static void least(void **state) {
    (void)state;
    outcome out = in_child(refuse);
    assert_true(out.limit > 100 * MIB && (!PEAK_COUNTS || out.peak <= out.limit));
}

/* A run that goes on keeps its batch: a limit that it does not fit is refused. */
static void resume(outcome *out) {
    eg_settings s = {0};
    eg_dataset *ds = NULL;
    eg_error err = {0};
    eg_options o = options("resnet18", "finetune", 128, 16);
    o.max_memory = (int64_t)estimate(&o, 8, out);
    eg_status status = eg_study_settings_resolve(&s, &o, o.model, o.mode, &err);
    if (status == EG_OK)
        status = eg_dataset_open(&ds, DATA, &(eg_dataset_options){.patients = "none"}, &err);
    for (size_t i = 0; ds && i < ds->n_samples; i++)
        ds->samples[i].width = ds->samples[i].height = TREE_SIDE;
    if (status != EG_OK) snprintf(out->failure, sizeof out->failure, "%s", err.text);
    if (status == EG_OK && eg_study_memory_settle(&s, ds, true, NULL, &err) != EG_ERR_LIMIT)
        snprintf(out->failure, sizeof out->failure, "a smaller batch was taken");
    if (status == EG_OK && eg_study_memory_settle(&s, ds, false, NULL, &err) != EG_OK)
        snprintf(out->failure, sizeof out->failure, "%s", err.text);
    if (s.o.batch_size != 8 || s.score_batch != 8)
        snprintf(out->failure, sizeof out->failure, "batch %d is not the largest that fits",
                 s.score_batch);
    eg_dataset_free(ds);
    eg_study_settings_free(&s);
}

static void continued(void **state) {
    (void)state;
    in_child(resume);
}

/* Before a training batch shrinks, values are made again that are kept otherwise; EfficientNet has many of them. */
static void recompute(void **state) {
    (void)state;
    eg_network *net = NULL;
    eg_memory_fit whole, fit, less;
    eg_error err = {0};
    assert_int_equal(eg_network_outline(&net, eg_arch_find("efficientnet_b0"), 2, 64, &err), EG_OK);
    eg_memory_case c = {.net = net,
                        .plan = {.mode = EG_PLAN_TRAIN, .batch = 16, .dropout = -1},
                        .least_batch = 2,
                        .n_moments = 2,
                        .n_loaders = 2};
    c.n_trained = eg_network_parameters(net, true);
    assert_int_equal(eg_study_memory_fit(&whole, &c, 0, &err), EG_OK);
    assert_true(whole.batch == 16 && !whole.recomputes && whole.spare == 0);
    assert_int_equal(eg_study_memory_fit(&fit, &c, whole.bytes - 1, &err), EG_OK);
    assert_true(fit.batch == 16 && fit.recomputes);
    assert_true(fit.bytes < whole.bytes && fit.bytes_asked == whole.bytes);
    assert_int_equal(fit.spare, whole.bytes - 1 - fit.bytes);
    assert_int_equal(eg_study_memory_fit(&less, &c, fit.bytes - 1, &err), EG_OK);
    assert_true(less.batch < 16 && less.batch > 8 && less.recomputes);
    eg_network_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peaks), cmocka_unit_test(fits),      cmocka_unit_test(predictions),
        cmocka_unit_test(least), cmocka_unit_test(continued), cmocka_unit_test(recompute),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
