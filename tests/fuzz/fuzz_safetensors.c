/* Any bytes as a safetensors file, past the dispatch of the door. */
#include "codec/torch_tree.h"
#include "fuzz/touch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    touch_read(eg_codec_safetensors_read, data, size);
    return 0;
}
