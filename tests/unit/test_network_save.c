/* Saving: what is read back is what was there, bit for bit, with the metadata; the same bytes each time. */
#include "net_test.h"

static void round_trip(void **state) {
    (void)state;
    const char *path = SCRATCH("net_save.safetensors"),
               *again = SCRATCH("net_save_again.safetensors");
    eg_network *net = network_make("efficientnet_lite0", 3, 64),
               *back = network_make("efficientnet_lite0", 3, 64);
    eg_network_init(net, 3);
    *eg_network_tensor(net, "features.2.0.block.0.1.num_batches_tracked")->counter = 1234567890123;
    const eg_text_pair metadata[] = {{"model", "efficientnet_lite0"}};
    assert_int_equal(eg_network_save(net, path, metadata, 1, NULL), EG_OK);
    assert_int_equal(eg_network_save(net, again, metadata, 1, NULL), EG_OK);
    char sha[65], sha_again[65];
    assert_int_equal(eg_sha256_file(sha, path, NULL), EG_OK);
    assert_int_equal(eg_sha256_file(sha_again, again, NULL), EG_OK);
    assert_string_equal(sha, sha_again);

    eg_state_dict *sd = NULL;
    assert_int_equal(eg_weights_read(&sd, path, NULL), EG_OK);
    assert_string_equal(eg_state_dict_metadata(sd, "model"), "efficientnet_lite0");
    bool head = false;
    assert_int_equal(eg_network_load(back, sd, &head, NULL), EG_OK);
    assert_true(head);
    size_t n;
    const eg_net_tensor *a = eg_network_tensors(net, &n), *b = eg_network_tensors(back, &n);
    for (size_t i = 0; i < n; i++) {
        if (a[i].counter)
            assert_true(*a[i].counter == *b[i].counter);
        else
            assert_memory_equal(a[i].data, b[i].data, a[i].count * sizeof(float));
    }
    eg_state_dict_free(sd);
    eg_network_free(net);
    eg_network_free(back);
    unlink(path);
    unlink(again);
}

static void no_folder(void **state) {
    (void)state;
    eg_network *net = network_make("small_cnn", 2, 32);
    eg_error err;
    assert_int_equal(eg_network_save(net, SCRATCH("no/such/folder/x.safetensors"), NULL, 0, &err),
                     EG_ERR_IO);
    eg_network_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(round_trip), cmocka_unit_test(no_folder)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
