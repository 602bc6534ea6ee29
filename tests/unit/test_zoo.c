/* The joined list: complete, unique names, entries whole. */
#include "net_test.h"

static void entries(void **state) {
    (void)state;
    assert_true(eg_arch_count() >= 10);
    assert_null(eg_arch_at(eg_arch_count()));
    for (size_t i = 0; i < eg_arch_count(); i++) {
        const eg_arch_info *a = eg_arch_at(i);
        assert_ptr_equal(eg_arch_find(a->name), a); /* also: no name twice */
        assert_ptr_equal(&eg_arch_entry(a)->info, a);
        assert_non_null(strstr(eg_arch_names(), a->name));
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

/* Every entry builds at small sides too, down to where its windows still fit. */
static void sizes(void **state) {
    (void)state;
    for (size_t i = 0; i < eg_arch_count(); i++)
        for (int side = 32; side <= 97; side += 65) {
            eg_network *net = network_make(eg_arch_at(i)->name, 5, side);
            assert_int_equal(eg_network_side(net), side);
            assert_int_equal(net->graph.nodes[net->graph.n_nodes - 1].C, 5);
            eg_network_free(net);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(entries), cmocka_unit_test(sizes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
