/* Training by epochs, end to end on a small tree: it learns, it repeats bit for bit, an interrupted
 * and resumed run ends in the same bytes as an unbroken one, divergence and a taken directory are
 * refused as the interface says. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "study_tree.h"

#define ROOT TEST_BINARY_DIR "/trees/trainer"
#define DATA ROOT "/data"

static eg_options base_options(const char *out) {
    eg_options o;
    eg_options_init(&o);
    o.model = "small_cnn";
    o.mode = "scratch";
    o.img_size = 32;
    o.epochs = 4;
    o.crop_min = 0.6;
    o.batch_size = 7; /* 7 does not divide the training images: the last batch is smaller */
    o.out = out;
    o.val_by = "image";
    o.dtype = "f32"; /* losses are compared to six digits */
    o.flip = 0;      /* left against right: a flip would be the other class */
    return o;
}

static int setup(void **state) {
    (void)state;
    tree_remove(ROOT);
    tree_make(DATA, 40, 16);
    return 0;
}

/* stop after `steps` steps */
typedef struct {
    int steps;
    volatile sig_atomic_t stop;
    int epochs_seen;
} stopper;
static void stop_after(void *context, const eg_progress *p) {
    stopper *s = context;
    if (p->kind == EG_PROGRESS_STEP && --s->steps == 0) s->stop = 1;
    s->epochs_seen += p->kind == EG_PROGRESS_EPOCH;
}

