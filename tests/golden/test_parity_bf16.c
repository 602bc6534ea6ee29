/* Parity in bf16. The truth is the same as test_parity.c's, torch in float64; how far bf16 may be from it is told by torch's
 * own bf16 (autocast) on the same weights and inputs, measured by scripts/make_parity_bf16.py (parity/bf16.json, the worst
 * of four equivalent runs): what 8 bits cost a network is a property of the network, so ours may err twice as much and no
 * more. Logits and losses so close that a single rounding is the difference (2^-8) are right whatever torch's error is:
 * its autocast keeps some ops in float. How it is compared: parity_check.h. ENGRAFT_ISA=scalar|avx2|avx512 as ever.       */
#include "golden/parity_check.h"

/* half a unit of bf16, relative */
#define ONE_ROUNDING 0x1p-8

static double torch_bf16_error(const void *context, const json_t *entry) {
    const json_t *tensors = json_object_get(context, "tensors");
    char index[16];
    snprintf(index, sizeof index, "%d", (int)number(entry, "index"));
    return number(tensors, index);
}

static void check(const char *model) {
    json_t *golden = parity_load(model), *all = parity_load("bf16");
    const json_t *torch = json_object_get(all, model);
    print_message("%s: torch's own bf16: logits %.2e, gradients together %.2e, losses %.2e\n",
                  model, number(torch, "eval_error"), number(torch, "gradient_error"),
                  number(torch, "loss_error"));
    parity_limits limits = {.bf16 = true,
                            .logits = fmax(ONE_ROUNDING, 2 * number(torch, "eval_error")),
                            .loss = fmax(ONE_ROUNDING, 2 * number(torch, "loss_error")),
                            .steps = fmax(ONE_ROUNDING, 2 * number(torch, "loss_error")),
                            .gradients = {.torch_error = torch_bf16_error,
                                          .context = torch,
                                          .enough = ONE_ROUNDING,
                                          .whole = 2 * number(torch, "gradient_error"),
                                          .zero = 1e-3}};
    check_model(model, golden, &limits);
    json_decref(golden);
    json_decref(all);
}

PARITY_MAIN
