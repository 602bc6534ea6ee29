/* parity_dump MODEL OUT.safetensors [bf16]: logits of evaluation and gradients of training by the shared formula, for
 * scripts/check_parity_live.py, which compares them element by element with the PyTorch of this machine.        */
#include <stdio.h>

#include "golden/formula.h"

static int fail(const eg_error *err) {
    fprintf(stderr, "parity_dump: %s\n", err->text);
    return 1;
}

int main(int argc, char **argv) {
    enum { CLASSES = 10, MAX_TENSORS = 2000 };
    static eg_tensor out[MAX_TENSORS];
    static float logits[FORMULA_N * CLASSES];
    const int32_t labels[FORMULA_N] = {1, 4, 7, 2};
    eg_error err;
    eg_network *net = NULL;
    eg_plan *p = NULL;
    eg_plan_options o = {.mode = EG_PLAN_PREDICT, .batch = FORMULA_N, .dropout = 0};
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: parity_dump MODEL OUT.safetensors [bf16]\n");
        return 2;
    }
    o.bf16 = argc == 4 && strcmp(argv[3], "bf16") == 0;
    if (eg_network_new(&net, argv[1], CLASSES, FORMULA_SIDE, &err) != EG_OK) return fail(&err);
    formula_fill(net);
    if (eg_plan_new(&p, net, &o, &err) != EG_OK) return fail(&err);
    formula_input(eg_plan_input(p));
    if (eg_plan_forward(p, FORMULA_N, 0, &err) != EG_OK) return fail(&err);
    memcpy(logits, eg_plan_logits(p), sizeof logits);
    eg_plan_free(p);
    o.mode = EG_PLAN_TRAIN;
    if (eg_plan_new(&p, net, &o, &err) != EG_OK) return fail(&err);
    formula_input(eg_plan_input(p));
    eg_loss_result r;
    if (eg_plan_forward(p, FORMULA_N, 0, &err) != EG_OK) return fail(&err);
    if (eg_plan_backward(&r, p, labels, NULL, &err) != EG_OK) return fail(&err);
    size_t n, n_out = 0;
    const eg_net_tensor *tensors = eg_network_tensors(net, &n);
    out[n_out++] =
        (eg_tensor){"eval_logits", EG_DTYPE_F32, 2, {FORMULA_N, CLASSES}, logits, sizeof logits};
    for (size_t i = 0; i < n && n_out < MAX_TENSORS; i++) {
        if (tensors[i].role != EG_TENSOR_PARAMETER) continue;
        eg_tensor *t = &out[n_out++];
        *t = (eg_tensor){.name = tensors[i].name,
                         .n_dims = tensors[i].n_dims,
                         .data = tensors[i].grad,
                         .n_bytes = tensors[i].count * sizeof(float)};
        for (int d = 0; d < t->n_dims; d++) t->dims[d] = tensors[i].dims[d];
    }
    if (eg_safetensors_write(argv[2], out, n_out, NULL, 0, &err) != EG_OK) return fail(&err);
    eg_plan_free(p);
    eg_network_free(net);
    return 0;
}
