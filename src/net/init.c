/* Initial weights, by the rules of the network's family (EG_INIT_*, graph.h). Every tensor has its own random stream
 * (seed, tensor index), so that the values do not depend on the order of the loops or on other tensors. The rules are
 * PyTorch's (torch.nn.init, nn.Linear, nn.Conv2d) and torchvision's; the random numbers are our own.            */
#include "net/graph.h"
#include <math.h>

enum { STREAM_INIT = 0x6e650001 }; /* purpose of the stream: apart from those of data and dropout */

static eg_random stream(uint64_t seed, int tensor) {
    return eg_random_make(seed, (uint32_t)tensor, 0, STREAM_INIT);
}

static void fill(eg_graph *g, int tensor, float value) {
    eg_net_tensor *t = &g->tensors[tensor];
    for (size_t i = 0; i < t->count; i++) t->data[i] = value;
}

static void fill_uniform(eg_graph *g, int tensor, uint64_t seed, double bound) {
    eg_net_tensor *t = &g->tensors[tensor];
    eg_random r = stream(seed, tensor);
    for (size_t i = 0; i < t->count; i++)
        t->data[i] = (float)((2 * eg_random_uniform(&r) - 1) * bound);
}

static void fill_normal(eg_graph *g, int tensor, uint64_t seed, double sd) {
    eg_net_tensor *t = &g->tensors[tensor];
    eg_random r = stream(seed, tensor);
    for (size_t i = 0; i < t->count; i++) t->data[i] = (float)(eg_random_normal(&r) * sd);
}

/* numbers of inputs a weight tensor (K, C/G[, R, S]) sums over */
static double fan_in(const eg_net_tensor *t) {
    return (double)t->count / (double)t->dims[0];
}

/* torch's fan_out: K R S, whatever the groups */
static double fan_out(const eg_net_tensor *t) {
    return t->n_dims == 4 ? (double)(t->dims[0] * t->dims[2] * t->dims[3]) : (double)t->dims[0];
}

/* nn.Linear and nn.Conv2d: kaiming_uniform(a = sqrt 5), which is U(+-1/sqrt(fan_in)), also for the bias */
static void init_torch(eg_graph *g, int weight, int bias, uint64_t seed) {
    double bound = 1 / sqrt(fan_in(&g->tensors[weight]));
    fill_uniform(g, weight, seed, bound);
    if (bias >= 0) fill_uniform(g, bias, seed, bound);
}

/* kaiming_normal(mode = fan_out), gain sqrt 2, bias 0 */
static void init_kaiming(eg_graph *g, int weight, int bias, uint64_t seed) {
    fill_normal(g, weight, seed, sqrt(2 / fan_out(&g->tensors[weight])));
    if (bias >= 0) fill(g, bias, 0);
}

/* torch.nn.init.trunc_normal_(std = 0.02, a = -2, b = 2) cuts at 100 deviations, which is no cut */
static void init_normal(eg_graph *g, int weight, int bias, uint64_t seed, double sd) {
    fill_normal(g, weight, seed, sd);
    if (bias >= 0) fill(g, bias, 0);
}

/* N(0, sd), the bias as PyTorch's own: what torchvision's googlenet.py and inception.py leave of it */
static void init_weight_normal(eg_graph *g, int weight, int bias, uint64_t seed, double sd) {
    init_torch(g, weight, bias, seed);
    fill_normal(g, weight, seed, sd);
}

static void init_conv(eg_graph *g, const eg_node *node, uint64_t seed) {
    int weight = node->tensor[0], bias = node->tensor[1];
    double in = fan_in(&g->tensors[weight]);
    switch (g->init) {
    case EG_INIT_TORCH:
        init_torch(g, weight, bias, seed);
        break;
    case EG_INIT_TRUNCATED:
        init_normal(g, weight, bias, seed, 0.02);
        break;
    case EG_INIT_DENSENET: /* kaiming_normal's default mode */
        init_normal(g, weight, bias, seed, sqrt(2 / in));
        break;
    case EG_INIT_SQUEEZENET: /* kaiming_uniform's */
        if (node->is_head)
            init_normal(g, weight, bias, seed, 0.01);
        else
            fill_uniform(g, weight, seed, sqrt(6 / in));
        if (bias >= 0) fill(g, bias, 0);
        break;
    case EG_INIT_GOOGLENET:
        init_weight_normal(g, weight, bias, seed, 0.01);
        break;
    case EG_INIT_INCEPTION:
        init_weight_normal(g, weight, bias, seed, 0.1);
        break;
    default:
        init_kaiming(g, weight, bias, seed);
    }
}

