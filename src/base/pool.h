/* Private to base: the processor quota of a control group, with its two places as arguments so that
 * a test can point it at a made-up tree. */
#ifndef EG_BASE_POOL_H
#define EG_BASE_POOL_H

/* Smallest cpu.max on the way from the process's group to the root of `mount` (cgroup v2), in whole
 * processors, rounded up; 0 when there is no limit or no cgroup v2. `membership` is
 * /proc/self/cgroup. */
int eg_base_cpu_quota(const char *membership, const char *mount);

#endif
