/* Recipes end to end on small trees: named ones and what the user said, averaged weights, accumulation, partial and gradual
 * training, the linear probe, the other meanings of frozen, views. Interrupted runs end in the same bytes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "study/recipe.h"
#include "study_tree.h"

#define ROOT    TEST_BINARY_DIR "/trees/recipe"
#define DATA    ROOT "/data"
#define WEIGHTS ROOT "/resnet18.safetensors"

static int setup(void **state) {
    (void)state;
    tree_remove(ROOT);
    tree_make(DATA, 24, 8);
    tree_weights(WEIGHTS, "resnet18", 3);
    return 0;
}

static void set(eg_options *o, const char *name, const char *value) {
    eg_error err = {0};
    if (eg_options_set(o, eg_option_find(name, EG_COMMAND_TRAIN), value, &err) != EG_OK)
        fail_msg("%s", err.text);
}

/* small_cnn from scratch: seconds */
static eg_options scratch_options(const char *out) {
    eg_options o;
    eg_options_init(&o);
    o.model = "small_cnn";
    o.mode = "scratch";
    o.img_size = 32;
    o.epochs = 4;
    o.batch_size = 7;
    o.out = out;
    o.val_by = "image";
    o.dtype = "f32";
    o.augment = "none";
    return o;
}

static eg_options tuning_options(const char *out, const char *mode) {
    eg_options o = tree_frozen_options(WEIGHTS, out);
    o.mode = mode;
    o.augment = "none";
    o.epochs = 1;
    return o;
}

static eg_doc *train(const eg_options *o) {
    eg_doc *doc = NULL;
    eg_error err = {0};
    if (eg_train(&doc, DATA, o, NULL, &err) != EG_OK) fail_msg("%s: %s", o->out, err.text);
    return doc;
}

static void refused(const eg_options *o, const char *text) {
    eg_doc *doc = NULL;
    eg_error err = {0};
    assert_int_equal(eg_train(&doc, DATA, o, NULL, &err), EG_ERR_USAGE);
    if (!strstr(err.text, text)) fail_msg("\"%s\" does not say \"%s\"", err.text, text);
}

/* every row of the table names options and values that exist */
static void named(void **state) {
    (void)state;
    static const char *const NAMES[] = {"default", "quick", "xray", "strong"};
    eg_error err = {0};
    eg_options o;
    for (size_t i = 0; i < 4; i++) {
        for (int mode = 0; mode < EG_RUN_MODE_COUNT; mode++) {
            eg_options_init(&o);
            o.recipe = NAMES[i];
            if (eg_study_recipe_apply(&o, (eg_run_mode)mode, &err) != EG_OK)
                fail_msg("%s: %s", NAMES[i], err.text);
            assert_int_equal(o.epochs == 5, i == 0 || mode == EG_RUN_FROZEN);
        }
    }
    o.recipe = "slow";
    assert_int_equal(eg_study_recipe_apply(&o, EG_RUN_FINETUNE, &err), EG_ERR_USAGE);
}

/* what the user said stays, be it what the fallback says too */
static void user_first(void **state) {
    (void)state;
    eg_error err = {0};
    eg_options o;
    eg_options_init(&o);
    o.recipe = "xray";
    set(&o, "epochs", "5");
    o.clip_grad = 7;
    assert_int_equal(eg_study_recipe_apply(&o, EG_RUN_FINETUNE, &err), EG_OK);
    assert_true(o.epochs == 5 && o.clip_grad == 7);
    assert_true(o.layer_decay < 1 && o.ema > 0 && o.tta > 1);
    assert_string_equal(o.augment, "xray");
}

static void set_flag(void *context, const eg_progress *p) {
    volatile sig_atomic_t *left = context;
    if (p->kind == EG_PROGRESS_STEP && --left[0] == 0) left[1] = 1;
}

