/* What this build and machine run on, for `engraft version`, and the cap on instruction sets. The rooms above may not see
 * compute.h: this is their way to it. Out of memory shows as fields that are missing. Read first: compute.h.     */
#include "net/exec.h"

json_t *eg_net_backend_json(bool kernels) {
    json_t *root = json_object(), *sets = json_array();
    json_object_set_new(root, "compute", json_string(eg_compute_backend()));
    json_object_set_new(root, "isa", json_string(eg_isa_name(eg_isa_now())));
    for (int i = 0; i <= (int)eg_isa_best(); i++)
        json_array_append_new(sets, json_string(eg_isa_name((eg_isa)i)));
    json_object_set_new(root, "isa_available", sets);
    if (!kernels) return root;
    json_t *list = json_array();
#define ROW(name, params)                                                                          \
    json_array_append_new(                                                                         \
        list, json_pack("{s:s, s:s}", "name", #name, "isa", eg_isa_name(eg_isa_now())));
    EG_KERNEL_LIST(ROW)
#undef ROW
    json_object_set_new(root, "kernels", list);
    return root;
}

eg_status eg_net_isa_limit(const char *isa, eg_error *err) {
    return eg_isa_cap(isa, err);
}

bool eg_net_bf16_native(void) {
    return eg_bf16_is_native();
}
