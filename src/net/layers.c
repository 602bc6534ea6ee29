/* Blocks of layers by the names of their tensors, and what training does to each: learning rates that fall towards the
 * input, parts that are not trained. Sets flags of tensors only; optimizer.c and op_bn.c act on them. A block is the name
 * up to its first module with a digit and the numbers that follow ("layer1.0", "features.4", "encoder.layers.
 * encoder_layer_3"); modules without one ("conv1", "bn1") belong together. Read first: net.h.                  */
#include "net/graph.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static bool has_digit(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (text[i] >= '0' && text[i] <= '9') return true;
    return false;
}

static bool is_number(const char *text, size_t n) {
    return n > 0 && strspn(text, "0123456789") >= n;
}

/* Length of the block's name in front of `name`. The last two words are the layer and its tensor: a layer is no block of
 * its own, unless it is but a number in a row of them (VGG's "features.28.weight"). */
static size_t block_length(const char *name) {
    const char *starts[16], *ends[16];
    int n = 0;
    for (const char *at = name; n < 16; n++) {
        starts[n] = at;
        ends[n] = at + strcspn(at, ".");
        if (!*ends[n]) break;
        at = ends[n] + 1;
    }
    int modules = n < 16 ? n : 15; /* words in front of the tensor's own */
    for (int i = 0; i + 1 < modules; i++) {
        if (!has_digit(starts[i], (size_t)(ends[i] - starts[i]))) continue;
        while (i + 2 < modules && is_number(starts[i + 1], (size_t)(ends[i + 1] - starts[i + 1])))
            i++;
        return (size_t)(ends[i] - name);
    }
    bool row = modules > 1 &&
               is_number(starts[modules - 1], (size_t)(ends[modules - 1] - starts[modules - 1]));
    return row ? (size_t)(ends[modules - 1] - name) : 0;
}

int eg_network_blocks(int *block, eg_network *net) {
    size_t n, length = 0;
    const eg_net_tensor *t = eg_network_tensors(net, &n);
    const char *last = NULL;
    int now = -1;
    for (size_t i = 0; i < n; i++) {
        if (t[i].is_head) continue;
        size_t this_length = block_length(t[i].name);
        if (!last || this_length != length || strncmp(last, t[i].name, length) != 0) now++;
        last = t[i].name;
        length = this_length;
        block[i] = now;
    }
    for (size_t i = 0; i < n; i++)
        if (t[i].is_head) block[i] = now + 1;
    return now + 2;
}

static bool in_module(const char *name, const char *prefix) {
    size_t n = strlen(prefix);
    return n > 0 && strncmp(name, prefix, n) == 0 && (name[n] == '.' || name[n] == '\0');
}

/* "conv1, bn1, layer1.0, layer1.1, ..." as far as it fits: blocks, and layers that are in none. */
static void list_blocks(char out[400], eg_network *net) {
    size_t n, used = 0, last_length = 0;
    const eg_net_tensor *t = eg_network_tensors(net, &n);
    const char *last = "";
    out[0] = '\0';
    for (size_t i = 0; i < n && used + 40 < 400; i++) {
        size_t length = block_length(t[i].name);
        const char *end = strrchr(t[i].name, '.');
        if (length == 0) length = end ? (size_t)(end - t[i].name) : strlen(t[i].name);
        if (length == last_length && strncmp(t[i].name, last, length) == 0) continue;
        last = t[i].name;
        last_length = length;
        used += (size_t)snprintf(out + used, 400 - used, "%s%.*s", used ? ", " : "",
                                 length < 36 ? (int)length : 36, t[i].name);
    }
}

eg_status eg_network_unfreeze_from(eg_network *net, const char *prefix, eg_error *err) {
    size_t n, first = 0;
    eg_net_tensor *t = eg_network_tensors(net, &n);
    while (first < n && !in_module(t[first].name, prefix)) first++;
    if (first == n) {
        char blocks[400] = "";
        list_blocks(blocks, net);
        return eg_fail(err, EG_ERR_USAGE,
                       "--unfreeze-from %s: %s has no layer of that name; expected one of %s",
                       prefix, eg_network_info(net)->name, blocks);
    }
    for (size_t i = 0; i < first; i++) {
        if (t[i].is_head) continue;
        if (t[i].role == EG_TENSOR_PARAMETER) t[i].trainable = false;
        t[i].fixed = true;
    }
    return EG_OK;
}

eg_status eg_network_layer_rates(eg_network *net, double decay, int first, eg_error *err) {
    size_t n;
    eg_net_tensor *t = eg_network_tensors(net, &n);
    int *block = eg_malloc((n + 1) * sizeof *block);
    if (!block) return eg_fail(err, EG_ERR_NO_MEMORY, "out of memory");
    int n_blocks = eg_network_blocks(block, net);
    for (size_t i = 0; i < n; i++) {
        bool locked = block[i] < first;
        t[i].rate = locked ? 0 : pow(decay, n_blocks - 1 - block[i]);
        t[i].fixed = locked;
    }
    eg_free(block);
    return EG_OK;
}
