/* Which steps a plan has: the nodes of the fused graph that the outputs need, in prediction with batch norms folded into
 * convolutions and whole blocks in one step. Only the choice: buffers and running are plan.c's. Read first: exec.h, graph.h. */
#include "net/exec.h"
#include <string.h>

/* What the steps are made from: which nodes this plan needs, and who reads them. */
typedef struct {
    const eg_graph *g;
    bool predict;
    bool blocks; /* inverted residual blocks become one step */
    bool *needed, *in_block;
    int *n_users, *user; /* of each node, by needed nodes; user: the last of them */
    int *step;           /* the step that makes the node's value; readers take it from there */
} selection;

/* Prediction needs the logits (the last node) and the features, training the logits and the auxiliary heads. */
static bool is_root(const selection *sel, int i, bool features_only) {
    const eg_node *node = &sel->g->nodes[i];
    if (sel->predict && node->is_features) return true;
    if (!sel->predict && node->aux_weight > 0) return true;
    return i == sel->g->n_nodes - 1 && !features_only;
}

/* The node whose value `features` gives: marked, or the input of the last layer. */
static int feature_node(const eg_graph *g) {
    int found = -1;
    for (int i = 0; i < g->n_nodes; i++) {
        const eg_node *node = &g->nodes[i];
        if (node->is_features) return i;
        if (node->is_head && node->aux_weight <= 0) found = node->input[0];
    }
    return found;
}

/* Backwards, so that a node's readers are known to be needed before the node is asked. */
static void select_nodes(selection *sel, bool features_only) {
    const eg_graph *g = sel->g;
    int features = feature_node(g);
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        if (is_root(sel, i, features_only) || (features_only && i == features) ||
            g->nodes[i].op == EG_OP_INPUT)
            sel->needed[i] = true;
        for (int k = 0; sel->needed[i] && k < g->nodes[i].n_inputs; k++) {
            int from = g->nodes[i].input[k];
            sel->needed[from] = true;
            if (sel->n_users[from]++ == 0) sel->user[from] = i;
        }
    }
}

/* Prediction: a batch norm (or an activation) right behind a convolution that nothing else reads is folded into it. */
static bool folds(const selection *sel, int i) {
    const eg_node *node = &sel->g->nodes[i];
    if (!sel->predict || (node->op != EG_OP_BN && node->op != EG_OP_ACT)) return false;
    int conv = node->input[0];
    return eg_node_is_conv(&sel->g->nodes[conv]) && sel->n_users[conv] == 1;
}

/* a convolution that is part of its reader's step */
static bool is_absorbed(const selection *sel, int i) {
    return eg_node_is_conv(&sel->g->nodes[i]) && sel->n_users[i] == 1 && folds(sel, sel->user[i]) &&
           sel->g->nodes[sel->user[i]].input[0] == i;
}

/* A batch norm that is folded into a convolution of kind `op` which nobody else reads. */
static bool is_folded(const selection *sel, int i, eg_op_kind op) {
    const eg_node *node = &sel->g->nodes[i];
    return node->op == EG_OP_BN && folds(sel, i) && sel->g->nodes[node->input[0]].op == op;
}

/* read by one node and not by the caller */
static bool is_inner(const selection *sel, int i) {
    return sel->n_users[i] == 1 && !sel->g->nodes[i].is_features;
}

/* The block that ends at node i, [1x1 expansion,] depthwise [, squeeze-excite], 1x1 projection [+ residual], all with their
 * batch norms folded: it runs a sample at a time, in one core's cache (op_mbconv.c). Not with fewer samples than threads,
 * which would stand idle; where bits must not depend on their number, always. */
