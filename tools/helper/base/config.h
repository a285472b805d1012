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
    char *directory;           /* of the sockets; set at the end of config_start() at the latest */
    char *registration;        /* the name of the registration socket in it */
    char *file;                /* --config; NULL: none */
    char *metrics;             /* ADDR:PORT, "[ADDR]:PORT"; NULL: no TCP */
    char *group;               /* whose members see all; "" for none */
    char *hosts;               /* names by which TCP may be asked, see host_is_ours() */
    struct peer_classes peers; /* classes of peers */
    bool foreground;
    bool show_peers;           /* the status page over TCP may show peers' addresses */
    unsigned history;          /* closed connections that are kept */
    unsigned interval;         /* seconds between two samples of a connection */
    unsigned user_processes;   /* the most that one user may have registered */
    unsigned user_connections; /* tracked */
    unsigned ring_kib;         /* the largest ring that is taken */
    unsigned memory_mib;       /* for what all users have; see fair_share.h */
    unsigned namespaces;       /* that are watched, of all users */
    unsigned series_keep;      /* seconds that sums without open connections are kept */
    bool series_ports;         /* sums are kept by port */
    bool series_histograms;    /* /metrics has histograms */
};

/* Defaults, then the file (`--config`), then the command line, which wins. Returns -1 to go on, or
 * the exit status: 0 after --help and --version, 2 for a bad command line, 78 for a bad file;
 * errors are written to standard error with file and line. */
int config_start(struct helper_config *config, int argc, char **argv);

/* Read the file once more. On an error `config` is unchanged, the error was written, and -1
 * returned. What cannot be changed while running (directory, metrics) is kept. */
int config_reload(struct helper_config *config, int argc, char **argv);

void config_free(struct helper_config *config);

#endif
