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

/* ---- the rules: how a weight is drawn, and whether its bias is 0 or drawn as PyTorch's own layers do it ---- */

typedef enum { FIXED, FAN_IN, FAN_OUT } scale;
typedef struct {
    bool uniform; /* U(-s, s); else N(0, s^2) */
    scale by;     /* FIXED: s = number; else s = sqrt(number / fan) */
    double number;
    bool bias; /* U(+-1/sqrt(fan_in)); else 0 */
} rule;

/* torch.nn.init's names: kaiming_normal has gain^2 = 2 for ReLU; kaiming_uniform's bound is sqrt(3) deviations, so 6
 * with that gain and 3 without. nn.Linear and nn.Conv2d say kaiming_uniform(a = sqrt 5), which comes to this. */
#define TORCH                                                                                      \
    { true, FAN_IN, 1, true }
#define KAIMING_OUT                                                                                \
    { false, FAN_OUT, 2, false }
#define NORMAL(s)                                                                                  \
    { false, FIXED, s, false }
/* trunc_normal_ cuts at +-2, which is 20 deviations or more in every use of it: no cut */
#define NORMAL_BIAS(s)                                                                             \
    { false, FIXED, s, true }

/* By family; sources: torchvision's files of these names. */
static const struct {
    rule conv, linear;
} RULES[] = {
    [EG_INIT_TORCH] = {TORCH, TORCH},
    [EG_INIT_RESNET] = {KAIMING_OUT, TORCH},
    [EG_INIT_EFFICIENTNET] = {KAIMING_OUT, {true, FAN_OUT, 1, false}},
    [EG_INIT_NORMAL001] = {KAIMING_OUT, NORMAL(0.01)},
    [EG_INIT_MNASNET] = {KAIMING_OUT, {true, FAN_OUT, 3, false}},
    [EG_INIT_DENSENET] = {{false, FAN_IN, 2, false}, {true, FAN_IN, 1, false}},
    [EG_INIT_SQUEEZENET] = {{true, FAN_IN, 6, false}, NORMAL(0.01)}, /* its head: a convolution */
    [EG_INIT_GOOGLENET] = {NORMAL_BIAS(0.01), NORMAL_BIAS(0.01)},
    [EG_INIT_INCEPTION] = {NORMAL_BIAS(0.1), NORMAL_BIAS(0.1)},
    [EG_INIT_TRUNCATED] = {NORMAL(0.02), NORMAL(0.02)},
};

static const rule torch_rule = TORCH, kaiming_rule = KAIMING_OUT,
                  inception_aux_rule = NORMAL_BIAS(0.001);

/* `bias` -1: none. Its stream is its own, so it does not matter that the weight is drawn first. */
static void apply(eg_graph *g, const rule *r, int weight, int bias, uint64_t seed) {
    const eg_net_tensor *w = &g->tensors[weight];
    double s = r->number;
    if (r->by != FIXED) s = sqrt(s / (r->by == FAN_IN ? fan_in(w) : fan_out(w)));
    if (r->uniform)
        fill_uniform(g, weight, seed, s);
    else
        fill_normal(g, weight, seed, s);
    if (bias < 0) return;
    if (r->bias)
        fill_uniform(g, bias, seed, sqrt(1 / fan_in(w)));
    else
        fill(g, bias, 0);
}

static const rule *rule_of(const eg_graph *g, const eg_node *node) {
    if (g->init == EG_INIT_INCEPTION && node->aux_weight > 0) return &inception_aux_rule;
    bool linear = node->op == EG_OP_LINEAR || node->is_head;
    return linear ? &RULES[g->init].linear : &RULES[g->init].conv;
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
    case EG_OP_LINEAR:
        apply(g, rule_of(g, node), node->tensor[0], node->tensor[1], seed);
        break;
    case EG_OP_SE: /* convolutions all, in torchvision, of families with that rule */
        apply(g, &kaiming_rule, node->tensor[0], node->tensor[1], seed);
        apply(g, &kaiming_rule, node->tensor[2], node->tensor[3], seed);
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
        if (g->nodes[i].is_head)
            apply(g, &torch_rule, g->nodes[i].tensor[0], g->nodes[i].tensor[1], seed);
}
