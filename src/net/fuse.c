/* Fusion: a batch norm takes over the elementwise ops behind it, because each of them alone is a pass over memory:
 *     bn -> act          bn -> add [-> act]          bn -> drop_path -> add [-> act]
 * Only when nobody else reads the value in between. The merged node is the batch norm, with the add's other input as
 * its residual; it stands where the last merged node stood, so that the residual comes before it. When both inputs of
 * an add are batch norms (ResNet's downsample) the first one, the main branch, takes the add. Nodes that the output
 * does not need are dropped. Folding into convolutions is another matter (plan.c, prediction only).             */
#include "net/graph.h"
#include <string.h>

typedef struct {
    const eg_graph *g;
    int *n_users;  /* of each node */
    int *user;     /* the last reader of each node */
    int *last;     /* bn: last node of its chain; itself when nothing merges */
    int *residual; /* bn: the node that is added, or -1 */
    bool *merged;  /* swallowed by a batch norm */
    int *place;    /* new number */
} fusion;

static bool only_read_by(const fusion *f, int i, eg_op_kind op) {
    return f->n_users[i] == 1 && f->g->nodes[f->user[i]].op == op;
}

/* The batch norm whose value reaches input `i` of an add, directly or by a drop path, read by nobody else; else -1. */
static int norm_behind(const fusion *f, int i) {
    const eg_node *nodes = f->g->nodes;
    if (f->n_users[i] != 1) return -1;
    if (nodes[i].op == EG_OP_DROP_PATH) {
        i = nodes[i].input[0];
        if (f->n_users[i] != 1) return -1;
    }
    return nodes[i].op == EG_OP_BN ? i : -1;
}

static void merge_chain(fusion *f, int bn) {
    const eg_node *nodes = f->g->nodes;
    int end = bn;
    if (only_read_by(f, bn, EG_OP_DROP_PATH) && only_read_by(f, f->user[bn], EG_OP_ADD))
        end = f->user[bn];
    if (only_read_by(f, end, EG_OP_ADD)) {
        int add = f->user[end], main_input = nodes[add].input[0];
        /* the first argument has the right of way */
        bool first = main_input == end, taken = !first && norm_behind(f, main_input) >= 0;
        if (!taken) {
            f->residual[bn] = nodes[add].input[first ? 1 : 0];
            f->merged[end] = end != bn;
            f->merged[add] = true;
            end = add;
        } else {
            end = bn;
        }
    } else {
        end = bn;
    }
    /* behind a residual the derivative is read off the output, which tells ReLU and ReLU6 only */
    if (only_read_by(f, end, EG_OP_ACT) &&
        (f->residual[bn] < 0 || nodes[f->user[end]].act <= EG_ACT_RELU6)) {
        end = f->user[end];
        f->merged[end] = true;
    }
    f->last[bn] = end;
}

/* Which nodes the outputs need: the last node, auxiliary heads and features. In `merged` the others are marked too. */
static void drop_dead(fusion *f, bool *needed) {
    const eg_graph *g = f->g;
    needed[g->n_nodes - 1] = true;
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        needed[i] = needed[i] || g->nodes[i].aux_weight > 0 || g->nodes[i].is_features;
        for (int k = 0; needed[i] && k < g->nodes[i].n_inputs; k++)
            needed[g->nodes[i].input[k]] = true;
    }
    for (int i = 0; i < g->n_nodes; i++)
        if (!needed[i] && g->nodes[i].op != EG_OP_INPUT) f->merged[i] = true;
}

static void count_users(fusion *f, const bool *needed) {
    const eg_graph *g = f->g;
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; needed[i] && k < g->nodes[i].n_inputs; k++) {
            f->n_users[g->nodes[i].input[k]]++;
            f->user[g->nodes[i].input[k]] = i;
        }
}

/* The fused node of batch norm `bn`, inputs still in old numbers. */
static eg_node fused_node(const fusion *f, int bn) {
    eg_node node = f->g->nodes[bn];
    if (f->residual[bn] >= 0) {
        node.n_inputs = 2;
        node.input[1] = f->residual[bn];
    }
    for (int i = bn; i != f->last[bn];) {
        i = f->user[i];
        if (f->g->nodes[i].op == EG_OP_DROP_PATH) node.rate = f->g->nodes[i].rate;
        if (f->g->nodes[i].op == EG_OP_ACT) node.act = f->g->nodes[i].act;
    }
    return node;
}

static void emit(eg_graph *out, fusion *f) {
    const eg_graph *g = f->g;
    for (int i = 0; i < g->n_nodes; i++) {
        /* a chain is put out at its last node; `last` of a batch norm says which */
        int source = f->merged[i] ? -1 : i;
        for (int bn = 0; bn <= i; bn++)
            if (g->nodes[bn].op == EG_OP_BN && f->last[bn] == i) source = bn;
        if (source < 0 || (source == i && g->nodes[i].op == EG_OP_BN && f->last[i] != i)) continue;
        bool is_bn = g->nodes[source].op == EG_OP_BN;
        eg_node node = is_bn ? fused_node(f, source) : g->nodes[source];
        for (int k = 0; k < node.n_inputs; k++) node.input[k] = f->place[node.input[k]];
        f->place[source] = f->place[i] = out->n_nodes;
        out->nodes[out->n_nodes++] = node;
    }
}

static void fuse(eg_graph *out, fusion *f, bool *needed) {
    const eg_graph *g = f->g;
    for (int i = 0; i < g->n_nodes; i++) {
        f->last[i] = -1;
        f->residual[i] = -1;
    }
    drop_dead(f, needed);
    count_users(f, needed);
    for (int i = 0; i < g->n_nodes; i++)
        if (needed[i] && g->nodes[i].op == EG_OP_BN) merge_chain(f, i);
    emit(out, f);
}

eg_status eg_graph_fuse(eg_graph *out, const eg_graph *g, eg_error *err) {
    size_t n = (size_t)g->n_nodes;
    eg_graph fused = *g; /* tensors, names and init are shared */
    fused.nodes = eg_calloc(n, sizeof *fused.nodes);
    fused.n_nodes = 0;
    fused.capacity = g->n_nodes;
    int *numbers = eg_calloc(5 * n, sizeof *numbers);
    bool *flags = eg_calloc(2 * n, sizeof *flags);
    eg_status status = EG_OK;
    if (!fused.nodes || !numbers || !flags) {
        status = eg_fail(err, EG_ERR_NO_MEMORY, "network: out of memory");
        eg_free(fused.nodes);
    } else {
        fusion f = {g,     numbers,        numbers + n, numbers + 2 * n, numbers + 3 * n,
                    flags, numbers + 4 * n};
        fuse(&fused, &f, flags + n);
        *out = fused;
    }
    eg_free(numbers);
    eg_free(flags);
    return status;
}
