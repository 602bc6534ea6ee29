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

/* Keys (under the weights file's names), order and shapes of the state dict, size of the file, multiply-adds. */
static inline void arch_check(const char *model) {
    arch_golden golden = arch_golden_read(model);
    eg_network *net = network_make(model, 1000, 0);
    const eg_arch *arch = eg_arch_entry(eg_network_info(net));
    size_t n;
    const eg_net_tensor *t = eg_network_tensors(net, &n);
    eg_buffer listing = {0};
    for (size_t i = 0; i < n; i++) {
        char foreign[256];
        const char *name = t[i].name;
        if (arch->foreign_name) {
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
    if (golden.gmac > 0) assert_true(fabs(gmac / golden.gmac - 1) < 0.01);
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

static inline int count_nodes(const eg_graph *g, eg_op_kind op) {
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++) n += g->nodes[i].op == op;
    return n;
}

#endif
