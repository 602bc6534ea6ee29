/* The loader on the committed sample: the same bits for any number of threads and any cache, the
 * order, agreement with the single-image functions, mixed images and their labels, deep images,
 * reduced decoding, errors at their batch, restarts and early frees, and no heap use once the cache
 * is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/pixels.h"
#include "temp_tree.h"

#include "pattern_image.h"

#include <math.h>

typedef struct {
    eg_dataset *ds;
    uint32_t *indices;
    size_t n;
} fixture;

static const eg_augment light = {.crop_min = 0.25, .flip = 0.5, .jitter = 0.3};
static eg_augment preset(const char *name) {
    eg_augment a = {0};
    assert_true(eg_augment_preset(&a, name));
    return a;
}

static const eg_preprocess small = {
    EG_FIT_CROP, 72, 64, EG_INTERP_BILINEAR, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};

static int open_sample(void **state) {
    static fixture f;
    eg_status status = eg_dataset_open(&f.ds, TEST_SOURCE_DIR "/samples/chest_xray",
                                       &(eg_dataset_options){.patients = "auto"}, NULL);
    if (status != EG_OK || eg_dataset_indices(&f.indices, &f.n, f.ds, EG_SPLIT_TEST, NULL) != EG_OK)
        return 1;
    *state = &f;
    return 0;
}

static int close_sample(void **state) {
    fixture *f = *state;
    eg_free(f->indices);
    eg_dataset_free(f->ds);
    return 0;
}

static eg_loader *make(const fixture *f, int workers, const eg_augment *augment,
                       size_t cache_bytes) {
    eg_loader_options o = {.dataset = f->ds,
                           .indices = f->indices,
                           .n = f->n,
                           .batch_size = 16,
                           .preprocess = small,
                           .augment = augment,
                           .seed = 5,
                           .workers = workers,
                           .cache_bytes = cache_bytes};
    eg_loader *loader = NULL;
    eg_error err = {0};
    if (eg_loader_new(&loader, &o, &err) != EG_OK) fail_msg("%s", err.text);
    return loader;
}

/* Hash of everything that two epochs deliver. */
static void hash_epochs(char out[65], const fixture *f, int workers, const eg_augment *augment,
                        size_t cache_bytes, bool shuffle) {
    eg_loader *loader = make(f, workers, augment, cache_bytes);
    eg_buffer all = {0};
    char hash[65];
    for (uint32_t epoch = 1; epoch <= 2; epoch++) {
        size_t n = 0;
        eg_batch b;
        assert_int_equal(eg_loader_start(loader, epoch, shuffle, NULL), EG_OK);
        do {
            assert_int_equal(eg_loader_next(&b, loader, NULL), EG_OK);
            if (b.n == 0) break;
            eg_sha256_hex(hash, b.pixels, b.n * 64 * 64 * 3 * sizeof(float));
            eg_buffer_add(&all, hash, 64);
            eg_buffer_add(&all, b.labels, b.n * sizeof *b.labels);
            eg_buffer_add(&all, b.indices, b.n * sizeof *b.indices);
            if (b.lambda) eg_buffer_add(&all, b.lambda, b.n * sizeof *b.lambda);
            if (b.labels2) eg_buffer_add(&all, b.labels2, b.n * sizeof *b.labels2);
            n += b.n;
        } while (b.n > 0);
        assert_int_equal(n, f->n);
        assert_int_equal(eg_loader_next(&b, loader, NULL), EG_OK); // the end stays the end
        assert_int_equal(b.n, 0);
    }
    assert_false(all.failed);
    eg_sha256_hex(out, all.data, all.size);
    eg_buffer_free(&all);
    eg_loader_free(loader);
}

static void threads_change_nothing(void **state) {
    const fixture *f = *state;
    const eg_augment xray = preset("xray"), strong = preset("strong");
    const eg_augment *modes[] = {NULL, &light, &xray, &strong};
    char one[4][65], other[65];
    for (int m = 0; m < 4; m++) {
        hash_epochs(one[m], f, 1, modes[m], 0, true);
        hash_epochs(other, f, 3, modes[m], 0, true);
        assert_string_equal(one[m], other);
        hash_epochs(other, f, 3, modes[m], (size_t)1 << 30, true); // all kept
        assert_string_equal(one[m], other);
        hash_epochs(other, f, 0, modes[m], 400000, true); // some kept
        assert_string_equal(one[m], other);
    }
    for (int m = 0; m < 4; m++)
        for (int k = 0; k < m; k++) assert_string_not_equal(one[m], one[k]);
    hash_epochs(other, f, 2, NULL, 0, false);
    assert_string_not_equal(one[0], other); // shuffled or not
}

