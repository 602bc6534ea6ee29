/* Parity with PyTorch without PyTorch: golden files hold, from torch in float64, evaluation logits, training loss, norm and
 * random projections of every gradient, and ten losses of SGD (scripts/make_parity_golden.py). What is compared:
 *   logits     max |diff| <= 1e-4 max |logit|
 *   gradients  relative L2 error <= 1e-3, or twice torch's own float32 error (worst of nine equivalent runs) where that is
 *              above 5e-4. A true gradient of (nearly) zero (below 1e-6 of the global norm) may be off by 1e-6 of it.
 *   losses     ten SGD steps within 1e-3 relative.
 * ENGRAFT_ISA (scalar, avx2, avx512) caps the kernels, so that every level can be held to the same figures. How it is
 * compared: parity_check.h. The same in bf16: test_parity_bf16.c.                                                  */
#include "golden/parity_check.h"

static double torch_f32_error(const void *context, const json_t *entry) {
    (void)context;
    return number(entry, "torch_f32_error");
}

static void check(const char *model) {
    static const parity_limits limits = {
        .logits = 1e-4,
        .loss = 1e-4,
        .steps = 1e-3,
        .gradients = {
            .torch_error = torch_f32_error, .enough = 1e-3, .accurate = 5e-4, .zero = 1e-6}};
    json_t *golden = parity_load(model);
    print_message("%s\n", model);
    check_model(model, golden, &limits);
    json_decref(golden);
}

PARITY_MAIN
