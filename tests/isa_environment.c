/* Linked into every test of tests/ref and tests/golden: caps the kernels at $ENGRAFT_ISA before main, as the program
 * does, so that ctest runs the same test once for each instruction set (cmake/tests.cmake). The library itself
 * never reads the environment. */
#include "compute/compute.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((constructor)) static void cap_from_environment(void) {
    const char *isa = getenv("ENGRAFT_ISA");
    eg_error err = {0};
    if (!isa || !*isa) return;
    if (eg_isa_cap(isa, &err) == EG_OK && strcmp(eg_isa_name(eg_isa_now()), isa) == 0) return;
    if (!err.text[0]) {
        /* the cap is above what this processor has: the test runs with what there is */
        fprintf(stderr, "ENGRAFT_ISA=%s: this processor goes up to %s\n", isa,
                eg_isa_name(eg_isa_now()));
        return;
    }
    fprintf(stderr, "ENGRAFT_ISA=%s: %s\n", isa, err.text);
    exit(1);
}
