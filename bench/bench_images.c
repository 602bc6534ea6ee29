/* Images per second through the loader, decoded and preprocessed, as training without augmentation or with it gets them:
 * seconds of each epoch after a first one, one a line. The measurement beside torchvision is bench/loading.py.
 *   usage: bench_images DIR [EPOCHS [WORKERS [exact|fast [none|light|xray|strong]]]]
 * DIR: class folders. Resize 256 bicubic, crop 224, ImageNet normalisation, batches of 32, nothing cached. */
#include "data/data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static eg_status run_epoch(double *seconds, eg_loader *loader, uint32_t epoch, eg_error *err) {
    const double begin = eg_time_now();
    EG_TRY(eg_loader_start(loader, epoch, true, err));
    for (;;) {
        eg_batch batch;
        EG_TRY(eg_loader_next(&batch, loader, err));
        if (batch.n == 0) break;
    }
    *seconds = eg_time_now() - begin;
    return EG_OK;
}

static eg_status measure(eg_loader *loader, int epochs, eg_error *err) {
    double seconds;
    EG_TRY(run_epoch(&seconds, loader, 0, err)); // page cache and scratch
    for (int i = 1; i <= epochs; i++) {
        EG_TRY(run_epoch(&seconds, loader, (uint32_t)i, err));
        printf("%.6f\n", seconds);
    }
    return EG_OK;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: bench_images DIR [EPOCHS [WORKERS [exact|fast [PRESET]]]]\n");
        return 2;
    }
    eg_error err = {0};
    eg_dataset *ds = NULL;
    eg_loader *loader = NULL;
    uint32_t *indices = NULL;
    eg_augment augment = {.crop_min = 1};
    const char *preset = argc > 5 ? argv[5] : "none";
    eg_dataset_options options = {.image_options = EG_IMAGE_OPTIONS_DEFAULT};
    eg_loader_options o = {.batch_size = 32, .workers = argc > 3 ? atoi(argv[3]) : 2, .seed = 1};
    o.preprocess = (eg_preprocess){EG_FIT_CROP,
                                   256,
                                   224,
                                   EG_INTERP_BICUBIC,
                                   {0.485f, 0.456f, 0.406f},
                                   {0.229f, 0.224f, 0.225f}};
    if (argc > 4 && strcmp(argv[4], "fast") == 0)
        options.image_options.min_side = eg_preprocess_fast_side(&o.preprocess);
    if (!eg_augment_preset(&augment, preset)) {
        fprintf(stderr, "%s: no such preset\n", preset);
        return 2;
    }
    if (strcmp(preset, "none") != 0) o.augment = &augment;
    eg_status status = eg_dataset_open(&ds, argv[1], &options, &err);
    if (status == EG_OK) status = eg_dataset_indices(&indices, &o.n, ds, EG_SPLIT_ALL, &err);
    o.dataset = ds;
    o.indices = indices;
    if (status == EG_OK) status = eg_loader_new(&loader, &o, &err);
    if (status == EG_OK) status = measure(loader, argc > 2 ? atoi(argv[2]) : 3, &err);
    if (status != EG_OK) fprintf(stderr, "%s\n", err.text);
    eg_loader_free(loader);
    eg_free(indices);
    eg_dataset_free(ds);
    return status == EG_OK ? 0 : 1;
}
