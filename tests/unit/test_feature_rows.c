/* Features through the cache: a second run opens no image and makes no plan (counted by the linker's --wrap, see
 * cmake/tests.cmake) and writes the same bytes; whatever the features depend on makes them be computed again. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "study_tree.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT    TEST_BINARY_DIR "/trees/feature_rows"
#define DATA    ROOT "/data"
#define CACHE   ROOT "/cache"
#define WEIGHTS ROOT "/resnet18.safetensors"

enum { N = 2 * 20 + 2 * 6 };

/* ---- what is counted ---- */

static int n_decoded, n_plans;

eg_status __real_eg_image_read(eg_image *out, const char *path, const eg_image_options *limits,
                               eg_error *err);
eg_status __wrap_eg_image_read(eg_image *out, const char *path, const eg_image_options *limits,
                               eg_error *err);
eg_status __wrap_eg_image_read(eg_image *out, const char *path, const eg_image_options *limits,
                               eg_error *err) {
    __atomic_add_fetch(&n_decoded, 1, __ATOMIC_RELAXED);
    return __real_eg_image_read(out, path, limits, err);
}

eg_status __real_eg_plan_new(eg_plan **out, eg_network *net, const eg_plan_options *o,
                             eg_error *err);
eg_status __wrap_eg_plan_new(eg_plan **out, eg_network *net, const eg_plan_options *o,
                             eg_error *err);
eg_status __wrap_eg_plan_new(eg_plan **out, eg_network *net, const eg_plan_options *o,
                             eg_error *err) {
    n_plans++;
    return __real_eg_plan_new(out, net, o, err);
}

/* ---- runs ---- */

static int setup(void **state) {
    (void)state;
    tree_remove(ROOT);
    tree_make(DATA, 20, 6);
    tree_weights(WEIGHTS, "resnet18", 3);
    tree_weights(ROOT "/other.safetensors", "resnet18", 4);
    usleep(50000);
    return 0;
}

static eg_options options(const char *out, const char *cache) {
    eg_options o = tree_frozen_options(WEIGHTS, out);
    o.overwrite = true;
    o.feature_cache = cache;
    return o;
}

/* Train, or write features; how many of them came from the cache. */
static int run(bool trains, const eg_options *o, const eg_events *ev) {
    eg_doc *doc = NULL;
    eg_error err = {0};
    n_decoded = n_plans = 0;
    eg_status status =
        trains ? eg_train(&doc, DATA, o, ev, &err) : eg_features(&doc, DATA, o, ev, &err);
    if (status != EG_OK) fail_msg("%s", err.text);
    int cached = (int)tree_number(doc, trains ? "features_cached" : "cached");
    eg_doc_free(doc);
    return cached;
}

static int train(const eg_options *o, const eg_events *ev) {
    return run(true, o, ev);
}

static int features(const eg_options *o) {
    return run(false, o, NULL);
}

static void assert_same_run(const char *a, const char *b) {
    static const char *const FILES[] = {
        "features.npz",         "best.safetensors", "last.safetensors", "predictions-val.csv",
        "predictions-test.csv", "metrics.json",     "freeze.json",      "config.json"};
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        char *x = eg_path_join(a, FILES[i]), *y = eg_path_join(b, FILES[i]);
        assert_same_file(x, y);
        eg_free(x);
        eg_free(y);
    }
}

static void second_run(void **state) {
    (void)state;
    eg_options without = options(ROOT "/without", NULL), first = options(ROOT "/first", CACHE),
               second = options(ROOT "/second", CACHE), off = options(ROOT "/off", CACHE);
    assert_int_equal(train(&without, NULL), 0);
    assert_true(n_decoded > N && n_plans > 0);
    assert_int_equal(train(&first, NULL), 0);
    assert_true(n_decoded > N && n_plans > 0);
    assert_int_equal(train(&second, NULL), N);
    assert_int_equal(n_decoded, 0);
    assert_int_equal(n_plans, 0);
    assert_same_run(ROOT "/without", ROOT "/first");
    assert_same_run(ROOT "/without", ROOT "/second");
    /* the head by the recipe reads the same rows; so does the command that writes them */
    second.head = "recipe";
    second.epochs = 3;
    assert_int_equal(train(&second, NULL), N);
    eg_options npz = options(ROOT "/all.npz", CACHE);
    assert_int_equal(features(&npz), N);
    assert_int_equal(n_decoded + n_plans, 0);
    off.no_feature_cache = true;
    assert_int_equal(train(&off, NULL), 0);
    assert_true(n_decoded > N && n_plans > 0);
    assert_same_run(ROOT "/without", ROOT "/off");
}

