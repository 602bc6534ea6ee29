/* WebP: damage, and what is refused. Without libwebp: the one clear error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/hostile_image.h"

static eg_status decode(char digest[65], const void *data, size_t size, eg_error *err) {
    return hostile_image(eg_codec_webp_decode, eg_codec_webp_probe, digest, data, size, err);
}

/* Does this build read WebP? If not, it must say so. */
static bool has_webp(void) {
    eg_image image = {0};
    eg_error err = {0};
    eg_status status = eg_image_read(&image, IMAGES "lossy.webp", NULL, &err);
    if (status != EG_OK) {
        assert_int_equal(status, EG_ERR_UNSUPPORTED);
        assert_non_null(strstr(err.text, "this build has no WebP"));
    }
    eg_image_free(&image);
    return status == EG_OK;
}

static void damage_is_survived(void **state) {
    (void)state;
    if (!has_webp()) skip();
    hostile_file(decode, IMAGES "lossy.webp", 1);
    hostile_file(decode, IMAGES "lossless.webp", 1);
}

static void animations_are_refused(void **state) {
    (void)state;
    if (!has_webp()) skip();
    /* RIFF, VP8X with the animation flag, 2 x 2 pixels, ANIM */
    static const uint8_t file[] = "RIFF\x24\0\0\0WEBPVP8X\x0A\0\0\0\x02\0\0\0\1\0\0\1\0\0"
                                  "ANIM\x06\0\0\0\0\0\0\0\0\0";
    eg_image image = {0};
    eg_error err = {0};
    assert_int_equal(eg_image_decode(&image, file, sizeof file - 1, NULL, &err),
                     EG_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "animated"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_is_survived),
        cmocka_unit_test(animations_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
