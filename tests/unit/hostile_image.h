/* hostile.h for image formats: a decoder of the right shape, under the limits that users have, with its
 * seconds counted; and the test that every format gets. Include after cmocka.h. */
#ifndef EG_TEST_HOSTILE_IMAGE_H
#define EG_TEST_HOSTILE_IMAGE_H

#include "codec/image_formats.h"
#include "unit/hostile.h"

#include <time.h>

#define IMAGES TEST_SOURCE_DIR "/tests/data/images/"

typedef eg_status (*image_decoder)(eg_image *, const uint8_t *, size_t, const eg_image_options *,
                                   eg_error *);
typedef eg_status (*image_prober)(eg_image_info *, const uint8_t *, size_t, eg_error *);

#if defined(__SANITIZE_ADDRESS__)
#    define HOSTILE_SLOW 1 /* freed memory is kept back, fresh memory is written */
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define HOSTILE_SLOW 1
#    endif
#endif
#ifndef HOSTILE_SLOW
#    define HOSTILE_SLOW 0
#endif

/* The probe must promise what the decoder keeps, and a second must do. Digest of the pixels; the picture
 * is released. */
static inline eg_status hostile_image(image_decoder decode, image_prober probe, char digest[65],
                                      const void *data, size_t size, eg_error *err) {
    const eg_image_options options = EG_IMAGE_OPTIONS_DEFAULT;
    eg_image image = {0};
    eg_image_info info = {0};
    clock_t begin = clock(); /* of this process: others may keep the machine busy */
    eg_status status = decode(&image, data, size, &options, err);
    if (!HOSTILE_SLOW) assert_true(clock() - begin < CLOCKS_PER_SEC);
    if (status != EG_OK) {
        assert_null(image.pixels);
        return status;
    }
    eg_status probed = probe(&info, data, size, NULL);
    if (probed != EG_ERR_NO_MEMORY) { /* that one may be injected */
        assert_int_equal(probed, EG_OK);
        assert_int_equal(info.width, image.width);
        assert_int_equal(info.height, image.height);
        assert_int_equal(info.channels, image.channels);
        assert_int_equal(info.bits > 8, image.deep);
    }
    eg_sha256_hex(digest, image.pixels, eg_image_bytes(&image));
    eg_image_free(&image);
    return EG_OK;
}

/* Every prefix, every flipped bit, every failing allocation of a file, in 512 MiB. `n_allocations`: at
 * most, through our hook. A changed file may be accepted, with other pixels, where the format has no
 * check sums; but not every one. */
static inline void hostile_file(hostile_decoder decode, const char *path, uint64_t n_allocations) {
    eg_file_view view = hostile_open(path);
    hostile_prefixes(decode, view.data, view.size);
    size_t n_accepted = hostile_mutations(decode, view.data, view.size, false);
    assert_true(n_accepted < view.size * 8);
    assert_in_range(hostile_allocations(decode, view.data, view.size), 1, n_allocations);
    if (!HOSTILE_SLOW) assert_true(eg_process_peak_bytes() < (size_t)512 << 20);
    eg_file_close(&view);
}

#endif