/* Stopped after `steps` batches and resumed, the run ends in the bytes of `whole`. */
static void assert_resumes(eg_options o, const char *whole, int steps) {
    eg_doc *doc = NULL;
    eg_error err = {0};
    volatile sig_atomic_t left[2] = {steps, 0};
    eg_events ev = {set_flag, (void *)(uintptr_t)left, &left[1]};
    assert_int_equal(eg_train(&doc, DATA, &o, &ev, &err), EG_ERR_INTERRUPTED);
    eg_options r;
    eg_options_init(&r);
    r.resume = o.out;
    if (eg_train(&doc, DATA, &r, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    eg_doc_free(doc);
    static const char *const FILES[] = {"best.safetensors", "last.safetensors",
                                        "predictions-test.csv"};
    for (size_t i = 0; i < 3; i++) {
        char *a = eg_path_join(whole, FILES[i]), *b = eg_path_join(o.out, FILES[i]);
        assert_same_file(a, b);
        eg_free(a);
        eg_free(b);
    }
    char *folder = eg_path_join(o.out, "resume");
    assert_false(eg_path_exists(folder));
    eg_free(folder);
}

/* all that a run carries from epoch to epoch */
static void resumes(void **state) {
    (void)state;
    eg_options o = scratch_options(ROOT "/whole");
    o.opt = "rmsprop";
    o.lr = 2e-3;
    o.sched = "plateau";
    o.plateau_patience = 0;
    o.loss = "focal";
    o.ema = 0.9;
    o.average = 3;
    o.accumulate = 2;
    o.layer_decay = 0.7;
    o.unfreeze_epochs = 2;
    o.clip_grad = 1;
    o.epochs = 5;
    eg_doc *doc = train(&o);
    assert_true(tree_number(doc, "average.epochs") == 3);
    /* the rate of an epoch follows from the losses before it */
    double lr = 2e-3, best = INFINITY;
    for (int i = 0; i < 5; i++) {
        char path[64];
        snprintf(path, sizeof path, "history.%d.lr", i);
        assert_float_equal(tree_number(doc, path), i == 0 ? tree_number(doc, path) : lr, 1e-12);
        snprintf(path, sizeof path, "history.%d.val_loss", i);
        double loss = tree_number(doc, path);
        if (loss < best * (1 - 1e-4))
            best = loss;
        else
            lr *= 0.1;
    }
    eg_doc_free(doc);
    o.out = ROOT "/broken";
    assert_resumes(o, ROOT "/whole", 16); /* 38 images: 6 batches an epoch; within the third */
}

/* the mean of the weights is what is scored and kept: with a decay near 1 it stays behind those that train */
static void moving_average(void **state) {
    (void)state;
    eg_options o = scratch_options(ROOT "/ema0");
    o.epochs = 1;
    eg_doc *doc = train(&o);
    double plain = tree_number(doc, "history.0.val_loss"),
           first = tree_number(doc, "history.0.train_loss");
    eg_doc_free(doc);
    o.out = ROOT "/ema1";
    o.ema = 0.9;
    doc = train(&o);
    /* training itself is the same, validation another network's */
    assert_float_equal(tree_number(doc, "history.0.train_loss"), first, 1e-9);
    assert_true(fabs(tree_number(doc, "history.0.val_loss") - plain) > 1e-6);
    assert_float_equal(tree_number(doc, "history.0.val_loss"), tree_number(doc, "val.loss"), 1e-6);
    eg_doc_free(doc);
}

static double largest_difference(const char *a, const char *b) {
    eg_state_dict *x = NULL, *y = NULL;
    double worst = 0;
    assert_int_equal(eg_weights_read(&x, a, NULL), EG_OK);
    assert_int_equal(eg_weights_read(&y, b, NULL), EG_OK);
    for (size_t i = 0; i < eg_state_dict_count(x); i++) {
        const eg_tensor *t = eg_state_dict_at(x, i), *u = eg_state_dict_find(y, t->name);
        assert_non_null(u);
        if (t->dtype != EG_DTYPE_F32) continue;
        for (size_t k = 0; k < t->n_bytes / sizeof(float); k++)
            worst = fmax(worst, fabs((double)((const float *)t->data)[k] -
                                     (double)((const float *)u->data)[k]));
    }
    eg_state_dict_free(x);
    eg_state_dict_free(y);
    return worst;
}

/* three batches of 4 are one of 12, where no batch norm sees the difference; class weights and a last, smaller group too */
static void accumulates(void **state) {
    (void)state;
    eg_options o = tuning_options(ROOT "/acc12", "finetune");
    o.bn = "frozen";
    o.opt = "sgd";
    o.lr = 1e-3;
    o.warmup_epochs = 0;
    o.batch_size = 12;
    o.class_weights = "balanced";
    eg_doc_free(train(&o));
    o.out = ROOT "/acc4";
    o.batch_size = 4;
    o.accumulate = 3;
    eg_doc_free(train(&o));
    double apart =
        largest_difference(ROOT "/acc12/last.safetensors", ROOT "/acc4/last.safetensors");
    if (!(apart < 1e-5)) fail_msg("weights differ by %g", apart);
    o.out = ROOT "/acc1";
    o.accumulate = 1;
    eg_doc_free(train(&o));
    assert_true(largest_difference(ROOT "/acc12/last.safetensors", ROOT "/acc1/last.safetensors") >
                1e-5);
}

/* tensors of the run's network that are no longer those of the weights file, by the beginning of their names */
static int changed(const char *run, const char *prefix) {
    char *path = eg_path_join(run, "last.safetensors");
    eg_state_dict *x = NULL, *y = NULL;
    int n = 0;
    assert_int_equal(eg_weights_read(&x, path, NULL), EG_OK);
    assert_int_equal(eg_weights_read(&y, WEIGHTS, NULL), EG_OK);
    for (size_t i = 0; i < eg_state_dict_count(x); i++) {
        const eg_tensor *t = eg_state_dict_at(x, i), *u = eg_state_dict_find(y, t->name);
        if (strncmp(t->name, prefix, strlen(prefix)) != 0) continue;
        assert_non_null(u);
        n += memcmp(t->data, u->data, t->n_bytes) != 0;
    }
    eg_state_dict_free(x);
    eg_state_dict_free(y);
    eg_free(path);
    return n;
}

static void trains_a_part(void **state) {
    (void)state;
    eg_options o = tuning_options(ROOT "/part", "finetune");
    o.unfreeze_from = "layer4";
    eg_doc *doc = train(&o);
    assert_true(tree_number(doc, "trainable_parameters") < tree_number(doc, "parameters"));
    eg_doc_free(doc);
    assert_int_equal(changed(ROOT "/part", "conv1") + changed(ROOT "/part", "bn1"), 0);
    assert_int_equal(changed(ROOT "/part", "layer3"), 0);
    assert_int_equal(changed(ROOT "/part", "layer4"),
                     30); /* 5 convolutions, 5 norms of 5 tensors */
    o.unfreeze_from = "layer9";
    o.out = ROOT "/none";
    refused(&o, "layer9");
    /* gradually: in the first of two epochs the head alone, then the upper half of the blocks too */
    o = tuning_options(ROOT "/gradual", "finetune");
    o.unfreeze_epochs = 2;
    eg_doc_free(train(&o));
    assert_int_equal(changed(ROOT "/gradual", "layer") + changed(ROOT "/gradual", "conv1"), 0);
    o.out = ROOT "/gradual2";
    o.epochs = 2;
    eg_doc_free(train(&o));
    assert_int_equal(changed(ROOT "/gradual2", "conv1"), 0);
    assert_int_equal(changed(ROOT "/gradual2", "layer4"), 30);
}

/* the exact head first: with a rate of next to nothing the run is as good as the probe, and it resumes */
static void probe_first(void **state) {
    (void)state;
    eg_options o = tuning_options(ROOT "/lpft", "lp-ft");
    o.bn = "frozen";
    o.lr = 1e-12;
    o.C = 0.1;
    eg_doc *doc = train(&o);
    assert_string_equal(json_string_value(json_object_get(doc->root, "name")), "resnet18-lp-ft");
    assert_float_equal(tree_number(doc, "probe.val_loss"), tree_number(doc, "val.loss"), 1e-4);
    assert_true(tree_number(doc, "history.0.epoch") == 1 && tree_number(doc, "epochs") == 1);
    eg_doc_free(doc);
    o = tuning_options(ROOT "/frozen", "frozen");
    o.C = 0.1;
    doc = train(&o);
    json_t *lpft = NULL;
    assert_int_equal(eg_json_read(&lpft, ROOT "/lpft/summary.json", NULL), EG_OK);
    assert_float_equal(eg_study_number(json_object_get(lpft, "probe"), "val_loss"),
                       tree_number(doc, "val.loss"), 1e-6);
    json_decref(lpft);
    eg_doc_free(doc);
    o = tuning_options(ROOT "/lp1", "lp-ft");
    o.epochs = 2;
    eg_doc_free(train(&o));
    o.out = ROOT "/lp2";
    assert_resumes(o, ROOT "/lp1", 6); /* 4 batches an epoch */
}

/* what other programs' "frozen" leaves of the 120 tensors of the trunk: 20 convolutions, 20 norms of 5 */
static void other_meanings(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int identical;
    } CASES[] = {{"torch-tutorial", 60}, {"fastai", 20}, {"keras", 120}};
    double last_still = NAN;
    for (size_t i = 0; i < 3; i++) {
        char *out = eg_format(ROOT "/emulate-%s", CASES[i].name);
        eg_options o = tuning_options(out, "frozen");
        o.emulate = CASES[i].name;
        eg_doc *doc = train(&o);
        if (tree_number(doc, "freeze.identical") != CASES[i].identical)
            fail_msg("%s: %g tensors", CASES[i].name, tree_number(doc, "freeze.identical"));
        assert_string_equal(json_string_value(json_object_get(doc->root, "emulate")),
                            CASES[i].name);
        assert_true(tree_number(doc, "emulation.changed") == 120 - CASES[i].identical);
        if (CASES[i].identical < 120) {
            double here = tree_number(doc, "emulation.val.loss.emulated");
            double still = tree_number(doc, "emulation.val.loss.still");
            assert_float_equal(here, tree_number(doc, "val.loss"), 1e-9);
            assert_true(fabs(here - still) > 1e-6);
            last_still = still;
        } else { /* a trunk that stays still is what the others were held against */
            assert_float_equal(tree_number(doc, "val.loss"), last_still, 1e-6);
        }
        eg_doc_free(doc);
        eg_free(out);
    }
    eg_options o = tuning_options(ROOT "/none", "finetune");
    o.emulate = "keras";
    refused(&o, "--mode frozen");
    o.mode = "frozen";
    o.bn = "train";
    refused(&o, "--bn frozen");
}

static double number_at(const char *path, const char *key) {
    json_t *json = NULL;
    eg_error err = {0};
    if (eg_json_read(&json, path, &err) != EG_OK) fail_msg("%s", err.text);
    double value = eg_study_number(json_object_get(json, "test"), key);
    json_decref(json);
    return value;
}

/* views at scoring: the run's, those of eval and those of predict are the same images */
static void shifted_views(void **state) {
    (void)state;
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options o = scratch_options(ROOT "/tta"), e;
    o.tta = 4;
    o.epochs = 2;
    eg_doc_free(train(&o));
    double loss = number_at(ROOT "/tta/metrics.json", "loss");
    eg_options_init(&e);
    if (eg_eval(&doc, ROOT "/tta", DATA, &e, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_float_equal(tree_number(doc, "loss"), loss, 1e-6);
    assert_true(tree_number(doc, "tta") == 4);
    eg_doc_free(doc);
    e.tta = 1;
    if (eg_eval(&doc, ROOT "/tta", DATA, &e, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_true(fabs(tree_number(doc, "loss") - loss) > 1e-6);
    eg_doc_free(doc);
    eg_scores scores;
    char left[] = "LEFT", right[] = "RIGHT", *classes[] = {left, right};
    if (eg_study_scores_read(&scores, ROOT "/tta/predictions-test.csv", classes, 2, &err) != EG_OK)
        fail_msg("%s", err.text);
    const char *image = DATA "/test/LEFT/t000.png";
    assert_string_equal(scores.file[0], "test/LEFT/t000.png");
    eg_options_init(&e);
    if (eg_predict(&doc, ROOT "/tta", &image, 1, &e, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_float_equal(tree_number(doc, "images.0.p.1"), scores.prob[1], 1e-6);
    assert_true(tree_number(doc, "tta") == 4);
    eg_doc_free(doc);
    eg_study_scores_free(&scores);
}

/* frozen: augmented views for the head, penalty by cross-validation, from the cache the second time */
static void cached_views(void **state) {
    (void)state;
    eg_options o = tree_frozen_options(WEIGHTS, ROOT "/views");
    o.views = 3;
    o.augment = "light";
    o.C = 0;
    o.feature_cache = ROOT "/cache";
    eg_doc *doc = train(&o);
    assert_true(tree_number(doc, "freeze.identical") == 120);
    assert_true(tree_number(doc, "penalty.folds") == 5);
    assert_true(tree_number(doc, "penalty.C") > 0);
    assert_true(tree_number(doc, "penalty.candidates.2.loss") > 0);
    assert_true(tree_number(doc, "knn.val.n") == 10);
    assert_true(tree_number(doc, "knn.test.accuracy") >= 0 &&
                tree_number(doc, "knn.test.accuracy") <= 1);
    double with = tree_number(doc, "train.loss");
    eg_doc_free(doc);
    o.out = ROOT "/views2";
    eg_doc_free(train(&o));
    assert_same_file(ROOT "/views/best.safetensors", ROOT "/views2/best.safetensors");
    o.out = ROOT "/views3";
    o.no_feature_cache = true;
    eg_doc_free(train(&o));
    assert_same_file(ROOT "/views/best.safetensors", ROOT "/views3/best.safetensors");
    o = tree_frozen_options(WEIGHTS, ROOT "/view1");
    o.C = 0;
    doc = train(&o);
    assert_true(tree_number(doc, "train.loss") != with);
    eg_doc_free(doc);
    o.out = ROOT "/recipe-views";
    o.views = 2;
    o.augment = "light";
    o.head = "recipe";
    o.epochs = 3;
    eg_doc_free(train(&o));
    o.out = ROOT "/none";
    o.augment = "none";
    refused(&o, "--augment none");
    o.augment = "light";
    o.bn = "train";
    refused(&o, "--bn frozen");
}

/* three runs: what the summary says of them is what their own files say */
static void several_seeds(void **state) {
    (void)state;
    eg_options o = scratch_options(ROOT "/seeds");
    o.seeds = 3;
    o.seed = 5;
    o.epochs = 1;
    eg_doc *doc = train(&o);
    assert_string_equal(eg_doc_kind(doc), "seeds");
    double sum = 0;
    for (int k = 0; k < 3; k++) {
        char *path = eg_format(ROOT "/seeds/seed-%d/metrics.json", 5 + k);
        sum += number_at(path, "loss");
        eg_free(path);
    }
    assert_float_equal(tree_number(doc, "test.loss.mean"), sum / 3, 1e-6);
    assert_true(tree_number(doc, "test.loss.sd") > 0);
    assert_true(tree_number(doc, "test.loss.ci.0") < sum / 3);
    assert_true(tree_number(doc, "runs.2.seed") == 7);
    assert_true(eg_path_exists(ROOT "/seeds/seeds.json"));
    eg_doc_free(doc);
}

static void finds_a_rate(void **state) {
    (void)state;
    eg_options o = scratch_options(ROOT "/sweep");
    o.find_lr = true;
    eg_doc *doc = train(&o);
    assert_string_equal(eg_doc_kind(doc), "lr_finder");
    double rate = tree_number(doc, "suggestion"), steps = tree_number(doc, "steps");
    assert_true(rate > 1e-5 && rate < 1); /* a CNN from scratch with AdamW learns in between */
    assert_true(steps > 20 && steps <= 100);
    assert_float_equal(tree_number(doc, "lr.0"), 1e-7, 1e-15);
    eg_doc_free(doc);
    assert_true(eg_path_exists(ROOT "/sweep/lr_finder.csv"));
    assert_true(eg_path_exists(ROOT "/sweep/lr_finder.svg"));
    assert_false(eg_path_exists(ROOT "/sweep/best.safetensors"));
    o = tree_frozen_options(WEIGHTS, ROOT "/none");
    o.find_lr = true;
    refused(&o, "--head recipe");
}

/* balanced epochs, mixed images: they run, and end in the same bytes after a break */
static void sampled_and_mixed(void **state) {
    (void)state;
    eg_options o = scratch_options(ROOT "/mix1");
    o.sampler = "balanced";
    o.augment = "light";
    o.mixup = 0.4;
    o.cutmix = 1;
    o.epochs = 2;
    eg_doc_free(train(&o));
    o.out = ROOT "/mix2";
    assert_resumes(o, ROOT "/mix1", 9);
    o.out = ROOT "/mix3";
    o.mixup = o.cutmix = 0;
    eg_doc_free(train(&o));
    assert_true(largest_difference(ROOT "/mix1/last.safetensors", ROOT "/mix3/last.safetensors") >
                1e-4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(named),
        cmocka_unit_test(user_first),
        cmocka_unit_test(resumes),
        cmocka_unit_test(moving_average),
        cmocka_unit_test(accumulates),
        cmocka_unit_test(trains_a_part),
        cmocka_unit_test(probe_first),
        cmocka_unit_test(other_meanings),
        cmocka_unit_test(shifted_views),
        cmocka_unit_test(cached_views),
        cmocka_unit_test(several_seeds),
        cmocka_unit_test(finds_a_rate),
        cmocka_unit_test(sampled_and_mixed),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
