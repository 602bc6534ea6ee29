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

static void init_linear(eg_graph *g, const eg_node *node, uint64_t seed) {
    if (g->init != EG_INIT_EFFICIENTNET) {
        init_torch(g, node->tensor[0], node->tensor[1], seed);
        return;
    }
    fill_uniform(g, node->tensor[0], seed, 1 / sqrt((double)node->C));
    fill(g, node->tensor[1], 0);
}

static void init_bn(eg_graph *g, const eg_node *node) {
    fill(g, node->tensor[0], 1);
    fill(g, node->tensor[1], 0);
    fill(g, node->tensor[2], 0);
    fill(g, node->tensor[3], 1);
    *g->tensors[node->tensor[4]].counter = 0;
}

void eg_network_init(eg_network *net, uint64_t seed) {
    eg_graph *g = &net->graph;
    for (int i = 0; i < g->n_nodes; i++) {
        const eg_node *node = &g->nodes[i];
        if (node->op == EG_OP_CONV || node->op == EG_OP_DWCONV) {
            if (g->init == EG_INIT_TORCH)
                init_torch(g, node->tensor[0], node->tensor[1], seed);
            else
                init_kaiming(g, node->tensor[0], node->tensor[1], seed);
        } else if (node->op == EG_OP_SE) {
            init_kaiming(g, node->tensor[0], node->tensor[1], seed);
            init_kaiming(g, node->tensor[2], node->tensor[3], seed);
        } else if (node->op == EG_OP_LINEAR) {
            init_linear(g, node, seed);
        } else if (node->op == EG_OP_BN) {
            init_bn(g, node);
        }
    }
}

/* A new head is a new nn.Linear, whatever the family: that is what users of torchvision put there. */
void eg_network_init_head(eg_network *net, uint64_t seed) {
    eg_graph *g = &net->graph;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].is_head) init_torch(g, g->nodes[i].tensor[0], g->nodes[i].tensor[1], seed);
}
