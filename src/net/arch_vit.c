/* Vision transformer (Dosovitskiy et al. 2020, arXiv:2010.11929) as in torchvision's vision_transformer.py: patches by a
 * convolution that does not overlap, class token, 12 blocks of layer norm, attention, layer norm and two dense layers with
 * GELU between; the head sits on the class token. Behind the last block the class token alone is normed: nothing reads
 * the others. The position embedding belongs to one image size. torchvision's files of these weights carry the older
 * names "mlp.linear_1", "mlp.linear_2" of the dense layers.
 * Initial weights are simplified to normals of deviation 0.02 and zero biases (class token 0, norms 1 and 0): torchvision
 * draws the patch convolution with 1 / sqrt(fan_in), attention and dense layers from Xavier's uniform, and starts the
 * head at 0. Read first: graph.h, graph_tokens.c.                                                              */
#include "net/graph.h"
#include "net/zoo_row.h"
#include <stdio.h>
#include <string.h>

enum {
    NAME = 104,
    PREFIX = 48,
    PART = 72,
    BLOCKS = 12,
    WIDTH = 768,
    HEADS = 12,
    WIDEN = 4,
    SIDE = 224
};

typedef struct {
    int patch; /* pixels */
} vit_table;

static const float EPSILON = 1e-6f;

static int weight(eg_graph *g, const char *prefix, const char *part, int K, int C) {
    char name[NAME];
    snprintf(name, sizeof name, "%s%s", prefix, part);
    return eg_graph_tensor(g, EG_TENSOR_PARAMETER, name, C ? 2 : 1, (int64_t[]){K, C});
}

/* nn.MultiheadAttention: its own in_proj_weight and in_proj_bias, then the linear layer out_proj */
static int attention(eg_graph *g, int x, const char *prefix) {
    char name[NAME];
    int in_weight = weight(g, prefix, "in_proj_weight", 3 * WIDTH, WIDTH);
    int in_bias = weight(g, prefix, "in_proj_bias", 3 * WIDTH, 0);
    snprintf(name, sizeof name, "%sin_proj", prefix);
    x = eg_graph_dense(g, x, name, in_weight, in_bias);
    snprintf(name, sizeof name, "%score", prefix);
    x = eg_graph_attention(g, x, name, &(eg_attention){.heads = HEADS});
    snprintf(name, sizeof name, "%sout_proj", prefix);
    return eg_graph_pointwise(g, x, name, WIDTH);
}

static int block(eg_graph *g, int x, int i) {
    char prefix[PREFIX], part[PART], name[NAME];
    snprintf(prefix, sizeof prefix, "encoder.layers.encoder_layer_%d.", i);
    snprintf(name, sizeof name, "%sln_1", prefix);
    int y = eg_graph_layer_norm(g, x, name, EPSILON);
    snprintf(part, sizeof part, "%sself_attention.", prefix);
    x = eg_graph_add(g, attention(g, y, part), x);
    snprintf(name, sizeof name, "%sln_2", prefix);
    y = eg_graph_layer_norm(g, x, name, EPSILON);
    snprintf(name, sizeof name, "%smlp.0", prefix);
    y = eg_graph_act(g, eg_graph_pointwise(g, y, name, WIDEN * WIDTH), EG_ACT_GELU);
    snprintf(name, sizeof name, "%smlp.3", prefix);
    return eg_graph_add(g, eg_graph_pointwise(g, y, name, WIDTH), x);
}

static eg_status build(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    const vit_table *t = arch->table;
    g->init = EG_INIT_TRUNCATED;
    if (side != SIDE)
        return g->status = eg_fail(&g->error, EG_ERR_USAGE,
                                   "its position embedding is made for %d x %d pixels - use "
                                   "--img-size %d, or a model that takes any size",
                                   SIDE, SIDE, SIDE);
    int x = eg_graph_input(g, side, side, 3);
    int class_token =
        eg_graph_tensor(g, EG_TENSOR_PARAMETER, "class_token", 3, (int64_t[]){1, 1, WIDTH});
    x = eg_graph_conv(g, x, "conv_proj", WIDTH, t->patch, t->patch, 0, 1, true);
    x = eg_graph_tokens(g, x, class_token, "encoder.pos_embedding");
    for (int i = 0; i < BLOCKS; i++) x = block(g, x, i);
    x = eg_graph_layer_norm(g, eg_graph_token(g, x), "encoder.ln", EPSILON);
    eg_graph_linear(g, x, "heads.head", n_classes, true);
    return g->status;
}

/* "<block>mlp.0.<part>" and "<block>mlp.3.<part>" are "<block>mlp.linear_1.<part>" and "linear_2" in older files */
static bool foreign_name(char *out, const eg_arch *arch, const char *name) {
    (void)arch;
    const char *at = strstr(name, ".mlp.");
    if (!at || (at[5] != '0' && at[5] != '3') || at[6] != '.') return false;
    snprintf(out, 256, "%.*s.mlp.linear_%d%s", (int)(at - name), name, at[5] == '0' ? 1 : 2,
             at + 6);
    return true;
}

/* ---- the table ---- */

static const eg_arch entries[] = {
    {{EG_ZOO_ROW("vit_b_16", "IMAGENET1K_V1", "vit_b_16-c867db91.pth", "c867db91", 346328924,
                 81.072, 95.318, 224, 256, false, EG_ZOO_IMAGENET),
      .family = "Vision transformer",
      .description = "transformer of 12 blocks on patches of 16 x 16 pixels, 224 pixels only"},
     build,
     &(const vit_table){16},
     foreign_name},
    {{EG_ZOO_ROW("vit_b_32", "IMAGENET1K_V1", "vit_b_32-d86f8d99.pth", "d86f8d99", 352954876,
                 75.912, 92.466, 224, 256, false, EG_ZOO_IMAGENET),
      .family = "Vision transformer",
      .description = "transformer of 12 blocks on patches of 32 x 32 pixels, 224 pixels only"},
     build,
     &(const vit_table){32},
     foreign_name},
};

const eg_arch *eg_arch_vit(size_t *n) {
    *n = sizeof entries / sizeof *entries;
    return entries;
}