/* Batch by batch against eg_image_read + eg_preprocess_u8 / eg_augment_u8 + eg_normalize. */
static void pixels_are_those_of_the_door(void **state) {
    const fixture *f = *state;
    for (int augmented = 0; augmented < 2; augmented++) {
        eg_loader *loader = make(f, 2, augmented ? &light : NULL, 0);
        eg_batch b;
        assert_int_equal(eg_loader_start(loader, 4, false, NULL), EG_OK);
        assert_int_equal(eg_loader_next(&b, loader, NULL), EG_OK);
        assert_int_equal(b.n, 16);
        assert_true(b.wait_seconds >= 0);
        for (size_t i = 0; i < b.n; i++) {
            const eg_sample *s = &f->ds->samples[f->indices[i]];
            char *path = eg_path_join(f->ds->root, s->file);
            eg_image image = {0};
            uint8_t crop[64 * 64 * 3];
            float expected[64 * 64 * 3];
            assert_int_equal(eg_image_read(&image, path, &EG_IMAGE_OPTIONS_DEFAULT, NULL), EG_OK);
            if (augmented)
                assert_int_equal(
                    eg_augment_u8(crop, &image, &small, &light, 5, 4, f->indices[i], NULL), EG_OK);
            else
                assert_int_equal(eg_preprocess_u8(crop, &image, &small, NULL), EG_OK);
            eg_normalize(expected, crop, 64 * 64, &small);
            assert_memory_equal(b.pixels + i * 64 * 64 * 3, expected, sizeof expected);
            assert_int_equal(b.labels[i], s->label);
            assert_int_equal(b.indices[i], f->indices[i]);
            eg_image_free(&image);
            eg_free(path);
        }
        eg_loader_free(loader);
    }
}

/* Each image with the next of its batch, the last with the first, also in the short last batch. */
static void batches_are_mixed(void **state) {
    const fixture *f = *state;
    const eg_augment mixed = {.crop_min = 1, .rotate = 10, .mixup = 1, .cutmix = 1};
    eg_augment plain = mixed;
    plain.mixup = plain.cutmix = 0;
    const size_t floats = 64 * 64 * 3;
    static float x[64 * 64 * 3];
    eg_loader *a = make(f, 3, &mixed, 0), *b = make(f, 2, &plain, 0);
    eg_batch m, p;
    size_t n_mixed = 0, n = 0;
    assert_int_equal(eg_loader_start(a, 4, true, NULL), EG_OK);
    assert_int_equal(eg_loader_start(b, 4, true, NULL), EG_OK);
    for (;;) {
        assert_int_equal(eg_loader_next(&m, a, NULL), EG_OK);
        assert_int_equal(eg_loader_next(&p, b, NULL), EG_OK);
        assert_int_equal(m.n, p.n);
        if (m.n == 0) break;
        assert_non_null(m.labels2);
        assert_null(p.labels2);
        assert_null(p.lambda);
        for (size_t i = 0; i < m.n; i++, n++) {
            const size_t next = (i + 1) % m.n;
            const eg_data_mix mix = eg_data_mix_draw(&mixed, 64, 5, 4, m.indices[i]);
            assert_int_equal(m.indices[i], p.indices[i]);
            assert_int_equal(m.labels[i], p.labels[i]);
            assert_int_equal(m.labels2[i], p.labels[next]);
            assert_true(m.lambda[i] == mix.lambda);
            memcpy(x, p.pixels + i * floats, sizeof x);
            eg_data_mix_apply(x, p.pixels + next * floats, 64, &mix);
            assert_memory_equal(m.pixels + i * floats, x, sizeof x);
            n_mixed += memcmp(x, p.pixels + i * floats, sizeof x) != 0;
        }
    }
    assert_int_equal(n, f->n);
    assert_true(n_mixed > n / 2);
    eg_loader_free(a);
    eg_loader_free(b);
}

