/* timm's names of tensors, for the families where timm has the same network under other names. Left out on purpose, because
 * the same weights would give other numbers there: EfficientNet-B5 to B7 and MobileNet V3 (another epsilon), EfficientNet
 * V2 (another padding). ResNets, DenseNet and Inception have torchvision's names in timm as well.
 *
 * A rule turns a prefix of our name into theirs and keeps the rest. In `ours`, '#' is a number; in `theirs`, for the
 * numbers in their order: '#' the number, '-' one less, '+' one more, '/' its half (rounded down), '!' nothing, '@' a
 * block of MobileNet V2 as "stage.block". The first rule that fits wins. Read first: binding.c.                     */
#include "net/mbconv.h"
#include <stdio.h>
#include <string.h>

typedef struct {
    const char *ours, *theirs;
} rule;

/* EfficientNet and EfficientNet-Lite; the first stage does not expand, Lite has no squeeze-excite */
static const rule EFFICIENTNET[] = {{"features.0.0.", "conv_stem."},
                                    {"features.0.1.", "bn1."},
                                    {"features.8.0.", "conv_head."},
                                    {"features.8.1.", "bn2."},
                                    {"classifier.1.", "classifier."},
                                    {"features.#.#.block.1.fc1.", "blocks.-.#.se.conv_reduce."},
                                    {"features.#.#.block.1.fc2.", "blocks.-.#.se.conv_expand."},
                                    {"features.#.#.block.2.fc1.", "blocks.-.#.se.conv_reduce."},
                                    {"features.#.#.block.2.fc2.", "blocks.-.#.se.conv_expand."},
                                    {"features.1.#.block.0.0.", "blocks.0.#.conv_dw."},
                                    {"features.1.#.block.0.1.", "blocks.0.#.bn1."},
                                    {"features.1.#.block.1.0.", "blocks.0.#.conv_pw."},
                                    {"features.1.#.block.1.1.", "blocks.0.#.bn2."},
                                    {"features.1.#.block.2.0.", "blocks.0.#.conv_pw."},
                                    {"features.1.#.block.2.1.", "blocks.0.#.bn2."},
                                    {"features.#.#.block.0.0.", "blocks.-.#.conv_pw."},
                                    {"features.#.#.block.0.1.", "blocks.-.#.bn1."},
                                    {"features.#.#.block.1.0.", "blocks.-.#.conv_dw."},
                                    {"features.#.#.block.1.1.", "blocks.-.#.bn2."},
                                    {"features.#.#.block.2.0.", "blocks.-.#.conv_pwl."},
                                    {"features.#.#.block.2.1.", "blocks.-.#.bn3."},
                                    {"features.#.#.block.3.0.", "blocks.-.#.conv_pwl."},
                                    {"features.#.#.block.3.1.", "blocks.-.#.bn3."},
                                    {NULL, NULL}};

/* blocks are numbered through in torchvision, by stage in timm: '@' */
static const rule MOBILENET_V2[] = {{"features.0.0.", "conv_stem."},
                                    {"features.0.1.", "bn1."},
                                    {"features.18.0.", "conv_head."},
                                    {"features.18.1.", "bn2."},
                                    {"classifier.1.", "classifier."},
                                    {"features.1.conv.0.0.", "blocks.0.0.conv_dw."},
                                    {"features.1.conv.0.1.", "blocks.0.0.bn1."},
                                    {"features.1.conv.1.", "blocks.0.0.conv_pw."},
                                    {"features.1.conv.2.", "blocks.0.0.bn2."},
                                    {"features.#.conv.0.0.", "blocks.@.conv_pw."},
                                    {"features.#.conv.0.1.", "blocks.@.bn1."},
                                    {"features.#.conv.1.0.", "blocks.@.conv_dw."},
                                    {"features.#.conv.1.1.", "blocks.@.bn2."},
                                    {"features.#.conv.2.", "blocks.@.conv_pwl."},
                                    {"features.#.conv.3.", "blocks.@.bn3."},
                                    {NULL, NULL}};

