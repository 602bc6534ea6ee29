/* The zoo: the tables of the families (arch_*.c) joined into one list, in the order of `families`.
 * To add a family: a file arch_<family>.c with its table, and a line here.                                     */
#include "net/graph.h"
#include <stdio.h>
#include <string.h>

static const eg_arch *(*const families[])(size_t *n) = {
    eg_arch_resnet,       eg_arch_efficientnet, eg_arch_efficientnet_v2, eg_arch_efficientnet_lite,
    eg_arch_mobilenet_v2, eg_arch_mobilenet_v3, eg_arch_mnasnet,         eg_arch_regnet,
    eg_arch_vgg,          eg_arch_alexnet,      eg_arch_densenet,        eg_arch_squeezenet,
    eg_arch_shufflenet,   eg_arch_inception,    eg_arch_convnext,        eg_arch_vit,
    eg_arch_swin,         eg_arch_small_cnn};
enum { N_FAMILIES = sizeof families / sizeof *families };

size_t eg_arch_count(void) {
    size_t total = 0;
    for (int f = 0; f < N_FAMILIES; f++) {
        size_t n;
        families[f](&n);
        total += n;
    }
    return total;
}

const eg_arch_info *eg_arch_at(size_t i) {
    for (int f = 0; f < N_FAMILIES; f++) {
        size_t n;
        const eg_arch *entries = families[f](&n);
        if (i < n) return &entries[i].info;
        i -= n;
    }
    return NULL;
}

const eg_arch_info *eg_arch_find(const char *name) {
    const eg_arch_info *info;
    for (size_t i = 0; (info = eg_arch_at(i)); i++)
        if (strcmp(info->name, name) == 0) return info;
    return NULL;
}

/* ---- names nearly right ---- */

enum { MAX_NAME = 32, MAX_SHOWN = 3 };

/* Lower case, without '_', '-', '.' and blanks; at most MAX_NAME bytes. */
static int normalised(char out[MAX_NAME], const char *name) {
    int n = 0;
    for (; *name && n < MAX_NAME; name++) {
        if (strchr("_-. ", *name)) continue;
        out[n++] = *name >= 'A' && *name <= 'Z' ? (char)(*name + ('a' - 'A')) : *name;
    }
    return n;
}

static int least(int a, int b, int c) {
    int m = a < b ? a : b;
    return m < c ? m : c;
}

/* Levenshtein's distance, one row of the table at a time. */
static int distance(const char *a, int n, const char *b, int m) {
    int row[MAX_NAME + 1];
    for (int j = 0; j <= m; j++) row[j] = j;
    for (int i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            int above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[m];
}

static int distance_to(const char *name, const eg_arch_info *info) {
    char a[MAX_NAME], b[MAX_NAME];
    int n = normalised(a, name), m = normalised(b, info->name);
    return distance(a, n, b, m);
}

const char *eg_arch_hint(char out[EG_ARCH_HINT], const char *name) {
    const eg_arch_info *info;
    int shown = 0, used = 0, best = name ? 1 + (int)strlen(name) / 4 : -1;
    for (size_t i = 0; best >= 0 && (info = eg_arch_at(i)); i++) {
        int d = distance_to(name, info);
        if (d < best) best = d;
    }
    for (size_t i = 0; best >= 0 && shown < MAX_SHOWN && (info = eg_arch_at(i)); i++)
        if (distance_to(name, info) == best)
            used += snprintf(out + used, (size_t)(EG_ARCH_HINT - used), "%s%s",
                             shown++ ? " or " : "did you mean ", info->name);
    snprintf(out + used, (size_t)(EG_ARCH_HINT - used), "%sengraft models lists all",
             shown ? "? " : "");
    return out;
}

const eg_arch *eg_arch_entry(const eg_arch_info *info) {
    return (const eg_arch *)(const void *)info; /* `info` is the first field of eg_arch */
}
