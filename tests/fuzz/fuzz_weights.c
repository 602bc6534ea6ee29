/* Any bytes as a weights file: the dispatch of the door, and the scan for globals behind it. The
 * readers themselves have targets of their own: zip, legacy, tar, safetensors, pickle. */
#include "fuzz/touch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    eg_error err = {0};
    eg_state_dict *sd = NULL;
    if (eg_weights_decode(&sd, data, size, &err) != EG_OK) {
        if (err.text[0] == 0) __builtin_trap(); /* a refusal without a reason */
        return 0;
    }
    touch(sd);
    eg_state_dict_free(sd);
    return 0;
}