/* one nn.Sequential: layers 0 to 7 are the stem and a block without expansion, 8 to 13 the stacks, 14 and 15 the end */
static const rule MNASNET[] = {{"layers.0.", "conv_stem."},
                               {"layers.1.", "bn1."},
                               {"layers.3.", "blocks.0.0.conv_dw."},
                               {"layers.4.", "blocks.0.0.bn1."},
                               {"layers.6.", "blocks.0.0.conv_pw."},
                               {"layers.7.", "blocks.0.0.bn2."},
                               {"layers.14.", "conv_head."},
                               {"layers.15.", "bn2."},
                               {"classifier.1.", "classifier."},
#define STACK(ours, theirs)                                                                        \
    {"layers." #ours ".#.layers.0.", "blocks." #theirs ".#.conv_pw."},                             \
        {"layers." #ours ".#.layers.1.", "blocks." #theirs ".#.bn1."},                             \
        {"layers." #ours ".#.layers.3.", "blocks." #theirs ".#.conv_dw."},                         \
        {"layers." #ours ".#.layers.4.", "blocks." #theirs ".#.bn2."},                             \
        {"layers." #ours ".#.layers.6.", "blocks." #theirs ".#.conv_pwl."}, {                      \
        "layers." #ours ".#.layers.7.", "blocks." #theirs ".#.bn3."                                \
    }
                               STACK(8, 1),
                               STACK(9, 2),
                               STACK(10, 3),
                               STACK(11, 4),
                               STACK(12, 5),
                               STACK(13, 6),
#undef STACK
                               {NULL, NULL}};

/* "block<s>-<i>" repeats the stage ('!') and counts from 0, theirs from 1; squeeze-excite has the same names inside */
static const rule REGNET[] = {{"stem.0.", "stem.conv."},
                              {"stem.1.", "stem.bn."},
                              {"fc.", "head.fc."},
#define UNIT(ours, theirs)                                                                         \
    {"trunk_output.block#.block#-#." ours ".0.", "s#.!b+." theirs ".conv."}, {                     \
        "trunk_output.block#.block#-#." ours ".1.", "s#.!b+." theirs ".bn."                        \
    }
                              UNIT("proj", "downsample"),
                              UNIT("f.a", "conv1"),
                              UNIT("f.b", "conv2"),
                              UNIT("f.c", "conv3"),
#undef UNIT
                              {"trunk_output.block#.block#-#.f.se.", "s#.!b+.se."},
                              {NULL, NULL}};

/* the first two linear layers are convolutions there: (4096,512,7,7) for (4096,25088) */
static const rule VGG[] = {{"classifier.0.", "pre_logits.fc1."},
                           {"classifier.3.", "pre_logits.fc2."},
                           {"classifier.6.", "head.fc."},
                           {NULL, NULL}};

/* features.<2s> is the downsampling in front of stage s, features.<2s+1> its blocks */
static const rule CONVNEXT[] = {{"features.0.0.", "stem.0."},
                                {"features.0.1.", "stem.1."},
                                {"features.#.#.layer_scale", "stages./.blocks.#.gamma"},
                                {"features.#.#.block.0.", "stages./.blocks.#.conv_dw."},
                                {"features.#.#.block.2.", "stages./.blocks.#.norm."},
                                {"features.#.#.block.3.", "stages./.blocks.#.mlp.fc1."},
                                {"features.#.#.block.5.", "stages./.blocks.#.mlp.fc2."},
                                {"features.#.0.", "stages./.downsample.0."},
                                {"features.#.1.", "stages./.downsample.1."},
                                {"classifier.0.", "head.norm."},
                                {"classifier.2.", "head.fc."},
                                {NULL, NULL}};

/* timm's attn.qkv is a Linear's weight and bias: our in_proj_weight and in_proj_bias, by the rest of the name */
#define LAYER "encoder.layers.encoder_layer_#."
static const rule VIT[] = {{"class_token", "cls_token"},
                           {"conv_proj.", "patch_embed.proj."},
                           {"encoder.pos_embedding", "pos_embed"},
                           {LAYER "ln_1.", "blocks.#.norm1."},
                           {LAYER "ln_2.", "blocks.#.norm2."},
                           {LAYER "self_attention.in_proj_", "blocks.#.attn.qkv."},
                           {LAYER "self_attention.out_proj.", "blocks.#.attn.proj."},
                           {LAYER "mlp.0.", "blocks.#.mlp.fc1."},
                           {LAYER "mlp.3.", "blocks.#.mlp.fc2."},
                           {"encoder.ln.", "norm."},
                           {"heads.head.", "head."},
                           {NULL, NULL}};

/* the blocks' parts have the same names but for the dense layers; what is left at stage level is the downsampling */
static const rule SWIN[] = {{"features.0.0.", "patch_embed.proj."},
                            {"features.0.2.", "patch_embed.norm."},
                            {"features.#.#.mlp.0.", "layers./.blocks.#.mlp.fc1."},
                            {"features.#.#.mlp.3.", "layers./.blocks.#.mlp.fc2."},
                            {"features.#.#.", "layers./.blocks.#."},
                            {"features.#.", "layers./.downsample."},
                            {"head.", "head.fc."},
                            {NULL, NULL}};

/* The rules of an architecture's family; NULL: timm's names are ours, or its network is another one (top of this file). */
static const rule *rules_of(const eg_arch *arch) {
    static const struct {
        const char *start; /* of the model's name */
        const rule *rules;
    } FAMILIES[] = {{"efficientnet_b", EFFICIENTNET},
                    {"efficientnet_lite", EFFICIENTNET},
                    {"mobilenet_v2", MOBILENET_V2},
                    {"mnasnet", MNASNET},
                    {"regnet_", REGNET},
                    {"vgg", VGG},
                    {"convnext_", CONVNEXT},
                    {"vit_", VIT},
                    {"swin_", SWIN}};
    const char *name = arch->info.name;
    for (size_t i = 0; i < sizeof FAMILIES / sizeof *FAMILIES; i++) {
        if (strncmp(name, FAMILIES[i].start, strlen(FAMILIES[i].start)) != 0) continue;
        /* B5 to B7: TensorFlow's epsilon here, torch's there; Lite has TensorFlow's in both */
        const eg_mbconv_table *t = arch->table;
        bool other = FAMILIES[i].rules == EFFICIENTNET && !t->same_tf && t->epsilon > 1e-4f;
        return other ? NULL : FAMILIES[i].rules;
    }
    return NULL;
}

enum { MOST_NUMBERS = 4 }; /* one more than a rule has */

/* Length of the part of `name` that `pattern` covers and its numbers; 0: it does not fit. */
static size_t match(int numbers[MOST_NUMBERS], const char *pattern, const char *name) {
    const char *at = name;
    int n = 0;
    for (; *pattern; pattern++) {
        if (*pattern != '#') {
            if (*at++ != *pattern) return 0;
            continue;
        }
        int digits = 0;
        for (numbers[n] = 0; *at >= '0' && *at <= '9' && digits < 4; at++, digits++)
            numbers[n] = 10 * numbers[n] + *at - '0';
        if (digits == 0 || ++n == MOST_NUMBERS) return 0;
    }
    return (size_t)(at - name);
}

/* The block of MobileNet V2 with number `i`, from 1: its stage and its place there. */
static void mobilenet_block(int *stage, int *place, int i) {
    static const int BLOCKS[] = {1, 2, 3, 4, 3, 3, 1};
    *stage = 0; /* BLOCKS: blocks a stage, table 2 of the paper */
    for (*place = i - 1; *stage < 6 && *place >= BLOCKS[*stage]; ++*stage) *place -= BLOCKS[*stage];
}

/* `pattern` with its numbers, then `rest`; false: longer than `out`. */
static bool write_name(char out[256], const char *pattern, const int *numbers, const char *rest) {
    size_t used = 0;
    for (; *pattern && used < 200; pattern++) {
        int n = 0, stage, place;
        switch (*pattern) {
        case '#':
            n = snprintf(out + used, 256 - used, "%d", *numbers++);
            break;
        case '-':
            n = snprintf(out + used, 256 - used, "%d", *numbers++ - 1);
            break;
        case '+':
            n = snprintf(out + used, 256 - used, "%d", *numbers++ + 1);
            break;
        case '/':
            n = snprintf(out + used, 256 - used, "%d", *numbers++ / 2);
            break;
        case '!':
            numbers++;
            break;
        case '@':
            mobilenet_block(&stage, &place, *numbers++);
            n = snprintf(out + used, 256 - used, "%d.%d", stage, place);
            break;
        default:
            out[used++] = *pattern;
        }
        used += n > 0 ? (size_t)n : 0;
    }
    int n = snprintf(out + used, 256 - used, "%s", rest);
    return n >= 0 && used + (size_t)n < 256;
}

/* The first rule that fits; names without one are the same in timm, or the network is not there. */
bool eg_timm_name(char out[256], const eg_arch *arch, const char *name) {
    for (const rule *r = rules_of(arch); r && r->ours; r++) {
        int numbers[MOST_NUMBERS] = {0};
        size_t covered = match(numbers, r->ours, name);
        if (covered) return write_name(out, r->theirs, numbers, name + covered);
    }
    return false;
}
