/* Opening a data set while the k-th allocation fails, for every k: always EG_ERR_NO_MEMORY, nothing left behind. Include after
 * cmocka.h. */
#ifndef TEST_DATASET_MEMORY_H
#define TEST_DATASET_MEMORY_H

#include "data/data.h"

static inline void dataset_open_without_memory(const char *path) {
    uint64_t before = eg_memory_stats_get().bytes_now;
    for (uint64_t k = 1;; k++) {
        eg_dataset *ds = NULL;
        eg_memory_fail_at(k);
        eg_status status = eg_dataset_open(&ds, path, NULL, NULL);
        eg_memory_fail_at(0);
        if (status == EG_OK) {
            eg_dataset_free(ds);
            assert_true(k > 5);
            break;
        }
        assert_int_equal(status, EG_ERR_NO_MEMORY);
        assert_null(ds);
    }
    assert_int_equal(eg_memory_stats_get().bytes_now, before);
}

#endif