static eg_block_parts block_at(const selection *sel, int i) {
    const eg_block_parts none = {0};
    const eg_node *nodes = sel->g->nodes;
    eg_block_parts b = {0};
    if (!sel->blocks || !is_folded(sel, i, EG_OP_CONV)) return none;
    const eg_node *project = &nodes[nodes[i].input[0]];
    if (!eg_node_is_pointwise(project)) return none;
    int at = project->input[0];
    if (nodes[at].op == EG_OP_SE && is_inner(sel, at)) {
        b.se = &nodes[at];
        at = nodes[at].input[0];
    }
    if (!is_folded(sel, at, EG_OP_DWCONV) || nodes[at].n_inputs != 1 || !is_inner(sel, at))
        return none;
    b.dw_norm = &nodes[at];
    b.dw = &nodes[nodes[at].input[0]];
    at = b.input = b.dw->input[0];
    if (is_folded(sel, at, EG_OP_CONV) && nodes[at].n_inputs == 1 && is_inner(sel, at) &&
        eg_node_is_pointwise(&nodes[nodes[at].input[0]])) {
        b.expand_norm = &nodes[at];
        b.expand = &nodes[nodes[at].input[0]];
        b.input = b.expand->input[0];
    }
    return b;
}

static void mark_block(selection *sel, int i) {
    eg_block_parts b = block_at(sel, i);
    if (!b.dw) return;
    const eg_node *inner[] = {b.se, b.dw_norm, b.expand_norm};
    for (int k = 0; k < 3; k++)
        if (inner[k]) sel->in_block[inner[k] - sel->g->nodes] = true;
}

/* Dropout and stochastic depth hand their input on in prediction: no step, and no copy of a whole value. */
static bool passes_through(const selection *sel, int i) {
    eg_op_kind op = sel->g->nodes[i].op;
    return sel->predict && (op == EG_OP_DROPOUT || op == EG_OP_DROP_PATH);
}

static void add_step(eg_plan *plan, selection *sel, int i) {
    const eg_graph *g = sel->g;
    const eg_node *node = &g->nodes[i];
    eg_step *s = &plan->steps[plan->n_steps];
    s->index = sel->step[i] = plan->n_steps++;
    s->node = node;
    s->n_inputs = node->n_inputs;
    s->op = eg_op_of(node->op);
    for (int k = 0; k < node->n_inputs; k++) s->input[k] = sel->step[node->input[k]];
    if (folds(sel, i)) {
        s->conv = &g->nodes[node->input[0]];
        s->block = block_at(sel, i);
        s->input[0] = sel->step[s->block.dw ? s->block.input : s->conv->input[0]];
        s->op = s->block.dw ? &eg_op_mbconv : &eg_op_folded;
    } else if (sel->predict && eg_node_is_conv(node)) {
        s->conv = node;
        s->op = &eg_op_folded;
    }
    /* the builder lets no more than EG_MAX_AUX in */
    if (node->aux_weight > 0) plan->aux_step[plan->n_aux++] = s->index;
}

static void add_steps(eg_plan *plan, selection *sel) {
    const eg_graph *g = sel->g;
    for (int i = 0; i < g->n_nodes; i++)
        if (sel->needed[i]) mark_block(sel, i);
    for (int i = 0; i < g->n_nodes; i++) {
        if (!sel->needed[i] || is_absorbed(sel, i) || sel->in_block[i]) continue;
        if (passes_through(sel, i))
            sel->step[i] = sel->step[g->nodes[i].input[0]];
        else
            add_step(plan, sel, i);
    }
    plan->logit_step = plan->options.features_only ? -1 : sel->step[g->n_nodes - 1];
    plan->feature_step = sel->step[feature_node(g)];
}

eg_status eg_plan_steps_make(eg_plan *plan, eg_error *err) {
    const eg_graph *g = &plan->net->fused;
    size_t n = (size_t)g->n_nodes;
    selection sel = {.g = g, .predict = plan->options.mode == EG_PLAN_PREDICT};
    plan->steps = eg_calloc(n, sizeof *plan->steps);
    sel.n_users = eg_calloc(3 * n, sizeof *sel.n_users);
    sel.needed = eg_calloc(2 * n, sizeof *sel.needed);
    sel.blocks =
        sel.predict && (plan->options.deterministic || plan->options.batch >= eg_pool_threads());
    eg_status status = EG_OK;
    if (plan->steps && sel.n_users && sel.needed) {
        sel.in_block = sel.needed + n;
        sel.user = sel.n_users + n;
        sel.step = sel.user + n;
        select_nodes(&sel, plan->options.features_only);
        add_steps(plan, &sel);
    } else {
        status = eg_fail(err, EG_ERR_NO_MEMORY, "plan: out of memory");
    }
    eg_free(sel.n_users);
    eg_free(sel.needed);
    return status;
}