/* 16-bit PNGs: what eg_preprocess_float and eg_augment_float give, cached or not. */
static void deep_images_keep_their_depth(void **state) {
    (void)state;
    tree_begin();
    char name[64];
    for (int i = 0; i < 6; i++) {
        eg_image image = pattern_image_deep(90, 80, i % 2 ? 3 : 1, (uint32_t)i);
        eg_buffer png = {0};
        assert_int_equal(eg_png_encode(&png, &image, NULL), EG_OK);
        snprintf(name, sizeof name, "%s/%02d.png", i < 3 ? "A" : "B", i);
        tree_write(name, png.data, png.size);
        eg_buffer_free(&png);
        eg_image_free(&image);
    }
    fixture f = {0};
    const eg_augment xray = preset("xray");
    assert_int_equal(eg_dataset_open(&f.ds, tree_root, NULL, NULL), EG_OK);
    assert_int_equal(eg_dataset_indices(&f.indices, &f.n, f.ds, EG_SPLIT_ALL, NULL), EG_OK);
    for (int augmented = 0; augmented < 2; augmented++) {
        eg_loader *loader = make(&f, 2, augmented ? &xray : NULL, (size_t)1 << 30);
        for (uint32_t epoch = 1; epoch <= 2; epoch++) {
            eg_batch b;
            assert_int_equal(eg_loader_start(loader, epoch, false, NULL), EG_OK);
            assert_int_equal(eg_loader_next(&b, loader, NULL), EG_OK);
            assert_int_equal(b.n, 6);
            for (size_t i = 0; i < b.n; i++) {
                static float expected[64 * 64 * 3];
                eg_image image = {0};
                assert_int_equal(eg_dataset_image(&image, f.ds, b.indices[i], NULL), EG_OK);
                assert_true(image.deep);
                if (augmented)
                    assert_int_equal(eg_augment_float(expected, &image, &small, &xray, 5, epoch,
                                                      b.indices[i], NULL),
                                     EG_OK);
                else
                    assert_int_equal(eg_preprocess_float(expected, &image, &small, NULL), EG_OK);
                assert_memory_equal(b.pixels + i * 64 * 64 * 3, expected, sizeof expected);
                eg_image_free(&image);
            }
        }
        eg_loader_free(loader);
    }
    close_sample((void *[]){&f});
    tree_end();
}

/* min_side of the set: large JPEGs are decoded at the size that this network needs, close to the
 * exact pixels and not equal to them; small ones stay exact. */
static void reduced_decoding(void **state) {
    (void)state;
    tree_begin();
    for (int i = 0; i < 2; i++) {
        eg_image image = pattern_image(i ? 100 : 600, i ? 90 : 500, 1, 1);
        // smooth, as radiographs are at this scale: what is left of noise differs most
        for (int y = 0; y < image.height; y++)
            for (int x = 0; x < image.width; x++)
                image.pixels[y * image.width + x] =
                    (uint8_t)(128 + 90 * sin(x / 25.0) * cos(y / 31.0));
        eg_buffer jpeg = {0};
        assert_int_equal(eg_jpeg_encode(&jpeg, &image, 90, NULL), EG_OK);
        tree_write(i ? "B/small.jpg" : "A/large.jpg", jpeg.data, jpeg.size);
        eg_buffer_free(&jpeg);
        eg_image_free(&image);
    }
    fixture f = {0};
    const eg_dataset_options exact = {.image_options = EG_IMAGE_OPTIONS_DEFAULT};
    eg_dataset_options fast = exact;
    fast.image_options.min_side = 1; // allowed; the loader sets what it needs
    static float pixels[2][2 * 64 * 64 * 3];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(eg_dataset_open(&f.ds, tree_root, i ? &fast : &exact, NULL), EG_OK);
        assert_int_equal(eg_dataset_indices(&f.indices, &f.n, f.ds, EG_SPLIT_ALL, NULL), EG_OK);
        eg_loader *loader = make(&f, 2, NULL, 0);
        eg_batch b;
        assert_int_equal(eg_loader_start(loader, 1, false, NULL), EG_OK);
        assert_int_equal(eg_loader_next(&b, loader, NULL), EG_OK);
        assert_int_equal(b.n, 2);
        memcpy(pixels[i], b.pixels, sizeof pixels[i]);
        eg_loader_free(loader);
        close_sample((void *[]){&f});
    }
    const size_t half = 64 * 64 * 3;
    assert_memory_equal(pixels[0] + half, pixels[1] + half, half * sizeof(float));
    float worst = 0;
    for (size_t i = 0; i < half; i++) worst = fmaxf(worst, fabsf(pixels[0][i] - pixels[1][i]));
    assert_true(worst > 0 && worst * 0.229f * 255 < 3);
    tree_end();
}