/* Each of them is something that the bits of a feature depend on. */
static void other_features(void **state) {
    (void)state;
    eg_options o = options(ROOT "/x.npz", CACHE);
    assert_int_equal(features(&o), N);
    o.weights = ROOT "/other.safetensors";
    assert_int_equal(features(&o), 0);
    assert_int_equal(features(&o), N);
    o = options(ROOT "/x.npz", CACHE);
    o.preprocessing = "squash";
    assert_int_equal(features(&o), 0);
    o = options(ROOT "/x.npz", CACHE);
    o.img_size = 40;
    assert_int_equal(features(&o), 0);
    o = options(ROOT "/x.npz", CACHE);
    o.batch_size = 9;
    assert_int_equal(features(&o), 0);
    o = options(ROOT "/x.npz", CACHE);
    o.deterministic = true;
    assert_int_equal(features(&o), 0);
    o = options(ROOT "/x.npz", CACHE);
    o.dtype = "bf16";
    assert_int_equal(features(&o), 0);
    assert_int_equal(features(&o), N);
    o = options(ROOT "/x.npz", CACHE);
    assert_int_equal(features(&o), N); /* and none of them spoiled the first */
    assert_same_file(ROOT "/x.npz", ROOT "/all.npz");
}

/* One image changes, one comes in under another name: the first is computed, in a batch of its own, and the file is
 * that of a run without a cache. */
static void changed_image(void **state) {
    (void)state;
    eg_options o = options(ROOT "/x.npz", CACHE), plain = options(ROOT "/y.npz", NULL);
    tree_image(DATA "/train/LEFT/a003.png", 0, 5000);
    assert_int_equal(rename(DATA "/train/LEFT/a005.png", DATA "/train/LEFT/zzz.png"), 0);
    usleep(50000);
    assert_int_equal(features(&o), N - 1);
    assert_int_equal(n_decoded, 2); /* checked, then loaded */
    assert_int_equal(features(&plain), 0);
    assert_same_file(ROOT "/x.npz", ROOT "/y.npz");
    assert_int_equal(features(&o), N);
}

/* An interrupted run keeps what it had. */
static volatile sig_atomic_t stop;
static void stop_at_20(void *context, const eg_progress *p) {
    (void)context;
    if (p->kind == EG_PROGRESS_SCAN && strcmp(p->stage, "features") == 0 && p->step >= 20) stop = 1;
}

static void interrupted(void **state) {
    (void)state;
    eg_options o = options(ROOT "/x.npz", ROOT "/cache2"), plain = options(ROOT "/y.npz", NULL);
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_events ev = {.progress = stop_at_20, .stop = &stop};
    assert_int_equal(eg_features(&doc, DATA, &o, &ev, &err), EG_ERR_INTERRUPTED);
    assert_int_equal(features(&o), 20);
    assert_int_equal(features(&plain), 0);
    assert_same_file(ROOT "/x.npz", ROOT "/y.npz");
}

typedef struct {
    int damaged, without;
} heard;

static void hear(void *context, const eg_progress *p) {
    heard *h = context;
    if (p->kind != EG_PROGRESS_NOTE) return;
    h->damaged += strstr(p->text, "is damaged") != NULL;
    h->without += strstr(p->text, "goes on without it") != NULL;
}

static void damaged_files(void **state) {
    (void)state;
    eg_options o = options(ROOT "/damaged", ROOT "/cache2"), plain = options(ROOT "/plain", NULL);
    heard h = {0};
    eg_events ev = {.progress = hear, .context = &h};
    int n = 0;
    DIR *folder = opendir(ROOT "/cache2");
    for (struct dirent *e; (e = readdir(folder));) {
        if (e->d_name[0] == '.') continue;
        char *path = eg_path_join(ROOT "/cache2", e->d_name);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(truncate(path, st.st_size / 2), 0);
        eg_free(path);
        n++;
    }
    closedir(folder);
    assert_true(n >= 3); /* sizes, and features in two files */
    assert_int_equal(train(&plain, NULL), 0);
    assert_int_equal(train(&o, &ev), 0);
    assert_true(h.damaged == n && h.without == 0);
    assert_same_run(ROOT "/plain", ROOT "/damaged");
    /* folders of their own: a run made again counts one more look at test */
    o.out = ROOT "/mended";
    assert_int_equal(train(&o, NULL), N);
    assert_same_run(ROOT "/plain", ROOT "/mended");
    /* a cache that cannot be: told, and without effect */
    o.out = ROOT "/unusable";
    o.feature_cache = WEIGHTS "/cache";
    h = (heard){0};
    assert_int_equal(train(&o, &ev), 0);
    assert_true(h.without >= 1 && h.damaged == 0);
    assert_same_run(ROOT "/plain", ROOT "/unusable");
}

/* Bad images are never remembered as sound. */
static void bad_image(void **state) {
    (void)state;
    eg_options o = options(ROOT "/x.npz", CACHE);
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_part part = {"no image", 8};
    assert_int_equal(eg_file_write_atomic(DATA "/train/LEFT/a000.png", &part, 1, NULL), EG_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(eg_features(&doc, DATA, &o, NULL, &err), EG_ERR_INPUT);
        assert_non_null(strstr(err.text, "a000.png"));
    }
    o.skip_bad = true;
    assert_int_equal(features(&o), N - 1);
    assert_int_equal(n_decoded, 1); /* to see that it is bad */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(second_run),    cmocka_unit_test(other_features),
        cmocka_unit_test(changed_image), cmocka_unit_test(interrupted),
        cmocka_unit_test(damaged_files), cmocka_unit_test(bad_image),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
