/* SPDX-License-Identifier: MIT */
/*
 * Network namespaces and the TUN devices in them, held only by descriptors: they vanish with the
 * process, however it ends.
 */
#ifndef SOCKTUNE_LINK_TUN_H
#define SOCKTUNE_LINK_TUN_H

/*
 * Move the caller into a new network namespace. Returns its descriptor, or -1 with errno
 * (unshare(2); CAP_SYS_ADMIN).
 */
int tun_new_namespace(void);

/* Enter a namespace. 0, or -1 with errno (setns(2)). */
int tun_enter_namespace(int fd);

/*
 * Create a TUN device `name` in the caller's network namespace, for raw IP packets (tun.rst of the
 * kernel: IFF_NO_PI). Returns its non-blocking descriptor, or -1 with errno.
 */
int tun_open(const char *name);

#endif