static void learns_and_repeats(void **state) {
    (void)state;
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options o = base_options(ROOT "/a");
    if (eg_train(&doc, DATA, &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    double accuracy, n, epochs, loss_first, loss_last;
    assert_string_equal(eg_doc_kind(doc), "train");
    assert_int_equal(eg_doc_number(&accuracy, doc, "test.accuracy", &err), EG_OK);
    assert_int_equal(eg_doc_number(&n, doc, "test.n", &err), EG_OK);
    assert_int_equal(eg_doc_number(&epochs, doc, "epochs", &err), EG_OK);
    assert_int_equal(eg_doc_number(&loss_first, doc, "history.0.train_loss", &err), EG_OK);
    assert_int_equal(eg_doc_number(&loss_last, doc, "history.3.train_loss", &err), EG_OK);
    assert_true(n == 32 && epochs == 4);
    assert_true(accuracy >= 0.75); /* 28 of 32 can be had: every 8th has the other look */
    assert_true(loss_last < loss_first);
    eg_doc_free(doc);
    static const char *const FILES[] = {
        "config.json",  "history.jsonl",        "best.safetensors",
        "split.csv",    "last.safetensors",     "predictions-val.csv",
        "metrics.json", "predictions-test.csv", "summary.json"};
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        char *path = eg_path_join(ROOT "/a", FILES[i]);
        if (!eg_path_exists(path)) fail_msg("%s is missing", path);
        eg_free(path);
    }
    assert_false(eg_path_exists(ROOT "/a/resume")); /* complete: nothing to resume */
    o.out = ROOT "/b";
    if (eg_train(&doc, DATA, &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    eg_doc_free(doc);
    assert_same_file(ROOT "/a/best.safetensors", ROOT "/b/best.safetensors");
    assert_same_file(ROOT "/a/last.safetensors", ROOT "/b/last.safetensors");
    assert_same_file(ROOT "/a/predictions-test.csv", ROOT "/b/predictions-test.csv");
}

static void resumes_to_the_same_bits(void **state) {
    (void)state;
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options o = base_options(ROOT "/c");
    /* 64 training images in batches of 7: 10 steps an epoch; stop within the third epoch */
    stopper s = {.steps = 24};
    eg_events ev = {stop_after, &s, &s.stop};
    assert_int_equal(eg_train(&doc, DATA, &o, &ev, &err), EG_ERR_INTERRUPTED);
    assert_int_equal(s.epochs_seen, 2);
    if (!strstr(err.text, "interrupted in epoch 3 of 4: " ROOT "/c/last.safetensors holds epoch 2"))
        fail_msg("%s", err.text);
    assert_non_null(strstr(err.text, "engraft train " DATA " --resume " ROOT "/c"));
    assert_true(eg_path_exists(ROOT "/c/last.safetensors"));
    /* go on, stop once more, go on to the end */
    eg_options r;
    eg_options_init(&r);
    r.resume = ROOT "/c";
    s = (stopper){.steps = 13};
    assert_int_equal(eg_train(&doc, DATA, &r, &ev, &err), EG_ERR_INTERRUPTED);
    if (!strstr(err.text, "epoch 4 of 4")) fail_msg("%s", err.text);
    s = (stopper){.steps = -1};
    if (eg_train(&doc, DATA, &r, &ev, &err) != EG_OK) fail_msg("%s", err.text);
    assert_int_equal(s.epochs_seen, 1);
    eg_doc_free(doc);
    assert_same_file(ROOT "/a/best.safetensors", ROOT "/c/best.safetensors");
    assert_same_file(ROOT "/a/last.safetensors", ROOT "/c/last.safetensors");
    assert_same_file(ROOT "/a/predictions-test.csv", ROOT "/c/predictions-test.csv");
    /* complete: nothing happens any more */
    s = (stopper){.steps = -1};
    assert_int_equal(eg_train(&doc, DATA, &r, &ev, &err), EG_OK);
    assert_int_equal(s.epochs_seen, 0);
    eg_doc_free(doc);
}

static void resume_refuses_other_data(void **state) {
    (void)state;
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options o = base_options(ROOT "/d"), r;
    stopper s = {.steps = 12};
    eg_events ev = {stop_after, &s, &s.stop};
    assert_int_equal(eg_train(&doc, DATA, &o, &ev, &err), EG_ERR_INTERRUPTED);
    tree_make(ROOT "/other", 20, 4);
    eg_options_init(&r);
    r.resume = ROOT "/d";
    assert_int_equal(eg_train(&doc, ROOT "/other", &r, NULL, &err), EG_ERR_MISMATCH);
    assert_non_null(strstr(err.text, "fingerprint"));
}

static void early_stop_and_overwrite(void **state) {
    (void)state;
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options o = base_options(ROOT "/e");
    o.epochs = 30;
    o.patience = 1;
    o.lr = 2e-2; /* high, so that the validation loss soon rises */
    if (eg_train(&doc, DATA, &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    double epochs, best;
    assert_int_equal(eg_doc_number(&epochs, doc, "epochs", &err), EG_OK);
    assert_int_equal(eg_doc_number(&best, doc, "best_epoch", &err), EG_OK);
    assert_true(epochs == best + 1 && epochs < 30);
    eg_doc_free(doc);
    /* the directory is taken: refused, and with --overwrite replaced */
    o = base_options(ROOT "/e");
    o.epochs = 1;
    assert_int_equal(eg_train(&doc, DATA, &o, NULL, &err), EG_ERR_USAGE);
    assert_non_null(strstr(err.text, "--overwrite"));
    o.overwrite = true;
    if (eg_train(&doc, DATA, &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_int_equal(eg_doc_number(&epochs, doc, "epochs", &err), EG_OK);
    assert_true(epochs == 1);
    eg_doc_free(doc);
}

static void divergence(void **state) {
    (void)state;
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options o = base_options(ROOT "/f");
    o.opt = "sgd";
    o.lr = 1e25;
    o.warmup_epochs = 0;
    assert_int_equal(eg_train(&doc, DATA, &o, NULL, &err), EG_ERR_DIVERGED);
    if (!strstr(err.text, "diverged in epoch 1") || !strstr(err.text, "--lr"))
        fail_msg("%s", err.text);
    assert_int_equal(eg_status_exit_code(err.status), 4);
    assert_false(eg_path_exists(ROOT "/f/best.safetensors"));
}

static void bad_images(void **state) {
    (void)state;
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options o = base_options(ROOT "/g");
    tree_make(ROOT "/bad", 10, 4);
    eg_part part = {"no image", 8};
    assert_int_equal(eg_file_write_atomic(ROOT "/bad/train/LEFT/a003.png", &part, 1, &err), EG_OK);
    o.epochs = 1;
    assert_int_equal(eg_train(&doc, ROOT "/bad", &o, NULL, &err), EG_ERR_INPUT);
    if (!strstr(err.text, "1 image cannot be read: ") || !strstr(err.text, "a003.png") ||
        !strstr(err.text, "--skip-bad"))
        fail_msg("%s", err.text);
    o.skip_bad = true;
    o.overwrite = true;
    if (eg_train(&doc, ROOT "/bad", &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    eg_doc_free(doc);
    json_t *config = NULL;
    assert_int_equal(eg_json_read(&config, ROOT "/g/config.json", &err), EG_OK);
    const json_t *data = json_object_get(config, "data");
    assert_int_equal(json_array_size(json_object_get(data, "bad_files")), 1);
    json_decref(config);
}

/* what a run is for: eval and predict with its checkpoint */
static void eval_and_predict(void **state) {
    (void)state;
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options o;
    eg_options_init(&o);
    double test, val, val_run;
    if (eg_eval(&doc, ROOT "/a", DATA, &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_int_equal(eg_doc_number(&test, doc, "loss", &err), EG_OK);
    eg_doc_free(doc);
    json_t *metrics = NULL;
    assert_int_equal(eg_json_read(&metrics, ROOT "/a/metrics.json", &err), EG_OK);
    assert_float_equal(eg_study_number(json_object_get(metrics, "test"), "loss"), test, 1e-6);
    /* validation is drawn again as in training */
    o.split = "val";
    if (eg_eval(&doc, ROOT "/a", DATA, &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_int_equal(eg_doc_number(&val, doc, "loss", &err), EG_OK);
    val_run = eg_study_number(json_object_get(metrics, "val"), "loss");
    assert_float_equal(val_run, val, 1e-6);
    eg_doc_free(doc);
    json_decref(metrics);
    const char *images[] = {DATA "/test/LEFT/t000.png", DATA "/test/RIGHT/t001.png"};
    if (eg_predict(&doc, ROOT "/a", images, 2, &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    double p0, p1, q1;
    assert_int_equal(eg_doc_number(&p0, doc, "images.0.p.0", &err), EG_OK);
    assert_int_equal(eg_doc_number(&p1, doc, "images.0.p.1", &err), EG_OK);
    assert_int_equal(eg_doc_number(&q1, doc, "images.1.p.1", &err), EG_OK);
    assert_float_equal(p0 + p1, 1, 1e-9);
    assert_true(q1 > p1);
    eg_doc_free(doc);
    images[1] = DATA "/test/LEFT/none.png";
    assert_int_equal(eg_predict(&doc, ROOT "/a", images, 2, &o, NULL, &err), EG_ERR_NOT_FOUND);
}

/* ---- in bf16 ---- */

/* a network that all of which has a bf16 form */
static eg_options bf16_options(const char *out) {
    eg_options o = base_options(out);
    o.model = "resnet18";
    o.dtype = "bf16";
    o.epochs = 3;
    o.lr = 2e-4;
    o.augment = "none";
    o.crop_min = o.flip = -1; /* of none */
    o.batch_size = 12;        /* 64 = 5 * 12 + 4: a smaller last batch */
    return o;
}

static void assert_dtype(const char *path, const char *expected) {
    json_t *json = NULL;
    eg_error err = {0};
    if (eg_json_read(&json, path, &err) != EG_OK) fail_msg("%s", err.text);
    const json_t *settings = json_object_get(json, "settings");
    const char *found = json_string_value(json_object_get(settings ? settings : json, "dtype"));
    if (!found || strcmp(found, expected) != 0)
        fail_msg("%s: dtype %s", path, found ? found : "missing");
    json_decref(json);
}

static double eval_loss(const char *run, const char *dtype, const char *expected) {
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options o;
    double loss;
    eg_options_init(&o);
    o.dtype = dtype;
    o.batch_size = 12; /* as in training, so that the same sums are made */
    if (eg_eval(&doc, run, DATA, &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_int_equal(eg_doc_number(&loss, doc, "loss", &err), EG_OK);
    assert_string_equal(json_string_value(json_object_get(doc->root, "dtype")), expected);
    eg_doc_free(doc);
    return loss;
}

/* it learns, every document says in what, the same bytes come out again, and eval goes on in it */
static void trains_in_bf16(void **state) {
    (void)state;
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options o = bf16_options(ROOT "/h1");
    double first, last, test;
    if (eg_train(&doc, DATA, &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_int_equal(eg_doc_number(&first, doc, "history.0.train_loss", &err), EG_OK);
    assert_int_equal(eg_doc_number(&last, doc, "history.2.train_loss", &err), EG_OK);
    assert_int_equal(eg_doc_number(&test, doc, "test.loss", &err), EG_OK);
    assert_true(last < 0.6 * first); /* measured: a quarter, as in f32 */
    eg_doc_free(doc);
    assert_dtype(ROOT "/h1/config.json", "bf16");
    assert_dtype(ROOT "/h1/summary.json", "bf16");
    assert_dtype(ROOT "/h1/metrics.json", "bf16");
    o.out = ROOT "/h2";
    if (eg_train(&doc, DATA, &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    eg_doc_free(doc);
    assert_same_file(ROOT "/h1/best.safetensors", ROOT "/h2/best.safetensors");
    assert_same_file(ROOT "/h1/predictions-test.csv", ROOT "/h2/predictions-test.csv");
    /* the run's own format, or another by name, whose figures are near but not these */
    assert_float_equal(eval_loss(ROOT "/h1", "auto", "bf16"), test, 1e-6);
    double in_float = eval_loss(ROOT "/h1", "f32", "f32");
    assert_float_equal(in_float, test, 0.1);
    assert_true(in_float != test);
    const char *image = DATA "/test/LEFT/t000.png";
    eg_options_init(&o);
    if (eg_predict(&doc, ROOT "/h1", &image, 1, &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_string_equal(json_string_value(json_object_get(doc->root, "dtype")), "bf16");
    eg_doc_free(doc);
}

static void resumes_in_bf16(void **state) {
    (void)state;
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options o = bf16_options(ROOT "/h3"), r;
    stopper s = {.steps = 9}; /* 6 steps an epoch: within the second */
    eg_events ev = {stop_after, &s, &s.stop};
    assert_int_equal(eg_train(&doc, DATA, &o, &ev, &err), EG_ERR_INTERRUPTED);
    eg_options_init(&r);
    r.resume = ROOT "/h3";
    r.dtype = "f32"; /* the run's own counts */
    if (eg_train(&doc, DATA, &r, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    eg_doc_free(doc);
    assert_dtype(ROOT "/h3/summary.json", "bf16");
    assert_same_file(ROOT "/h1/last.safetensors", ROOT "/h3/last.safetensors");
    assert_same_file(ROOT "/h1/predictions-test.csv", ROOT "/h3/predictions-test.csv");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_and_repeats),
        cmocka_unit_test(resumes_to_the_same_bits),
        cmocka_unit_test(resume_refuses_other_data),
        cmocka_unit_test(early_stop_and_overwrite),
        cmocka_unit_test(divergence),
        cmocka_unit_test(bad_images),
        cmocka_unit_test(eval_and_predict),
        cmocka_unit_test(trains_in_bf16),
        cmocka_unit_test(resumes_in_bf16),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
