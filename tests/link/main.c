/* SPDX-License-Identifier: MIT */
/*
 * A link emulator: two network namespaces, joined by paths that delay, limit, lose and reorder.
 *
 *   link [--seed N] [--capture FILE] [--processor N] ORDER...
 *
 * An order is a line of settings.h; the first one that names a path makes it: a TUN device of that
 * name in either namespace. Once all are there, one line of JSON on standard output tells
 * descriptors of the namespaces, to be opened in /proc/PID/fd. From then on orders are taken from
 * standard input, and each answered by a line ("ok" or "error: ..."); "report" is answered by what
 * link_report() writes, and "restart SEED" begins chance anew, with packet 0. At the end of the
 * input there is a last report, and nothing is left behind.
 *
 * The link is punctual or worthless: it runs under SCHED_FIFO if it may, on one processor if told,
 * and keeps account of the worst that it was late.
 */
#include "link/capture.h"
#include "link/forward.h"
#include "link/paths.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define PRIORITY 10 /* of SCHED_FIFO: above all ordinary work */

/* Alone on a processor, before all others, so far as that is allowed. */
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
    setvbuf(stdin, NULL, _IONBF, 0); /* poll(2) must see what is not read yet */
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
