/* zoo_dump --list: the names of the zoo. zoo_dump MODEL WEIGHTS INPUT.safetensors OUT.safetensors [--gradients]: loads
 * WEIGHTS strictly, prints each tensor's name and the one it is bound to ("-": not in the file), and writes what
 * scripts/check_zoo.py compares with PyTorch: "logits" of evaluation and every tensor as it was bound ("=<name>"), or, with
 * --gradients, the gradient of every parameter of one training step without dropout and stochastic depth.
 * INPUT holds "x" (N,side,side,3) F32, "labels" (N) and "classes" (1), both I32.                                    */
#include <stdio.h>
#include <string.h>

#include "net/net.h"

enum { MAX_NAME = 200 };

static int fail(const char *what, const eg_error *err) {
    fprintf(stderr, "zoo_dump: %s: %s\n", what, err->text);
    return 1;
}

typedef struct {
    const float *x;
    const int32_t *labels;
    int n, side, classes;
    eg_state_dict *file;
} input;

static bool input_read(input *in, const char *path, eg_error *err) {
    *in = (input){0};
    if (eg_weights_read(&in->file, path, err) != EG_OK) return false;
    const eg_tensor *x = eg_state_dict_find(in->file, "x"),
                    *labels = eg_state_dict_find(in->file, "labels"),
                    *classes = eg_state_dict_find(in->file, "classes");
    if (!x || !labels || !classes || x->n_dims != 4 || x->dims[1] != x->dims[2]) {
        eg_fail(err, EG_ERR_INPUT, "expected x (N,side,side,3), labels (N), classes (1)");
        return false;
    }
    in->x = x->data;
    in->labels = labels->data;
    in->n = (int)x->dims[0];
    in->side = (int)x->dims[1];
    in->classes = *(const int32_t *)classes->data;
    return true;
}

/* Prediction or a training step; the plan stays alive because the logits lie in it. */
static eg_status run(eg_plan **p, eg_network *net, const input *in, bool train, eg_error *err) {
    eg_plan_options o = {.mode = train ? EG_PLAN_TRAIN : EG_PLAN_PREDICT, .batch = in->n};
    EG_TRY(eg_plan_new(p, net, &o, err));
    size_t n_floats = (size_t)in->n * (size_t)in->side * (size_t)in->side * 3;
    memcpy(eg_plan_input(*p), in->x, n_floats * sizeof(float));
    EG_TRY(eg_plan_forward(*p, in->n, 0, err));
    eg_loss_result r;
    return train ? eg_plan_backward(&r, *p, in->labels, NULL, err) : EG_OK;
}

static eg_tensor as_tensor(const eg_net_tensor *t, const char *name, const void *data) {
    eg_tensor out = {.name = name, .n_dims = t->n_dims, .data = data};
    out.dtype = t->role == EG_TENSOR_COUNTER ? EG_DTYPE_I64 : EG_DTYPE_F32;
    out.n_bytes = t->count * (t->role == EG_TENSOR_COUNTER ? sizeof(int64_t) : sizeof(float));
    for (int d = 0; d < t->n_dims; d++) out.dims[d] = t->dims[d];
    return out;
}

static eg_status write_out(const char *path, eg_network *net, const input *in, const eg_plan *p,
                           bool train, eg_error *err) {
    size_t n, n_out = 0;
    const eg_net_tensor *tensors = eg_network_tensors(net, &n);
    eg_tensor *out = eg_calloc(n + 1, sizeof *out);
    char(*names)[MAX_NAME] = eg_calloc(n + 1, sizeof *names);
    if (!out || !names) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++) {
        const eg_net_tensor *t = &tensors[i];
        if (train && t->role != EG_TENSOR_PARAMETER) continue;
        snprintf(names[i], MAX_NAME, "%s%s", train ? "" : "=", t->name);
        const void *value = t->counter ? (const void *)t->counter : t->data;
        out[n_out++] = as_tensor(t, names[i], train ? t->grad : value);
    }
    if (!train)
        out[n_out++] = (eg_tensor){
            .name = "logits",
            .dtype = EG_DTYPE_F32,
            .n_dims = 2,
            .dims = {in->n, in->classes},
            .data = eg_plan_logits(p),
            .n_bytes = (size_t)in->n * (size_t)in->classes * sizeof(float),
        };
    eg_status status = eg_safetensors_write(path, out, n_out, NULL, 0, err);
    eg_free(out);
    eg_free(names);
    return status;
}

static int list(void) {
    for (size_t i = 0; i < eg_arch_count(); i++) puts(eg_arch_at(i)->name);
    return 0;
}

static void print_names(eg_network *net, const eg_state_dict *weights) {
    size_t n;
    const eg_net_tensor *t = eg_network_tensors(net, &n);
    for (size_t i = 0; i < n; i++) {
        const eg_tensor *bound = eg_network_bound(net, weights, t[i].name);
        printf("%s %s\n", t[i].name, bound ? bound->name : "-");
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--list") == 0) return list();
    bool train = argc == 6 && strcmp(argv[5], "--gradients") == 0;
    if (argc != 5 && !train) {
        fprintf(stderr, "usage: zoo_dump MODEL WEIGHTS INPUT OUT [--gradients]\n");
        return 2;
    }
    eg_error err = {0};
    input in;
    eg_network *net = NULL;
    eg_state_dict *weights = NULL;
    eg_plan *p = NULL;
    bool head = false;
    if (!input_read(&in, argv[3], &err)) return fail(argv[3], &err);
    if (eg_network_new(&net, argv[1], in.classes, in.side, &err) != EG_OK)
        return fail(argv[1], &err);
    if (eg_weights_read(&weights, argv[2], &err) != EG_OK) return fail(argv[2], &err);
    if (eg_network_load(net, weights, &head, &err) != EG_OK) return fail("load", &err);
    if (!head) {
        fprintf(stderr, "zoo_dump: the head was not in the file\n");
        return 1;
    }
    print_names(net, weights);
    eg_state_dict_free(weights);
    if (run(&p, net, &in, train, &err) != EG_OK) return fail("run", &err);
    if (write_out(argv[4], net, &in, p, train, &err) != EG_OK) return fail(argv[4], &err);
    eg_plan_free(p);
    eg_network_free(net);
    eg_state_dict_free(in.file);
    return 0;
}
