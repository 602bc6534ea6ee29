/* Reads a weights file several times and prints the seconds of each, one a line, then "peak N": the
 * most memory of the process in bytes (ru_maxrss, with the pages of the mapped file that it touched).
 * The measurement beside PyTorch is bench/load_weights.py. With `f32` every tensor is also converted
 * into memory of its own, as a network does that takes the weights over.
 *   usage: bench_load FILE [RUNS [f32]]                                                          */
#include "codec/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Each tensor into a block of its own, which is given back at once. */
static bool take_over(const eg_state_dict *sd) {
    for (size_t i = 0; i < eg_state_dict_count(sd); i++) {
        const eg_tensor *t = eg_state_dict_at(sd, i);
        float *copy = eg_malloc((eg_tensor_count(t) + 1) * sizeof *copy);
        if (copy == NULL || !eg_tensor_to_f32(copy, t)) return false;
        eg_free(copy);
    }
    return true;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: bench_load FILE [RUNS [f32]]\n");
        return 2;
    }
    int runs = argc > 2 ? atoi(argv[2]) : 1;
    bool convert = argc > 3 && strcmp(argv[3], "f32") == 0;
    for (int i = 0; i < runs; i++) {
        eg_error err = {0};
        eg_state_dict *sd = NULL;
        double begin = eg_time_now();
        if (eg_weights_read(&sd, argv[1], &err) != EG_OK) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        bool good = !convert || take_over(sd);
        double end = eg_time_now();
        eg_state_dict_free(sd);
        if (!good) return 1;
        printf("%.6f\n", end - begin);
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("peak %lld\n", (long long)usage.ru_maxrss * 1024);
    return 0;
}