static void epochs_differ_and_repeat(void **state) {
    const fixture *f = *state;
    eg_loader *loader = make(f, 2, NULL, 1 << 20);
    uint32_t first[3][16];
    const uint32_t epochs[3] = {1, 2, 1};
    for (int i = 0; i < 3; i++) {
        eg_batch b;
        assert_int_equal(eg_loader_start(loader, epochs[i], true, NULL),
                         EG_OK); // the last two: mid-epoch
        assert_int_equal(eg_loader_next(&b, loader, NULL), EG_OK);
        memcpy(first[i], b.indices, sizeof first[i]);
    }
    assert_memory_equal(first[0], first[2], sizeof first[0]);
    assert_memory_not_equal(first[0], first[1], sizeof first[0]);
    eg_loader_free(loader); // mid-epoch
}

static void free_at_any_time(void **state) {
    const fixture *f = *state;
    eg_batch b;
    eg_loader_free(NULL);
    eg_loader *loader = make(f, 3, &light, 0);
    assert_int_equal(eg_loader_next(&b, loader, NULL), EG_ERR_INTERNAL); // not started
    eg_loader_free(loader);
    for (int i = 0; i < 20; i++) {
        loader = make(f, 3, &light, 1 << 20);
        assert_int_equal(eg_loader_start(loader, 1, true, NULL), EG_OK);
        for (int k = 0; k < i % 3; k++) assert_int_equal(eg_loader_next(&b, loader, NULL), EG_OK);
        if (i % 2) assert_int_equal(eg_loader_start(loader, 2, true, NULL), EG_OK);
        eg_loader_free(loader);
    }
}

static void run_epoch(eg_loader *loader, uint32_t epoch) {
    eg_batch b = {.n = 1};
    assert_int_equal(eg_loader_start(loader, epoch, true, NULL), EG_OK);
    while (b.n > 0) assert_int_equal(eg_loader_next(&b, loader, NULL), EG_OK);
}

/* With everything in the cache nothing is decoded, so the heap hook must stay silent from the
 * second epoch on. */
static void no_heap_after_the_first_epoch(void **state) {
    const fixture *f = *state;
    const eg_augment xray = preset("xray"), strong = preset("strong");
    const eg_augment *modes[] = {NULL, &light, &xray, &strong};
    for (int m = 0; m < 4; m++) {
        eg_loader *loader = make(f, 3, modes[m], (size_t)1 << 30);
        run_epoch(loader, 1);
        assert_int_equal(eg_loader_start(loader, 2, true, NULL),
                         EG_OK); // levels the scratch of the threads
        uint64_t before = eg_memory_stats_get().n_allocations;
        for (uint32_t epoch = 2; epoch < 5; epoch++) run_epoch(loader, epoch);
        assert_int_equal(eg_memory_stats_get().n_allocations, before);
        eg_loader_free(loader);
    }
}

/* One image larger than all others: the thread that meets it in a later epoch must have room for
 * it already. */
static void no_heap_when_images_change_hands(void **state) {
    (void)state;
    tree_begin();
    char name[64];
    for (int i = 0; i < 12; i++) {
        eg_image image = pattern_image(i == 7 ? 900 : 40, i == 7 ? 700 : 30, 3, (uint32_t)i);
        eg_buffer png = {0};
        assert_int_equal(eg_png_encode(&png, &image, NULL), EG_OK);
        snprintf(name, sizeof name, "%s/%02d.png", i < 6 ? "A" : "B", i);
        tree_write(name, png.data, png.size);
        eg_buffer_free(&png);
        eg_image_free(&image);
    }
    fixture f = {0};
    assert_int_equal(eg_dataset_open(&f.ds, tree_root, NULL, NULL), EG_OK);
    assert_int_equal(eg_dataset_indices(&f.indices, &f.n, f.ds, EG_SPLIT_ALL, NULL), EG_OK);
    const eg_augment strong = preset("strong");
    eg_loader *loader = make(&f, 3, &strong, (size_t)1 << 30);
    run_epoch(loader, 1);
    assert_int_equal(eg_loader_start(loader, 2, true, NULL), EG_OK);
    uint64_t before = eg_memory_stats_get().n_allocations;
    for (uint32_t epoch = 2; epoch < 30; epoch++) run_epoch(loader, epoch);
    assert_int_equal(eg_memory_stats_get().n_allocations, before);
    eg_loader_free(loader);
    close_sample((void *[]){&f});
    tree_end();
}

