/* Swin against torchvision's state dict and metadata; shifts and padding; the index of the relative position bias, which is
 * written, checked when it is read, and may be missing (timm's files have none). */
#include "net_test.h"

static void state_dicts(void **state) {
    (void)state;
    arch_check("swin_t");
}

static void blocks(void **state) {
    (void)state;
    eg_network *net = network_make("swin_t", 7, 224);
    const eg_graph *g = &net->graph;
    const eg_node *even = node_named(g, EG_OP_ATTENTION, "features.5.4.attn.core"),
                  *odd = node_named(g, EG_OP_ATTENTION, "features.5.5.attn.core"),
                  *last = node_named(g, EG_OP_ATTENTION, "features.7.1.attn.core");
    assert_true(even->H == 14 && even->heads == 12 && even->window == 7 && even->shift == 0);
    assert_int_equal(odd->shift, 3);
    assert_true(last->H == 7 && last->shift == 0); /* one window */
    assert_int_equal(count_nodes(g, EG_OP_CANVAS), 0);
    assert_int_equal(count_nodes(g, EG_OP_DROP_PATH), 2 * 11);
    assert_int_equal(node_named(g, EG_OP_CONV, "features.4.reduction")->tensor[1], -1);
    eg_network_free(net);

    net = network_make("swin_t", 7, 96); /* 24, 12, 6, 3: all padded */
    g = &net->graph;
    assert_int_equal(node_named(g, EG_OP_ATTENTION, "features.1.1.attn.core")->H, 28);
    assert_int_equal(node_named(g, EG_OP_CONV, "features.1.1.attn.proj")->H, 24);
    assert_int_equal(node_named(g, EG_OP_ATTENTION, "features.5.1.attn.core")->shift, 0);
    eg_network_free(net);
}

/* The state dict of `net` written to a file and read; without the tensor `left_out`. */
static eg_state_dict *saved(eg_network *net, const char *left_out) {
    const char *path = SCRATCH("swin.safetensors");
    eg_error err = {0};
    eg_state_dict *sd = NULL;
    size_t n, used = 0;
    const eg_net_tensor *t = eg_network_tensors(net, &n);
    eg_tensor *list = calloc(n, sizeof *list);
    assert_non_null(list);
    for (size_t i = 0; i < n; i++) {
        if (left_out && strcmp(t[i].name, left_out) == 0) continue;
        eg_tensor *one = &list[used++];
        *one = (eg_tensor){.name = t[i].name, .n_dims = t[i].n_dims};
        memcpy(one->dims, t[i].dims, sizeof t[i].dims);
        one->dtype = t[i].counter ? EG_DTYPE_I64 : EG_DTYPE_F32;
        one->data = t[i].counter ? (const void *)t[i].counter : t[i].data;
        one->n_bytes = t[i].count * (t[i].counter ? sizeof(int64_t) : sizeof(float));
    }
    if (eg_safetensors_write(path, list, used, NULL, 0, &err) != EG_OK) fail_msg("%s", err.text);
    free(list);
    if (eg_weights_read(&sd, path, &err) != EG_OK) fail_msg("%s", err.text);
    unlink(path); /* the mapping stays */
    return sd;
}

static void index_table(void **state) {
    (void)state;
    static const char *const INDEX = "features.3.0.attn.relative_position_index";
    eg_network *from = network_make("swin_t", 3, 64), *to = network_make("swin_t", 3, 64);
    eg_net_tensor *index = eg_network_tensor(from, INDEX);
    assert_true(index->n_dims == 1 && index->count == 2401);
    /* torchvision: pair (0,0), (0,1), a row on, and the last pair */
    assert_true(index->counter[0] == 84 && index->counter[1] == 83 && index->counter[7] == 71 &&
                index->counter[2400] == 84 && index->counter[48] == 0 &&
                index->counter[49 * 48] == 168);
    eg_network_init(from, 5);
    eg_error err = {0};
    bool head = false;
    eg_state_dict *sd = saved(from, NULL);
    if (eg_network_load(to, sd, &head, &err) != EG_OK) fail_msg("%s", err.text);
    assert_true(head);
    assert_string_equal(eg_arch_guess(sd)->name, "swin_t");
    eg_state_dict_free(sd);
    size_t n;
    const eg_net_tensor *s = eg_network_tensors(from, &n), *t = eg_network_tensors(to, &n);
    for (size_t i = 0; i < n; i++) {
        if (s[i].counter)
            assert_memory_equal(s[i].counter, t[i].counter, s[i].count * sizeof(int64_t));
        else
            assert_memory_equal(s[i].data, t[i].data, s[i].count * sizeof(float));
    }

    sd = saved(from, INDEX);
    assert_int_equal(eg_network_load(to, sd, &head, &err), EG_OK);
    assert_true(eg_network_tensor(to, INDEX)->counter[0] == 84);
    eg_state_dict_free(sd);

    index->counter[1000]++; /* another index is another network */
    sd = saved(from, NULL);
    assert_int_equal(eg_network_load(to, sd, &head, &err), EG_ERR_MISMATCH);
    assert_non_null(strstr(err.text, INDEX));
    eg_state_dict_free(sd);
    eg_network_free(from);
    eg_network_free(to);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(state_dicts), cmocka_unit_test(blocks),
                                       cmocka_unit_test(index_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
