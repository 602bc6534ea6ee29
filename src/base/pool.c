/* Threads: one OpenMP team for our loops, the same that oneDNN uses, so that two pools never spin
 * against each other.
 *
 * How many: the processors this process may run on (affinity), cut to the CPU quota of its control
 * group; more threads than the quota only means being stopped for the rest of each period. Nested
 * calls run serially. Read first: base.h, "threads". */
#include "base/pool.h"
#include "base/base.h"
#include <omp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Atomic int chosen_threads; /* 0: not chosen yet */

/* "max 100000" or "150000 100000": quota and period in microseconds. 0: no limit. */
static int quota_of_file(const char *path) {
    FILE *file = fopen(path, "re");
    if (file == NULL) return 0;
    char line[64] = "";
    char *got = fgets(line, sizeof line, file);
    fclose(file);
    if (got == NULL) return 0;
    char *end = NULL;
    long long quota = strtoll(line, &end, 10);
    if (end == line || quota <= 0) return 0;
    long long period = strtoll(end, NULL, 10);
    if (period <= 0) return 0;
    long long whole = quota / period + (quota % period != 0);
    return whole > 1 << 20 ? 0 : (int)whole;
}

/* The group's path from the v2 line "0::/path"; "/" when not found. Truncated paths only lose the
 * inner limits. */
static void read_membership(char *group, size_t room, const char *membership) {
    snprintf(group, room, "/");
    FILE *file = fopen(membership, "re");
    if (file == NULL) return;
    char line[1024];
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "0::/", 4) != 0) continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(group, room, "%s", line + 3);
    }
    fclose(file);
}

int eg_base_cpu_quota(const char *membership, const char *mount) {
    char group[1024], path[2300];
    read_membership(group, sizeof group, membership);
    int least = 0;
    for (;;) { /* a limit may sit on any group above ours */
        snprintf(path, sizeof path, "%.1000s%s/cpu.max", mount,
                 strcmp(group, "/") == 0 ? "" : group);
        int quota = quota_of_file(path);
        if (quota > 0 && (least == 0 || quota < least)) least = quota;
        if (strcmp(group, "/") == 0) return least;
        char *slash = strrchr(group, '/');
        if (slash == group || slash == NULL) {
            strcpy(group, "/");
        } else {
            *slash = 0;
        }
    }
}

/* Affinity first (omp_get_num_procs knows it), then the quota. */
static int allowed_threads(void) {
    int n = omp_get_num_procs();
    int quota = eg_base_cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup");
    if (quota > 0 && quota < n) n = quota;
    return n > 0 ? n : 1;
}

void eg_threads_set(int n) {
    if (n <= 0) n = allowed_threads();
    if (n > 1024) n = 1024;
    atomic_store(&chosen_threads, n);
    omp_set_num_threads(n); /* for oneDNN, which asks OpenMP and not us */
}

int eg_pool_threads(void) {
    int n = atomic_load(&chosen_threads);
    if (n == 0) {
        eg_threads_set(0);
        n = atomic_load(&chosen_threads);
    }
    return n;
}

/* Dynamic schedule: tasks differ in cost (images, layers), and none depends on who runs it. */
void eg_pool_run(void (*fn)(void *context, int i), void *context, int n) {
    int threads = eg_pool_threads();
    if (threads > n) threads = n;
    if (threads <= 1 || omp_in_parallel()) {
        for (int i = 0; i < n; i++) fn(context, i);
        return;
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int i = 0; i < n; i++) fn(context, i);
}

/* OpenMP keeps this number for each thread by itself (an ICV of the present task). */
int eg_pool_single_begin(void) {
    eg_pool_threads(); /* else the first question for it would set the number back */
    int before = omp_get_max_threads();
    omp_set_num_threads(1);
    return before;
}

void eg_pool_single_end(int before) {
    omp_set_num_threads(before);
}
