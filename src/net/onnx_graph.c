/* A network as an ONNX model: which nodes the logits need, which batch norms go into their convolution, names, input with
 * or without the preprocessing, metadata. Auxiliary outputs are left out, softmax is not added.
 * Read first: onnx_graph.h; read next: onnx_ops.c (one function an op), onnx_message.c (messages, the file).        */
#include "net/onnx_graph.h"
#include <string.h>

/* Most of what one node becomes (attention in shifted windows: 31 nodes, 34 tensors), and what the model has besides.
 * eg_onnx_add and its kin check. */
enum { NODES_EACH = 40, TENSORS_EACH = 40, BESIDES = 64 };

/* ---- what is needed ---- */

static void *zeroed(eg_onnx *b, size_t n, size_t size) {
    void *p = eg_onnx_get(b, n * size);
    return p ? memset(p, 0, n * size) : NULL;
}

/* All lists of the builder, at their largest: nothing grows later. */
static void make_room(eg_onnx *b) {
    size_t n = (size_t)b->graph->n_nodes;
    b->node_room = n * NODES_EACH + BESIDES;
    b->tensor_room = n * TENSORS_EACH + BESIDES;
    b->nodes = zeroed(b, b->node_room, sizeof *b->nodes);
    b->tensors = zeroed(b, b->tensor_room, sizeof *b->tensors);
    b->needed = zeroed(b, n, sizeof *b->needed);
    b->readers = zeroed(b, n, sizeof *b->readers);
    b->norm = zeroed(b, n, sizeof *b->norm);
    b->base = zeroed(b, n, sizeof *b->base);
    b->value = zeroed(b, n, sizeof *b->value);
    b->flat = zeroed(b, n, sizeof *b->flat);
}

/* Back from the logits, the last node. */
static void find_needed(eg_onnx *b) {
    const eg_graph *g = b->graph;
    b->needed[g->n_nodes - 1] = true;
    for (int i = g->n_nodes - 1; i >= 0; i--)
        for (int k = 0; b->needed[i] && k < g->nodes[i].n_inputs; k++) {
            b->needed[g->nodes[i].input[k]] = true;
            b->readers[g->nodes[i].input[k]]++;
        }
}

/* A batch norm right behind a convolution that nothing else reads. */
static void find_folds(eg_onnx *b, bool keep_bn) {
    const eg_graph *g = b->graph;
    for (int i = 0; i < g->n_nodes; i++) b->norm[i] = -1;
    for (int i = 0; i < g->n_nodes && !keep_bn; i++) {
        if (!b->needed[i] || g->nodes[i].op != EG_OP_BN) continue;
        int from = g->nodes[i].input[0];
        bool conv = g->nodes[from].op == EG_OP_CONV || g->nodes[from].op == EG_OP_DWCONV;
        if (conv && b->readers[from] == 1) b->norm[from] = i;
    }
}

/* Modules with weights have torchvision's names; others get their number. A tensor of the very name of its module (layer
 * scale) would clash with the module's value. */
static void make_names(eg_onnx *b) {
    const eg_graph *g = b->graph;
    for (int i = 0; i < g->n_nodes; i++) {
        const eg_node *node = &g->nodes[i];
        bool module = node->tensor[0] >= 0;
        b->base[i] = module ? node->name : eg_onnx_text(b, "%s_%d", node->name, i);
        b->value[i] =
            node->op == EG_OP_LAYER_SCALE ? eg_onnx_text(b, "%s/scaled", b->base[i]) : b->base[i];
    }
}

/* The ONNX node that makes the logits: behind dropout, and a folded norm is its convolution. */
static int logits_maker(const eg_onnx *b) {
    const eg_graph *g = b->graph;
    int i = g->n_nodes - 1;
    while (g->nodes[i].op == EG_OP_DROPOUT || g->nodes[i].op == EG_OP_DROP_PATH)
        i = g->nodes[i].input[0];
    return i;
}

/* ---- input and output ---- */

