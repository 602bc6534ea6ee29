/* The order in which a balanced epoch visits images: the classes take turns, each class's images in an order drawn by (seed,
 * epoch), again from the start where it has fewer. So every batch has the classes in nearly equal parts, an epoch is as
 * long as the set, and of a large class each epoch sees another part. Read first: loader.c. */
#include "data/pixels.h"
#include "data/streams.h"

bool eg_data_order_balanced(uint32_t *order, uint32_t *round, const eg_dataset *ds,
                            const uint32_t *indices, size_t n, uint64_t seed, uint32_t epoch) {
    size_t n_classes = (size_t)ds->n_classes, n_present = 0;
    uint32_t *shuffled = eg_malloc((n + 1) * sizeof *shuffled);
    uint32_t *grouped = eg_malloc((n + 1) * sizeof *grouped);
    size_t *start = eg_calloc(n_classes + 1, sizeof *start);
    size_t *next = eg_calloc(n_classes + 1, sizeof *next);
    bool ok = shuffled && grouped && start && next;
    if (ok) {
        for (size_t i = 0; i < n; i++) {
            shuffled[i] = (uint32_t)i;
            start[ds->samples[indices[i]].label + 1]++;
        }
        eg_random random = eg_random_make(seed, epoch, 0, EG_DATA_STREAM_SHUFFLE);
        eg_random_shuffle(&random, shuffled, n);
        for (size_t k = 0; k < n_classes; k++) n_present += start[k + 1] > 0;
        for (size_t k = 0; k < n_classes; k++) start[k + 1] += start[k];
        for (size_t i = 0; i < n; i++) {
            int k = ds->samples[indices[shuffled[i]]].label;
            grouped[start[k] + next[k]++] = shuffled[i];
        }
        for (size_t place = 0; place < n;) {
            const size_t turn = place / n_present; /* of every class */
            for (size_t k = 0; k < n_classes && place < n; k++) {
                const size_t size = start[k + 1] - start[k];
                if (size == 0) continue;
                order[place] = grouped[start[k] + turn % size];
                round[place++] = (uint32_t)(turn / size);
            }
        }
    }
    eg_free(shuffled);
    eg_free(grouped);
    eg_free(start);
    eg_free(next);
    return ok;
}
