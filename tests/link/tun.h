/* SPDX-License-Identifier: MIT */
/*
 * Network namespaces and the TUN devices in them, all held by descriptors alone: they are gone
 * with the process, however it ends.
 */
#ifndef SOCKTUNE_LINK_TUN_H
#define SOCKTUNE_LINK_TUN_H

/*
 * A new network namespace, in which the caller is from then on. Returns a descriptor of it, or -1
 * and errno (unshare(2); CAP_SYS_ADMIN).
 */
int tun_new_namespace(void);

/* Go into a namespace. 0, or -1 and errno (setns(2)). */
int tun_enter_namespace(int fd);

/*
 * A TUN device `name` in the caller's network namespace, for bare IP packets (tun.rst of the
 * kernel: IFF_NO_PI). Returns its descriptor, which does not block, or -1 and errno.
 */
int tun_open(const char *name);

#endif
