/* SPDX-License-Identifier: MIT */
/*
 * The helper's settings, from its command line and its configuration file (libconfig).
 */
#ifndef SOCKTUNE_HELPER_CONFIG_H
#define SOCKTUNE_HELPER_CONFIG_H

#include "peer_classes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct helper_config {
    char *directory;           /* of the sockets; set by the end of config_start() */
    char *registration;        /* the name of the registration socket in it */
    char *file;                /* --config; NULL: none */
    char *metrics;             /* ADDR:PORT, "[ADDR]:PORT"; NULL: no TCP */
    char *group;               /* its members see everything; "" for none */
    char *hosts;               /* names accepted in the Host header over TCP, see host_is_ours() */
    struct peer_classes peers; /* classes of peers */
    bool foreground;
    bool show_peers;           /* the status page over TCP may show peers' addresses */
    unsigned history;          /* number of closed connections kept */
    unsigned interval;         /* seconds between two samples of a connection */
    unsigned user_processes;   /* maximum per user */
    unsigned user_connections; /* maximum of tracked connections per user */
    unsigned ring_kib;         /* maximum size of a ring */
    unsigned memory_mib;       /* for the data of all users; see fair_share.h */
    unsigned namespaces;       /* maximum of watched namespaces, for all users */
    unsigned series_keep;      /* seconds that sums without open connections are kept */
    bool series_ports;         /* sums are kept by port */
    bool series_histograms;    /* /metrics has histograms */
};

/* Read the defaults, then the file (`--config`), then the command line, which has priority. Returns
 * -1 to continue, or the exit status: 0 after --help and --version, 2 for a bad command line, 78
 * for a bad file. Errors are printed on standard error with file and line. */
int config_start(struct helper_config *config, int argc, char **argv);

/* Read the file again. On an error, which is printed, `config` is unchanged and -1 is returned.
 * Settings that cannot change at run time (directory, metrics) are kept. */
int config_reload(struct helper_config *config, int argc, char **argv);

void config_free(struct helper_config *config);

#endif
