/* The formula that gives the parity tests' weights, inputs and random signs; scripts/parity_models.py has the same one.
 * Integers and single float products only, so that C and NumPy agree in every bit.                             */
#ifndef EG_TEST_FORMULA_H
#define EG_TEST_FORMULA_H

#include <math.h>
#include <string.h>

#include "net/net.h"

enum {
    FORMULA_N = 4,
    FORMULA_SIDE = 224,
    FORMULA_BLOCK = 32,
    FORMULA_INPUT = 1000000,
    FORMULA_SIGNS = 2000000,
    FORMULA_PROJECTIONS = 32
};

/* [0, 1) with 24 bits: splitmix64's finaliser of a linear function of (seed, stream, index) */
static inline float formula_uniform(uint64_t stream, uint64_t i) {
    uint64_t x = i * 0x9E3779B97F4A7C15u + stream * 0xBF58476D1CE4E5B9u +
                 (uint64_t)20240229 * 0x94D049BB133111EBu;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    x ^= x >> 31;
    return (float)(x >> 40) * 0x1p-24f;
}

static inline bool formula_ends(const char *name, const char *end) {
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* is this the weight of the last batch norm of a residual block? (LAST_NORM of parity_models.py) */
static inline bool formula_last_norm(const char *model, const char *name) {
    if (!strcmp(model, "resnet18")) return formula_ends(name, "bn2.weight");
    if (!strcmp(model, "resnet50")) return formula_ends(name, "bn3.weight");
    if (strcmp(model, "efficientnet_lite0")) return false;
    /* the first stage has no expansion, so its blocks have one layer less */
    return formula_ends(name, strncmp(name, "features.1.", 11) ? ".block.2.1.weight"
                                                               : ".block.1.1.weight");
}

static inline void formula_fill(eg_network *net) {
    const char *model = eg_network_info(net)->name;
    size_t n_tensors;
    eg_net_tensor *tensors = eg_network_tensors(net, &n_tensors);
    for (size_t i = 0; i < n_tensors; i++) {
        eg_net_tensor *t = &tensors[i];
        if (t->role == EG_TENSOR_COUNTER) continue;
        bool last = formula_last_norm(model, t->name);
        /* a batch norm's bias stands in front of its running mean */
        bool norm_bias = formula_ends(t->name, "bias") && i + 1 < n_tensors &&
                         formula_ends(tensors[i + 1].name, "running_mean");
        size_t fan_in = t->count / (size_t)(t->n_dims ? t->dims[0] : 1);
        float bound = (float)sqrt(6.0 / (double)fan_in);
        for (size_t k = 0; k < t->count; k++) {
            float u = formula_uniform(i, k);
            if (formula_ends(t->name, "running_var"))
                t->data[k] = 0.5f + u;
            else if (formula_ends(t->name, "running_mean") || formula_ends(t->name, "bias"))
                t->data[k] = 0.2f * (u - 0.5f) + (norm_bias ? 1.0f : 0.0f);
            else if (t->n_dims == 1)
                t->data[k] = (0.25f + 0.5f * u) * (last ? 0.125f : 1.0f);
            else
                t->data[k] = (2.0f * u - 1.0f) * bound;
        }
    }
}

/* (N, side, side, 3): random 32-pixel blocks in [-2, 2] plus noise in [-0.5, 0.5] */
static inline void formula_input(float *x) {
    size_t S = FORMULA_SIDE, B = S / FORMULA_BLOCK;
    for (size_t n = 0; n < FORMULA_N; n++)
        for (size_t h = 0; h < S; h++)
            for (size_t w = 0; w < S; w++)
                for (size_t c = 0; c < 3; c++) {
                    size_t block = ((n * B + h / FORMULA_BLOCK) * B + w / FORMULA_BLOCK) * 3 + c;
                    size_t at = ((n * S + h) * S + w) * 3 + c;
                    float v = formula_uniform(FORMULA_INPUT, block) * 4.0f - 2.0f;
                    x[at] = v + (formula_uniform(FORMULA_INPUT + 1, at) - 0.5f);
                }
}

#endif
