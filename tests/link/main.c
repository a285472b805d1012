/* SPDX-License-Identifier: MIT */
/*
 * A link emulator: two network namespaces, joined by paths that delay, limit, lose and reorder.
 *
 *   link [--seed N] [--capture FILE] [--processor N] ORDER...
 *
 * An order is a line of settings.h; the first one that names a path creates it: a TUN device of
 * that name in each namespace. When all exist, one line of JSON on standard output names the
 * descriptors of the namespaces, to be opened in /proc/PID/fd. From then on orders are read from
 * standard input; each is answered by a line ("ok" or "error: ..."). "report" is answered by the
 * output of link_report(); "restart SEED" restarts the random numbers, at packet 0. At the end of
 * the input a last report is printed, and nothing remains.
 *
 * A late link makes measurements worthless: it runs under SCHED_FIFO if permitted, on one processor
 * if requested, and records its worst lateness.
 */
#include "link/capture.h"
#include "link/forward.h"
#include "link/paths.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define PRIORITY 10 /* of SCHED_FIFO: above all normal processes */

/* Run on one processor, with priority over all others, as far as permitted. */
static void be_punctual(struct link *link, int processor)
{
    const struct sched_param parameters = {.sched_priority = PRIORITY};
    cpu_set_t processors;
    CPU_ZERO(&processors);
    if (processor >= 0) {
        CPU_SET((unsigned)processor, &processors);
        if (sched_setaffinity(0, sizeof processors, &processors) != 0)
            link_die("processor %d: %s", processor, strerror(errno));
    }
    link->fifo = sched_setscheduler(0, SCHED_FIFO, &parameters) == 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                            {"capture", required_argument, NULL, 'c'},
                                            {"processor", required_argument, NULL, 'p'},
                                            {0}};
    static struct link link;
    int option, processor = -1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's')
            link.seed = strtoull(optarg, NULL, 10);
        else if (option == 'p')
            processor = (int)strtol(optarg, NULL, 10);
        else if (option != 'c' || (link.capture = capture_open(optarg)) == NULL)
            link_die("usage: link [--seed N] [--capture FILE] [--processor N] ORDER...");
    }
    setvbuf(stdin, NULL, _IONBF, 0); /* poll(2) must see all unread input */
    link_open(&link, argv + optind);
    be_punctual(&link, processor);
    printf("{\"near\":%d,\"far\":%d,\"fifo\":%s}\n", link.near, link.far,
           link.fifo ? "true" : "false");
    fflush(stdout);
    link_forward(&link);
    link_report(&link);
    if (link.capture != NULL && (ferror(link.capture) || fclose(link.capture) != 0))
        link_die("the capture file could not be written: %s", strerror(errno));
    return 0;
}
