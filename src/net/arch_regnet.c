/* RegNet (Radosavovic et al. 2020, arXiv:2003.13678) as in torchvision: bottlenecks without a bottleneck (all three
 * convolutions as wide as the stage), the 3x3 one in groups of fixed width; RegNetY has squeeze-excite on a quarter of
 * the block's input. Stages and metadata: scripts/make_zoo_table.py (--regnet); the stages follow from the four numbers
 * of torchvision's regnet.py. The 128 GF weights are SWAG's (CC-BY-NC 4.0), trained at 384 pixels.
 * Read first: graph.h, conv_bn.h.                                                                             */
#include "net/conv_bn.h"
#include "net/zoo_row.h"
#include <stdio.h>

enum { N_STAGES = 4, STEM = 32 };

typedef struct {
    int blocks[N_STAGES], widths[N_STAGES];
    int group; /* channels of a group; at most the stage's width */
    bool squeeze_excite;
} regnet_table;

/* The shortcut's projection is built first because the state dict has it first. */
static int block(eg_graph *g, int x, const char *prefix, const regnet_table *t, int C, int K,
                 int stride) {
    eg_conv_bn proj = eg_conv_bn_of(K, 1, stride, 1, EG_ACT_NONE),
               a = eg_conv_bn_of(K, 1, 1, 1, EG_ACT_RELU),
               b = eg_conv_bn_of(K, 3, stride, K / (t->group < K ? t->group : K), EG_ACT_RELU),
               c = eg_conv_bn_of(K, 1, 1, 1, EG_ACT_NONE);
    /* the first block of a stage halves the sides and changes the width: its shortcut is a strided 1x1 convolution */
    bool same = stride == 1 && C == K;
    int shortcut = same ? x : eg_graph_conv_bn(g, x, prefix, "proj.0", "proj.1", &proj);
    int y = eg_graph_conv_bn(g, x, prefix, "f.a.0", "f.a.1", &a);
    y = eg_graph_conv_bn(g, y, prefix, "f.b.0", "f.b.1", &b);
    if (t->squeeze_excite) {
        char name[64];
        snprintf(name, sizeof name, "%sf.se", prefix);
        /* a quarter of the block's input, not of the inner width; all widths are multiples of 8 */
        y = eg_graph_se(g, y, name, C / 4, EG_ACT_RELU, EG_ACT_SIGMOID);
    }
    y = eg_graph_conv_bn(g, y, prefix, "f.c.0", "f.c.1", &c);
    return eg_graph_act(g, eg_graph_add(g, y, shortcut), EG_ACT_RELU);
}

static eg_status build(eg_graph *g, const eg_arch *arch, int n_classes, int side) {
    const regnet_table *t = arch->table;
    g->init = EG_INIT_NORMAL001;
    eg_conv_bn stem = eg_conv_bn_of(STEM, 3, 2, 1, EG_ACT_RELU);
    int C = STEM, x = eg_graph_input(g, side, side, 3);
    x = eg_graph_conv_bn(g, x, "stem.", "0", "1", &stem);
    for (int s = 0; s < N_STAGES; s++)
        for (int i = 0; i < t->blocks[s]; i++) {
            char prefix[56];
            snprintf(prefix, sizeof prefix, "trunk_output.block%d.block%d-%d.", s + 1, s + 1, i);
            x = block(g, x, prefix, t, C, t->widths[s], i == 0 ? 2 : 1);
            C = t->widths[s];
        }
    eg_graph_linear(g, eg_graph_mean_pool(g, x), "fc", n_classes, true);
    return g->status;
}

/* ---- the table: blocks and widths of the stages, channels of a group ---- */

#define X                                                                                          \
    .family = "RegNetX",                                                                           \
    .description = "a simple family of grouped bottlenecks, width and depth by one linear rule"
#define Y .family = "RegNetY", .description = "RegNetX with squeeze-excite"

