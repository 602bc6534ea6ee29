/* A network: its two graphs (as built, and fused for running) and the memory of its tensors. Every tensor starts at a
 * multiple of 64 bytes inside one block, so kernels may use aligned vectors. Gradients are made later, by the first
 * training plan (plan.c). Read first: net.h, graph.h; values come from init.c and binding.c.                    */
#include "net/graph.h"
#include <string.h>

enum { ALIGN_FLOATS = 64 / sizeof(float), MAX_SIDE = 2048, MAX_CLASSES = 100000 };

static size_t padded(size_t count) {
    return (count + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
}

/* One block for parameters and running statistics, one for counters. */
static eg_status allocate(eg_network *net, eg_error *err) {
    eg_graph *g = &net->graph;
    size_t n_floats = 0, n_counters = 0;
    for (int i = 0; i < g->n_tensors; i++) {
        if (g->tensors[i].role == EG_TENSOR_COUNTER)
            n_counters += g->tensors[i].count;
        else
            n_floats += padded(g->tensors[i].count);
    }
    net->values = eg_calloc(n_floats + 1, sizeof *net->values); /* + 1: never an empty block */
    net->counters = eg_calloc(n_counters + 1, sizeof *net->counters);
    if (!net->values || !net->counters)
        return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory for %zu weights", net->info->name,
                       n_floats);
    float *value = net->values;
    int64_t *counter = net->counters;
    for (int i = 0; i < g->n_tensors; i++) {
        eg_net_tensor *t = &g->tensors[i];
        if (t->role == EG_TENSOR_COUNTER) {
            t->counter = counter;
            counter += t->count;
        } else {
            t->data = value;
            value += padded(t->count);
        }
    }
    eg_graph_fill_constants(g);
    return EG_OK;
}

static eg_status build(eg_network *net, bool with_values, eg_error *err) {
    EG_TRY(eg_graph_make(&net->graph, eg_arch_entry(net->info), net->n_classes, net->side, err));
    EG_TRY(eg_graph_fuse(&net->fused, &net->graph, err));
    for (int i = 0; i < net->graph.n_nodes; i++) {
        const eg_node *node = &net->graph.nodes[i];
        if (node->is_head && node->aux_weight <= 0)
            net->n_features = net->graph.nodes[node->input[0]].C;
    }
    if (net->n_features == 0)
        return eg_fail(err, EG_ERR_INTERNAL, "%s: the table entry has no last layer",
                       net->info->name);
    return with_values ? allocate(net, err) : EG_OK;
}

static eg_status make(eg_network **out, const eg_arch *arch, int n_classes, int side,
                      bool with_values, eg_error *err) {
    const eg_arch_info *info = &arch->info;
    if (n_classes < 1 || n_classes > MAX_CLASSES)
        return eg_fail(err, EG_ERR_USAGE, "%s: %d classes, expected 1 to %d", info->name, n_classes,
                       MAX_CLASSES);
    if (side == 0) side = info->img_size;
    if (side < 1 || side > MAX_SIDE)
        return eg_fail(err, EG_ERR_USAGE, "%s: image side %d pixels, expected 1 to %d", info->name,
                       side, MAX_SIDE);
    eg_network *net = eg_calloc(1, sizeof *net);
    if (!net) return eg_fail(err, EG_ERR_NO_MEMORY, "%s: out of memory", info->name);
    net->info = info;
    net->n_classes = n_classes;
    net->side = side;
    eg_status status = build(net, with_values, err);
    if (status != EG_OK) {
        eg_network_free(net);
        return status;
    }
    *out = net;
    return EG_OK;
}

eg_status eg_network_of(eg_network **out, const eg_arch *arch, int n_classes, int side,
                        eg_error *err) {
    return make(out, arch, n_classes, side, true, err);
}

eg_status eg_network_outline(eg_network **out, const eg_arch_info *info, int n_classes, int side,
                             eg_error *err) {
    return make(out, eg_arch_entry(info), n_classes, side, false, err);
}

eg_status eg_network_new(eg_network **out, const char *model, int n_classes, int side,
                         eg_error *err) {
    const eg_arch_info *info = model ? eg_arch_find(model) : NULL;
    char hint[EG_ARCH_HINT];
    if (!info)
        return eg_fail(err, EG_ERR_NOT_FOUND, "network '%s' is unknown - %s", model ? model : "",
                       eg_arch_hint(hint, model));
    return eg_network_of(out, eg_arch_entry(info), n_classes, side, err);
}

void eg_network_free(eg_network *net) {
    if (!net) return;
    eg_free(net->fused.nodes); /* its tensors and names are the graph's */
    eg_graph_free(&net->graph);
    eg_free(net->values);
    eg_free(net->grads);
    eg_free(net->counters);
    eg_free(net);
}

/* ---- what it is ---- */

const eg_arch_info *eg_network_info(const eg_network *net) {
    return net->info;
}

int eg_network_side(const eg_network *net) {
    return net->side;
}

int eg_network_classes(const eg_network *net) {
    return net->n_classes;
}

int eg_network_features(const eg_network *net) {
    return net->n_features;
}

/* Convolutions, linear layers and the two layers of squeeze-excite; what torchvision's "GFLOPS" count. */
double eg_node_multiply_adds(const eg_net_tensor *tensors, const eg_node *node) {
    double pixels = (double)node->H * node->W;
    if (node->op == EG_OP_SE) return 2.0 * node->squeeze * node->C;
    if (node->op == EG_OP_ATTENTION) {
        /* q k^T and its product with v: every token with all of its window */
        double seen = node->window ? (double)node->window * node->window : pixels;
        return 2 * pixels * seen * node->C;
    }
    bool dense = node->op == EG_OP_CONV || node->op == EG_OP_DWCONV || node->op == EG_OP_LINEAR;
    /* each weight once a pixel */
    return dense ? pixels * (double)tensors[node->tensor[0]].count : 0;
}

/* Auxiliary heads are no part of prediction. */
double eg_network_multiply_adds(const eg_network *net) {
    const eg_graph *g = &net->graph;
    double total = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const eg_node *node = &g->nodes[i];
        bool aux = node->tensor[0] >= 0 && g->tensors[node->tensor[0]].is_aux;
        if (!aux) total += eg_node_multiply_adds(g->tensors, node);
    }
    return total;
}

size_t eg_network_parameters(const eg_network *net, bool trainable_only) {
    size_t total = 0;
    for (int i = 0; i < net->graph.n_tensors; i++) {
        const eg_net_tensor *t = &net->graph.tensors[i];
        if (t->role == EG_TENSOR_PARAMETER && (t->trainable || !trainable_only)) total += t->count;
    }
    return total;
}

eg_net_tensor *eg_network_tensors(eg_network *net, size_t *n) {
    *n = (size_t)net->graph.n_tensors;
    return net->graph.tensors;
}

eg_net_tensor *eg_network_tensor(eg_network *net, const char *name) {
    for (int i = 0; i < net->graph.n_tensors; i++)
        if (strcmp(net->graph.tensors[i].name, name) == 0) return &net->graph.tensors[i];
    return NULL;
}

void eg_network_set_trainable(eg_network *net, bool trunk, bool head) {
    for (int i = 0; i < net->graph.n_tensors; i++) {
        eg_net_tensor *t = &net->graph.tensors[i];
        if (t->role == EG_TENSOR_PARAMETER) t->trainable = t->is_head ? head : trunk;
    }
}
