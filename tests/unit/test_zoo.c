/* The joined list: complete, unique names, entries whole. */
#include "net_test.h"

static void entries(void **state) {
    (void)state;
    assert_true(eg_arch_count() >= 75);
    assert_null(eg_arch_at(eg_arch_count()));
    for (size_t i = 0; i < eg_arch_count(); i++) {
        const eg_arch_info *a = eg_arch_at(i);
        assert_ptr_equal(eg_arch_find(a->name), a); /* also: no name twice */
        assert_ptr_equal(&eg_arch_entry(a)->info, a);
        assert_true(a->family && a->description && a->img_size > 0 && a->resize >= a->img_size);
        for (int c = 0; c < 3; c++) assert_true(a->mean[c] > 0 && a->std[c] > 0);
        assert_int_equal(a->scratch_only, a->weights == NULL);
        assert_int_equal(a->scratch_only, a->top1 == 0);
        if (a->scratch_only) continue;
        /* the file's name carries the first eight digits of its hash */
        size_t digits = strlen(a->weights_sha256);
        assert_true(digits == 8 || digits == 64);
        char eight[9] = "";
        memcpy(eight, a->weights_sha256, 8);
        assert_non_null(strstr(a->weights_file, eight));
        if (a->weights_url) assert_non_null(strstr(a->weights_url, a->weights_file));
    }
    assert_null(eg_arch_find("resnet"));
    assert_null(eg_arch_find(""));
}

/* Each pretrained entry against the table made from torchvision (scripts/make_arch_golden.py): keys, order, shapes,
 * parameters, multiply-adds, size of the file. */
static void state_dicts(void **state) {
    (void)state;
    for (size_t i = 0; i < eg_arch_count(); i++)
        if (!eg_arch_at(i)->scratch_only) arch_check(eg_arch_at(i)->name);
}

static void hints(void **state) {
    (void)state;
    static const char *const ROWS[][2] = {
        {"resnet51", "did you mean resnet50? engraft models lists all"},
        {"EfficientNet-B3", "did you mean efficientnet_b3? engraft models lists all"},
        {"mobilnet_v2", "did you mean mobilenet_v2? engraft models lists all"},
        {"resnet", "did you mean resnet18 or resnet34 or resnet50? engraft models lists all"},
        {"perceiver", "engraft models lists all"},
        {"", "engraft models lists all"},
        {NULL, "engraft models lists all"}};
    char out[EG_ARCH_HINT], longest[400];
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        assert_string_equal(eg_arch_hint(out, ROWS[i][0]), ROWS[i][1]);
    memset(longest, 'r', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_non_null(strstr(eg_arch_hint(out, longest), "engraft models lists all"));
}

/* Every entry builds at small sides too, down to where its windows still fit; test_arch_vit.c has the exception. */
static void sizes(void **state) {
    (void)state;
    for (size_t i = 0; i < eg_arch_count(); i++)
        for (int side = 32; side <= 97; side += 65) {
            if (strcmp(eg_arch_at(i)->family, "Vision transformer") == 0) continue;
            eg_network *net = NULL;
            eg_error err = {0};
            eg_status status = eg_network_outline(&net, eg_arch_at(i), 5, side, &err);
            if (side < 64 && status == EG_ERR_USAGE) {
                assert_non_null(strstr(err.text, "use larger images"));
                continue;
            }
            if (status != EG_OK) fail_msg("%s", err.text);
            assert_int_equal(eg_network_side(net), side);
            assert_int_equal(net->graph.nodes[net->graph.n_nodes - 1].C, 5);
            eg_network_free(net);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(entries), cmocka_unit_test(state_dicts),
                                       cmocka_unit_test(hints), cmocka_unit_test(sizes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