static void init_linear(eg_graph *g, const eg_node *node, uint64_t seed) {
    int weight = node->tensor[0], bias = node->tensor[1];
    switch (g->init) {
    case EG_INIT_EFFICIENTNET:
        fill_uniform(g, weight, seed, 1 / sqrt((double)node->C));
        if (bias >= 0) fill(g, bias, 0);
        break;
    case EG_INIT_MNASNET: /* kaiming_uniform(mode = fan_out), gain 1 */
        fill_uniform(g, weight, seed, sqrt(3.0 / node->C));
        if (bias >= 0) fill(g, bias, 0);
        break;
    case EG_INIT_NORMAL001:
        init_normal(g, weight, bias, seed, 0.01);
        break;
    case EG_INIT_TRUNCATED:
        init_normal(g, weight, bias, seed, 0.02);
        break;
    case EG_INIT_DENSENET:
        init_torch(g, weight, bias, seed);
        if (bias >= 0) fill(g, bias, 0);
        break;
    case EG_INIT_GOOGLENET:
        init_weight_normal(g, weight, bias, seed, 0.01);
        break;
    case EG_INIT_INCEPTION:
        init_weight_normal(g, weight, bias, seed, node->aux_weight > 0 ? 0.001 : 0.1);
        break;
    default:
        init_torch(g, weight, bias, seed);
    }
}

static void init_bn(eg_graph *g, const eg_node *node) {
    fill(g, node->tensor[0], 1);
    fill(g, node->tensor[1], 0);
    fill(g, node->tensor[2], 0);
    fill(g, node->tensor[3], 1);
    *g->tensors[node->tensor[4]].counter = 0;
}

static void init_node(eg_graph *g, const eg_node *node, uint64_t seed) {
    switch (node->op) {
    case EG_OP_CONV:
    case EG_OP_DWCONV:
        init_conv(g, node, seed);
        break;
    case EG_OP_SE:
        init_kaiming(g, node->tensor[0], node->tensor[1], seed);
        init_kaiming(g, node->tensor[2], node->tensor[3], seed);
        break;
    case EG_OP_LINEAR:
        init_linear(g, node, seed);
        break;
    case EG_OP_BN:
        init_bn(g, node);
        break;
    case EG_OP_LAYER_NORM:
        fill(g, node->tensor[0], 1);
        fill(g, node->tensor[1], 0);
        break;
    case EG_OP_TOKENS:
        fill(g, node->tensor[0], 0);
        fill_normal(g, node->tensor[1], seed, 0.02);
        break;
    case EG_OP_ATTENTION:
        if (node->tensor[0] >= 0) fill_normal(g, node->tensor[0], seed, 0.02);
        break;
    case EG_OP_LAYER_SCALE:
        fill(g, node->tensor[0], node->initial);
        break;
    default: /* has no weights */
        break;
    }
}

void eg_network_init(eg_network *net, uint64_t seed) {
    eg_graph *g = &net->graph;
    for (int i = 0; i < g->n_nodes; i++) init_node(g, &g->nodes[i], seed);
}

void eg_network_init_aux(eg_network *net, uint64_t seed) {
    eg_graph *g = &net->graph;
    for (int i = 0; i < g->n_nodes; i++) {
        int tensor = g->nodes[i].tensor[0];
        if (tensor >= 0 && g->tensors[tensor].is_aux) init_node(g, &g->nodes[i], seed);
    }
}

/* A new head is a new nn.Linear, whatever the family: that is what users of torchvision put there. */
void eg_network_init_head(eg_network *net, uint64_t seed) {
    eg_graph *g = &net->graph;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].is_head) init_torch(g, g->nodes[i].tensor[0], g->nodes[i].tensor[1], seed);
}
