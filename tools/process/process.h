/* SPDX-License-Identifier: MIT */
/*
 * Facts about a running process, from /proc alone: nothing is stopped, injected or duplicated (a
 * duplicate of a socket would delay its FIN).
 */
#ifndef SOCKTUNE_PROCESS_H
#define SOCKTUNE_PROCESS_H

#include "match.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What could not be read, for want of permission or because the process ended meanwhile. */
enum process_unknown {
    UNKNOWN_EXE = 1,
    UNKNOWN_MAPS = 2,
    UNKNOWN_ENVIRONMENT = 4,
    UNKNOWN_DESCRIPTORS = 8,
    UNKNOWN_NAMESPACES = 16
};

enum secure_mode { SECURE_NO, SECURE_YES, SECURE_UNKNOWN };

/* A TCP, UDP or raw socket of the process. */
struct process_socket {
    int fd;
    const char *protocol; /* "tcp", "tcp6", "udp" ...: the file of /proc/PID/net */
    const char *state;    /* "listen", "established" ... */
    char local[64];       /* "127.0.0.1:80", "[::1]:80" */
    char remote[64];
};

/* Release with process_free(). */
struct process {
    pid_t pid;
    pid_t thread;     /* process_live_thread() */
    char name[64];    /* of its main thread; kernel threads have no other */
    char shown[256];  /* the name, fit to be printed */
    char *exe;        /* path of the executable as the process's mount namespace has it, or NULL */
    bool exe_deleted; /* the file has been removed or replaced since */
    char **argv;      /* ended by NULL, never NULL itself; what the process shows as its own; the
                         words of its title, if it shows one ("nginx: worker process") */
    char **environment; /* as it was at the start; ended by NULL, never NULL itself */
    uid_t real_uid, effective_uid;
    gid_t real_gid, effective_gid;
    char *cgroup; /* path in the cgroup v2 hierarchy, or NULL */
    bool no_new_privs;
    int seccomp;                    /* 0 off, 1 strict, 2 filter */
    enum secure_mode secure;        /* AT_SECURE: it gained privileges when it started */
    bool library_loaded;            /* libsocktune.so is mapped */
    bool uring_loaded;              /* liburing is mapped */
    bool php_loaded;                /* libphp is mapped: PHP is a module of it */
    bool uring_open;                /* it has an io_uring */
    pid_t supervisor;               /* process_supervisor() */
    bool other_mounts;              /* another mount namespace, or another root, than we have */
    bool other_network;             /* another network namespace than ours */
    bool other_users;               /* another user namespace than ours */
    struct process_socket *sockets; /* by descriptor */
    size_t socket_count;
    size_t other_sockets; /* unix, netlink ... */
    unsigned unknown;     /* enum process_unknown */
};

/* Read the facts. Returns 0, or -1 with errno: ESRCH when there is no such process. What may not
 * be read is told in `unknown`. process_free() is called in any case. */
int process_read(pid_t pid, struct process *process);

void process_free(struct process *process);

/*
 * Who the process is, and no more: pid, name, exe, argv, ids, no_new_privs and seccomp; the rest is
 * empty. Cheap. Returns and is released as process_read().
 */
int process_identify(pid_t pid, struct process *process);

/* The path of a process in the cgroup v2 hierarchy, malloc()ed; pid 0: this process. NULL where it
 * cannot be read, or there is no such hierarchy. */
char *process_cgroup(pid_t pid);

/* A thread of the process that still runs: `pid` itself, or another one if its main thread has
 * ended, for then /proc/PID shows no file, no descriptors and no command line. `pid` if there is
 * none. */
pid_t process_live_thread(pid_t pid);

/* What the matchers of rules are compared with; borrowed from `process`. Where the executable may
 * not be seen, it is the process's own name, which mostly is the executable's. */
struct identity process_identity(const struct process *process);

/* The name by which the program is reported: the last component of argv[0], or else of its file.
 * Points into `process`. */
const char *process_program_name(const struct process *process);

/* False for kernel threads, and for processes that have ended and wait for their parent. */
bool process_is_program(const struct process *process);

/* The process ID of the `socktune run --supervise` that supervises the process; 0 if there is none
 * that this user may look into. */
pid_t process_supervisor(pid_t pid);

/* The parent of a process; 0 if there is none, or the process is gone. */
pid_t process_parent(pid_t pid);

/* When the process was created (fork(2)), in seconds since 1970, to some 10 ms; 0 if it is gone. */
double process_started(pid_t pid);

/* The value of a variable of its environment at the start, or NULL. */
const char *process_getenv(const struct process *process, const char *name);

/* True if `path`, as the process's root directory shows it, exists; `$LIB` in it is not replaced.
 */
bool process_sees(const struct process *process, const char *path);

#endif
