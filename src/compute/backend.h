/* Private to the compute room: what a backend of dense convolution and matrix product shares with dispatch.c. */
#ifndef EG_COMPUTE_BACKEND_H
#define EG_COMPUTE_BACKEND_H

#include "compute/compute.h"

/* Tell the backend the cap, before its first use; without effect on a backend that has one code path. */
void eg_compute_backend_cap(eg_isa cap);

#endif
