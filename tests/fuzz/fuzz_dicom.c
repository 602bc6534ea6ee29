/* Fuzz target: DICOM, header and pixels. Every byte of what was decoded is read, and the probe must
 * say the same of the image. The limit of pixels is low so that the fuzzer's time goes into
 * parsing. */
#include "codec/image_formats.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned sum; /* what no compiler may leave out */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    eg_image image = {0};
    eg_image_info info = {0};
    eg_error err = {0};
    eg_image_options options = EG_IMAGE_OPTIONS_DEFAULT;
    options.max_pixels = (size_t)1 << 22;
    sum += eg_codec_dicom_recognised(data, size);
    eg_status probed = eg_codec_dicom_probe(&info, data, size, "salt", 4, &err);
    if (probed == EG_OK && strlen(info.patient) % 16 != 0) __builtin_trap();
    eg_status status = eg_codec_dicom_decode(&image, data, size, &options, &err);
    if (status != EG_OK) {
        if (err.text[0] == 0) __builtin_trap(); /* a refusal without a reason */
        return 0;
    }
    if (probed != EG_OK || info.width != image.width || info.height != image.height ||
        info.channels != image.channels)
        __builtin_trap();
    for (size_t i = 0; i < eg_image_bytes(&image); i++) sum += image.pixels[i];
    eg_image_free(&image);
    return 0;
}