static const eg_arch entries[] = {
    {{EG_ZOO_ROW("regnet_x_400mf", "IMAGENET1K_V2", "regnet_x_400mf-62229a5f.pth", "62229a5f",
                 22289580, 74.864, 92.322, 224, 232, false, EG_ZOO_IMAGENET),
      X},
     build,
     &(const regnet_table){{1, 2, 7, 12}, {32, 64, 160, 400}, 16, false},
     NULL},
    {{EG_ZOO_ROW("regnet_x_800mf", "IMAGENET1K_V2", "regnet_x_800mf-94a99ebd.pth", "94a99ebd",
                 29302456, 77.522, 93.826, 224, 232, false, EG_ZOO_IMAGENET),
      X},
     build,
     &(const regnet_table){{1, 3, 7, 5}, {64, 128, 288, 672}, 16, false},
     NULL},
    {{EG_ZOO_ROW("regnet_x_1_6gf", "IMAGENET1K_V2", "regnet_x_1_6gf-a12f2b72.pth", "a12f2b72",
                 37055627, 79.668, 94.922, 224, 232, false, EG_ZOO_IMAGENET),
      X},
     build,
     &(const regnet_table){{2, 4, 10, 2}, {72, 168, 408, 912}, 24, false},
     NULL},
    {{EG_ZOO_ROW("regnet_x_3_2gf", "IMAGENET1K_V2", "regnet_x_3_2gf-7071aa85.pth", "7071aa85",
                 61610131, 81.196, 95.430, 224, 232, false, EG_ZOO_IMAGENET),
      X},
     build,
     &(const regnet_table){{2, 6, 15, 2}, {96, 192, 432, 1008}, 48, false},
     NULL},
    {{EG_ZOO_ROW("regnet_x_8gf", "IMAGENET1K_V2", "regnet_x_8gf-2b70d774.pth", "2b70d774",
                 158813127, 81.682, 95.678, 224, 232, false, EG_ZOO_IMAGENET),
      X},
     build,
     &(const regnet_table){{2, 5, 15, 1}, {80, 240, 720, 1920}, 120, false},
     NULL},
    {{EG_ZOO_ROW("regnet_x_16gf", "IMAGENET1K_V2", "regnet_x_16gf-ba3796d7.pth", "ba3796d7",
                 217712689, 82.716, 96.196, 224, 232, false, EG_ZOO_IMAGENET),
      X},
     build,
     &(const regnet_table){{2, 6, 13, 1}, {256, 512, 896, 2048}, 128, false},
     NULL},
    {{EG_ZOO_ROW("regnet_x_32gf", "IMAGENET1K_V2", "regnet_x_32gf-6eb8fdc6.pth", "6eb8fdc6",
                 432054206, 83.014, 96.288, 224, 232, false, EG_ZOO_IMAGENET),
      X},
     build,
     &(const regnet_table){{2, 7, 13, 1}, {336, 672, 1344, 2520}, 168, false},
     NULL},
    {{EG_ZOO_ROW("regnet_y_400mf", "IMAGENET1K_V2", "regnet_y_400mf-e6988f5f.pth", "e6988f5f",
                 17622368, 75.804, 92.742, 224, 232, false, EG_ZOO_IMAGENET),
      Y},
     build,
     &(const regnet_table){{1, 3, 6, 6}, {48, 104, 208, 440}, 8, true},
     NULL},
    {{EG_ZOO_ROW("regnet_y_800mf", "IMAGENET1K_V2", "regnet_y_800mf-58fc7688.pth", "58fc7688",
                 25977422, 78.828, 94.502, 224, 232, false, EG_ZOO_IMAGENET),
      Y},
     build,
     &(const regnet_table){{1, 3, 8, 2}, {64, 144, 320, 784}, 16, true},
     NULL},
    {{EG_ZOO_ROW("regnet_y_1_6gf", "IMAGENET1K_V2", "regnet_y_1_6gf-0d7bc02a.pth", "0d7bc02a",
                 45248152, 80.876, 95.444, 224, 232, false, EG_ZOO_IMAGENET),
      Y},
     build,
     &(const regnet_table){{2, 6, 17, 2}, {48, 120, 336, 888}, 24, true},
     NULL},
    {{EG_ZOO_ROW("regnet_y_3_2gf", "IMAGENET1K_V2", "regnet_y_3_2gf-9180c971.pth", "9180c971",
                 78189167, 81.982, 95.972, 224, 232, false, EG_ZOO_IMAGENET),
      Y},
     build,
     &(const regnet_table){{2, 5, 13, 1}, {72, 216, 576, 1512}, 24, true},
     NULL},
    {{EG_ZOO_ROW("regnet_y_8gf", "IMAGENET1K_V2", "regnet_y_8gf-dc2b1b54.pth", "dc2b1b54",
                 158021452, 82.828, 96.330, 224, 232, false, EG_ZOO_IMAGENET),
      Y},
     build,
     &(const regnet_table){{2, 4, 10, 1}, {224, 448, 896, 2016}, 56, true},
     NULL},
    {{EG_ZOO_ROW("regnet_y_16gf", "IMAGENET1K_V2", "regnet_y_16gf-3e4a00f9.pth", "3e4a00f9",
                 335009546, 82.886, 96.328, 224, 232, false, EG_ZOO_IMAGENET),
      Y},
     build,
     &(const regnet_table){{2, 4, 11, 1}, {224, 448, 1232, 3024}, 112, true},
     NULL},
    {{EG_ZOO_ROW("regnet_y_32gf", "IMAGENET1K_V2", "regnet_y_32gf-8db6d4b5.pth", "8db6d4b5",
                 580990796, 83.368, 96.498, 224, 232, false, EG_ZOO_IMAGENET),
      Y},
     build,
     &(const regnet_table){{2, 5, 12, 1}, {232, 696, 1392, 3712}, 232, true},
     NULL},
    {{EG_ZOO_ROW("regnet_y_128gf", "IMAGENET1K_SWAG_E2E_V1", "regnet_y_128gf_swag-c8ce3e52.pth",
                 "c8ce3e52", 2581136933, 88.228, 98.682, 384, 384, true, EG_ZOO_IMAGENET),
      Y},
     build,
     &(const regnet_table){{2, 7, 17, 1}, {528, 1056, 2904, 7392}, 264, true},
     NULL},
};

const eg_arch *eg_arch_regnet(size_t *n) {
    *n = sizeof entries / sizeof *entries;
    return entries;
}
