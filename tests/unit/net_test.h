/* For the tests of src/net: cmocka, scratch file names, and the comparison of an architecture with
 * tests/data/arch/state_dicts.txt (scripts/make_arch_golden.py says what its lines hold). */
#ifndef TEST_NET_TEST_H
#define TEST_NET_TEST_H

#include "net/graph.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SCRATCH(name) TEST_BINARY_DIR "/" name

static inline eg_network *network_make(const char *model, int n_classes, int side) {
    eg_network *net = NULL;
    eg_error err = {0};
    if (eg_network_new(&net, model, n_classes, side, &err) != EG_OK)
        fail_msg("%s: %s", model, err.text);
    return net;
}

typedef struct {
    int tensors;
    long parameters;
    double gmac, mib;
    char sha256[65];
} arch_golden;

static inline arch_golden arch_golden_read(const char *model) {
    FILE *file = fopen(TEST_SOURCE_DIR "/tests/data/arch/state_dicts.txt", "r");
    assert_non_null(file);
    char line[256], name[64];
    arch_golden g = {0};
    while (fgets(line, sizeof line, file)) {
        int n = sscanf(line, "%63s %d %ld %lf %lf %64s", name, &g.tensors, &g.parameters, &g.gmac,
                       &g.mib, g.sha256);
        assert_int_equal(n, 6);
        if (strcmp(name, model) == 0) break;
        g.tensors = 0;
    }
    fclose(file);
    assert_int_not_equal(g.tensors, 0);
    return g;
}

/* Keys (torchvision's; EfficientNet-Lite's under the names of its weights files), order and shapes of the state dict, size
 * of the file, multiply-adds. */
static inline void arch_check(const char *model) {
    arch_golden golden = arch_golden_read(model);
    eg_network *net = NULL; /* without its weights: the largest has 2.6 GB of them */
    eg_error err = {0};
    if (eg_network_outline(&net, eg_arch_find(model), 1000, 0, &err) != EG_OK)
        fail_msg("%s: %s", model, err.text);
    const eg_arch *arch = eg_arch_entry(eg_network_info(net));
    size_t n;
    const eg_net_tensor *t = eg_network_tensors(net, &n);
    eg_buffer listing = {0};
    for (size_t i = 0; i < n; i++) {
        char foreign[256];
        const char *name = t[i].name;
        if (strncmp(model, "efficientnet_lite", 17) == 0) {
            assert_true(arch->foreign_name(foreign, arch, name));
            name = foreign;
        }
        eg_buffer_printf(&listing, "%s", name);
        for (int d = 0; d < t[i].n_dims; d++) eg_buffer_printf(&listing, " %" PRId64, t[i].dims[d]);
        eg_buffer_printf(&listing, "\n");
    }
    assert_false(listing.failed);
    char sha256[65];
    eg_sha256_hex(sha256, listing.data, listing.size);
    if (strcmp(sha256, golden.sha256) != 0) print_error("%s", listing.data);
    assert_string_equal(sha256, golden.sha256);
    eg_buffer_free(&listing);
    assert_int_equal(n, golden.tensors);
    assert_int_equal(eg_network_parameters(net, false), golden.parameters);
    assert_true(fabs((double)eg_network_info(net)->file_bytes / 1048576 - golden.mib) <= 0.0005001);
    double gmac = eg_network_multiply_adds(net) / 1e9;
    /* three digits behind the point are stated */
    if (golden.gmac > 0) assert_true(fabs(gmac - golden.gmac) < 0.01 * golden.gmac + 0.0005);
    eg_network_free(net);
}

/* The only node of an op with this module name. */
static inline const eg_node *node_named(const eg_graph *g, eg_op_kind op, const char *name) {
    const eg_node *found = NULL;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == op && strcmp(g->nodes[i].name, name) == 0) {
            assert_null(found);
            found = &g->nodes[i];
        }
    assert_non_null(found);
    return found;
}

/* Two steps of SGD from the family's own initial weights on four random images of `side` pixels, dropout and stochastic
 * depth off: the loss stays finite and falls, and no parameter is without a gradient. */
static inline void train_smoke(const char *model, int side) {
    enum { BATCH = 4, CLASSES = 3, STEPS = 2 };
    static const int32_t labels[BATCH] = {0, 2, 1, 0};
    eg_network *net = network_make(model, CLASSES, side);
    eg_error err = {0};
    eg_network_init(net, 3);
    const eg_plan_options o = {.mode = EG_PLAN_TRAIN, .batch = BATCH, .bn = EG_BN_TRAIN};
    const eg_opt_options how = {.kind = EG_OPT_SGD};
    eg_plan *plan = NULL;
    eg_optimizer *opt = NULL;
    if (eg_plan_new(&plan, net, &o, &err) != EG_OK) fail_msg("%s: %s", model, err.text);
    if (eg_optimizer_for(&opt, net, &how, &err) != EG_OK) fail_msg("%s: %s", model, err.text);
    eg_random r = eg_random_make(11, 0, 0, 0);
    double loss[STEPS + 1];
    for (int i = 0; i < BATCH * side * side * 3; i++)
        eg_plan_input(plan)[i] = (float)(2 * eg_random_uniform(&r) - 1);
    float *images = eg_malloc((size_t)BATCH * (size_t)side * (size_t)side * 3 * sizeof *images);
    assert_non_null(images);
    memcpy(images, eg_plan_input(plan), (size_t)(BATCH * side * side * 3) * sizeof *images);
    for (int step = 0; step <= STEPS; step++) {
        eg_loss_result result;
        memcpy(eg_plan_input(plan), images, (size_t)(BATCH * side * side * 3) * sizeof *images);
        if (eg_plan_forward(plan, BATCH, (uint64_t)step, &err) != EG_OK ||
            eg_plan_backward(&result, plan, labels, NULL, &err) != EG_OK)
            fail_msg("%s: %s", model, err.text);
        loss[step] = result.objective;
        size_t n;
        const eg_net_tensor *t = eg_network_tensors(net, &n);
        for (size_t i = 0; i < n; i++) {
            double size = 0;
            if (t[i].role != EG_TENSOR_PARAMETER) continue;
            for (size_t k = 0; k < t[i].count; k++) size += fabs((double)t[i].grad[k]);
            if (!(size > 0) || !isfinite(size))
                fail_msg("%s: %s, step %d: gradient %g", model, t[i].name, step, size);
        }
        /* a step so small that the loss has to fall, whatever the curvature */
        eg_optimizer_step(opt, 1e-3 / eg_optimizer_grad_norm(opt), 1);
    }
    for (int step = 1; step <= STEPS; step++)
        if (!(isfinite(loss[step]) && loss[step] < loss[step - 1]))
            fail_msg("%s: loss %.9g, then %.9g", model, loss[step - 1], loss[step]);
    eg_free(images);
    eg_optimizer_free(opt);
    eg_plan_free(plan);
    eg_network_free(net);
}

static inline int count_nodes(const eg_graph *g, eg_op_kind op) {
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++) n += g->nodes[i].op == op;
    return n;
}

#endif