enum {
    FLOAT = EG_ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
    UINT8 = EG_ONNX__TENSOR_PROTO__DATA_TYPE__UINT8
};

/* pixels (N,H,W,3) uint8 -> (pixel / 255 - mean) / std (N,3,H,W) float, as pixel a + c with a = 1 / (255 std) and
 * c = -mean / std; returns the value's name. */
static const char *preprocessing(eg_onnx *b, const char *pixels, const float mean[3],
                                 const float std[3]) {
    float *scale = eg_onnx_get(b, 3 * sizeof *scale), *shift = eg_onnx_get(b, 3 * sizeof *shift);
    if (!scale || !shift) return "";
    for (int c = 0; c < 3; c++) {
        scale[c] = (float)(1 / (255 * (double)std[c]));
        shift[c] = (float)(-(double)mean[c] / (double)std[c]);
    }
    static const int64_t DIMS[] = {3, 1, 1}, PERM[] = {0, 3, 1, 2};
    const char *out = "preprocessing/normalized";
    eg_onnx_int(b, eg_onnx_add(b, "Cast", "preprocessing/float", &pixels, 1), "to", FLOAT);
    eg_onnx_ints(b,
                 eg_onnx_add(b, "Transpose", "preprocessing/nchw",
                             (const char *[]){"preprocessing/float"}, 1),
                 "perm", PERM, 4);
    eg_onnx_add(b, "Mul", "preprocessing/scaled",
                (const char *[]){"preprocessing/nchw",
                                 eg_onnx_floats(b, "preprocessing/scale", scale, DIMS, 3)},
                2);
    eg_onnx_add(b, "Add", out,
                (const char *[]){"preprocessing/scaled",
                                 eg_onnx_floats(b, "preprocessing/shift", shift, DIMS, 3)},
                2);
    return out;
}

/* Nodes of the whole network, between "input" and "logits". */
static void emit_all(eg_onnx *b, const eg_onnx_options *o) {
    const eg_graph *g = b->graph;
    int last = logits_maker(b);
    eg_op_kind kind = g->nodes[last].op;
    bool flat = kind == EG_OP_LINEAR || kind == EG_OP_FLATTEN;
    if (flat) b->value[last] = "logits";
    for (int i = 0; i < g->n_nodes && b->status == EG_OK; i++) {
        if (!b->needed[i]) continue;
        if (g->nodes[i].op == EG_OP_INPUT)
            b->value[i] =
                o->with_preprocessing ? preprocessing(b, "input", o->mean, o->std) : "input";
        else
            eg_onnx_emit(b, i);
    }
    if (flat && b->status == EG_OK && strcmp(b->value[g->n_nodes - 1], "logits") != 0)
        eg_onnx_fail(b, EG_ERR_INTERNAL, "%s: its value is not the logits", g->nodes[last].name);
    if (flat || b->status != EG_OK) return;
    /* a convolution as head ends in (N,K,1,1) */
    EgOnnx__NodeProto *node =
        eg_onnx_add(b, "Flatten", "logits", (const char *[]){b->value[g->n_nodes - 1]}, 1);
    eg_onnx_int(b, node, "axis", 1);
}

/* ---- the model ---- */

/* The graph is named after the network; its one input and one output are "input" and "logits". */
static EgOnnx__GraphProto *make_graph(eg_onnx *b, const eg_onnx_options *o) {
    const eg_node *in = &b->graph->nodes[0];
    const int64_t nchw[] = {in->C, in->H, in->W}, nhwc[] = {in->H, in->W, in->C};
    const int64_t logits[] = {b->net->n_classes};
    EgOnnx__GraphProto *graph = zeroed(b, 1, sizeof *graph);
    EgOnnx__ValueInfoProto **ends = zeroed(b, 2, sizeof *ends);
    if (!graph || !ends) return NULL;
    eg_onnx__graph_proto__init(graph);
    ends[0] = o->with_preprocessing ? eg_onnx_value(b, "input", UINT8, nhwc, 3)
                                    : eg_onnx_value(b, "input", FLOAT, nchw, 3);
    ends[1] = eg_onnx_value(b, "logits", FLOAT, logits, 1);
    graph->name = (char *)b->net->info->name;
    graph->node = b->nodes;
    graph->n_node = b->n_nodes;
    graph->initializer = b->tensors;
    graph->n_initializer = b->n_tensors;
    graph->input = &ends[0];
    graph->n_input = 1;
    graph->output = &ends[1];
    graph->n_output = 1;
    return graph;
}

