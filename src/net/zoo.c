/* The zoo: the tables of the families (arch_*.c) joined into one list, in the order of `families`.
 * To add a family: a file arch_<family>.c with its table, and a line here.                                     */
#include "net/graph.h"
#include <pthread.h>
#include <string.h>

static const eg_arch *(*const families[])(size_t *n) = {
    eg_arch_resnet, eg_arch_efficientnet, eg_arch_efficientnet_lite, eg_arch_small_cnn};
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

static char names[512];
static pthread_once_t names_once = PTHREAD_ONCE_INIT;

static void join_names(void) {
    const eg_arch_info *info;
    size_t used = 0;
    for (size_t i = 0; (info = eg_arch_at(i)); i++) {
        size_t length = strlen(info->name);
        if (used + length + 3 > sizeof names) return; /* test_zoo.c: every name is in the list */
        if (used) {
            memcpy(names + used, ", ", 2);
            used += 2;
        }
        memcpy(names + used, info->name, length + 1);
        used += length;
    }
}

const char *eg_arch_names(void) {
    pthread_once(&names_once, join_names);
    return names;
}

const eg_arch *eg_arch_entry(const eg_arch_info *info) {
    return (const eg_arch *)(const void *)info; /* `info` is the first field of eg_arch */
}