/* A broken image is an error of its own batch, the first in order when there are two; later
 * batches can be had. */
static void errors_surface_at_their_batch(void **state) {
    (void)state;
    tree_begin();
    eg_image image = pattern_image(40, 30, 3, 2);
    eg_buffer png = {0};
    char name[64];
    assert_int_equal(eg_png_encode(&png, &image, NULL), EG_OK);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "%s/%02d.png", i < 20 ? "A" : "B", i);
        tree_write(name, png.data, i == 25 || i == 28 ? png.size - 30 : png.size);
    }
    fixture f = {0};
    assert_int_equal(eg_dataset_open(&f.ds, tree_root, NULL, NULL), EG_OK);
    assert_int_equal(eg_dataset_indices(&f.indices, &f.n, f.ds, EG_SPLIT_ALL, NULL), EG_OK);
    for (int workers = 1; workers <= 3; workers++) {
        eg_loader *loader = make(&f, workers, workers == 2 ? &light : NULL, 0);
        eg_batch b;
        eg_error err = {0};
        assert_int_equal(eg_loader_start(loader, 1, false, NULL), EG_OK);
        assert_int_equal(eg_loader_next(&b, loader, &err), EG_OK);
        assert_int_equal(eg_loader_next(&b, loader, &err), EG_ERR_INPUT);
        assert_non_null(strstr(err.text, "B/25.png"));
        assert_non_null(strstr(err.text, "--skip-bad"));
        assert_int_equal(eg_loader_next(&b, loader, &err), EG_OK);
        assert_int_equal(b.n, 8);
        assert_int_equal(b.indices[0], 32);
        assert_int_equal(eg_loader_next(&b, loader, &err), EG_OK);
        assert_int_equal(b.n, 0);
        eg_loader_free(loader);
    }
    eg_buffer_free(&png);
    eg_image_free(&image);
    close_sample((void *[]){&f});
    tree_end();
}

static void bad_options(void **state) {
    const fixture *f = *state;
    eg_loader *loader = NULL;
    eg_loader_options o = {
        .dataset = f->ds, .indices = f->indices, .batch_size = 4, .preprocess = small};
    assert_int_equal(eg_loader_new(&loader, &o, NULL), EG_ERR_INPUT); // no images
    o.n = f->n;
    o.workers = -1;
    assert_int_equal(eg_loader_new(&loader, &o, NULL), EG_ERR_USAGE);
    o.workers = 2;
    o.batch_size = 0;
    assert_int_equal(eg_loader_new(&loader, &o, NULL), EG_ERR_USAGE);
    o.batch_size = 4;
    size_t before = eg_memory_stats_get().bytes_now;
    const eg_augment strong = preset("strong");
    o.augment = &strong;
    for (uint64_t k = 1; k <= 23;
         k++) { // loader, 3 slots of 5, order, kept, workers, 2 workers of 2
        eg_memory_fail_at(k);
        eg_status status = eg_loader_new(&loader, &o, NULL);
        eg_memory_fail_at(0);
        assert_int_equal(status, EG_ERR_NO_MEMORY);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
    assert_null(loader);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(pixels_are_those_of_the_door),
        cmocka_unit_test(batches_are_mixed),
        cmocka_unit_test(deep_images_keep_their_depth),
        cmocka_unit_test(reduced_decoding),
        cmocka_unit_test(epochs_differ_and_repeat),
        cmocka_unit_test(free_at_any_time),
        cmocka_unit_test(no_heap_after_the_first_epoch),
        cmocka_unit_test(errors_surface_at_their_batch),
        cmocka_unit_test(no_heap_when_images_change_hands),
        cmocka_unit_test(bad_options),
    };
    return cmocka_run_group_tests(tests, open_sample, close_sample);
}