/* Borrowed texts, in the order given, so that the same call writes the same bytes. */
static void add_metadata(eg_onnx *b, EgOnnx__ModelProto *model, const eg_text_pair *pairs,
                         size_t n) {
    EgOnnx__StringStringEntryProto **list = zeroed(b, n + 1, sizeof *list),
                                   *items = zeroed(b, n + 1, sizeof *items);
    if (!list || !items) return;
    for (size_t i = 0; i < n; i++) {
        list[i] = &items[i];
        eg_onnx__string_string_entry_proto__init(list[i]);
        items[i].key = (char *)pairs[i].key;
        items[i].value = (char *)pairs[i].value;
    }
    model->metadata_props = list;
    model->n_metadata_props = n;
}

/* Producer and opset, but no date and no host: the file depends on the network alone. NULL after a failure. */
static EgOnnx__ModelProto *make_model(eg_onnx *b, const eg_onnx_options *o,
                                      const eg_text_pair *metadata, size_t n_metadata) {
    EgOnnx__ModelProto *model = zeroed(b, 1, sizeof *model);
    EgOnnx__OperatorSetIdProto **sets = zeroed(b, 1, sizeof *sets),
                               *set = zeroed(b, 1, sizeof *set);
    if (!model || !sets || !set) return NULL;
    eg_onnx__model_proto__init(model);
    eg_onnx__operator_set_id_proto__init(set);
    set->domain = (char *)"";
    set->has_version = 1;
    set->version = EG_ONNX_OPSET;
    sets[0] = set;
    model->has_ir_version = 1;
    model->ir_version = EG_ONNX_IR;
    model->opset_import = sets;
    model->n_opset_import = 1;
    model->producer_name = (char *)"engraft";
    model->producer_version = (char *)ENGRAFT_VERSION;
    model->doc_string = (char *)o->description;
    model->graph = make_graph(b, o);
    add_metadata(b, model, metadata, n_metadata);
    return model;
}

void eg_onnx_free(eg_onnx *b) {
    eg_arena_free(b->arena);
    *b = (eg_onnx){0};
}

eg_status eg_onnx_build(EgOnnx__ModelProto **out, eg_onnx *b, const eg_network *net,
                        const eg_onnx_options *o, const eg_text_pair *metadata, size_t n_metadata,
                        eg_error *err) {
    *b = (eg_onnx){.net = net, .graph = &net->graph, .arena = eg_arena_new((size_t)256 << 10, 0)};
    if (!b->arena) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    make_room(b);
    if (b->status == EG_OK) {
        find_needed(b);
        find_folds(b, o->keep_bn);
        make_names(b);
        emit_all(b, o);
    }
    EgOnnx__ModelProto *model = make_model(b, o, metadata, n_metadata);
    if (b->status != EG_OK) {
        if (err) *err = b->error;
        eg_status status = b->status;
        eg_onnx_free(b);
        return status;
    }
    *out = model;
    return EG_OK;
}

eg_status eg_network_save_onnx(const eg_network *net, const char *path, const eg_onnx_options *o,
                               const eg_text_pair *metadata, size_t n_metadata, eg_error *err) {
    eg_onnx b;
    EgOnnx__ModelProto *model = NULL;
    eg_status status = eg_onnx_build(&model, &b, net, o, metadata, n_metadata, err);
    if (status != EG_OK) return eg_error_in(err, status, path);
    size_t limit = o->limit_bytes ? o->limit_bytes : INT32_MAX;
    status = eg_onnx_write(path, model, limit, err);
    eg_onnx_free(&b);
    return status;
}
