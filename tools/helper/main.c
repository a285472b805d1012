/* SPDX-License-Identifier: MIT */
/*
 * socktuned, the helper: starts and stops its parts, and handles signals.
 */
#include "clock.h"
#include "helper.h"
#include "listen.h"
#include "poller.h"
#include "registration_server.h"
#include "schedule.h"
#include "sock_diag.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

/* Larger blocks are returned to the kernel when freed: tables of network namespaces, and tables
 * that grow with connections. */
#define LARGE (128 * 1024)

struct daemon {
    struct helper helper;
    struct conntrack conntrack;
    struct schedule *schedule;
    struct listeners listeners;
    struct registration_server *registration;
    struct loop_source *signals;
    int signal_fd;
    int argc;
    char **argv;
};

/* Signals */

static void set_limits(struct helper *helper)
{
    helper->counts.memory.limit = (size_t)helper->config.memory_mib << 20;
    helper->counts.namespaces.limit = helper->config.namespaces;
}

static void reload_config(struct daemon *daemon)
{
    struct helper *helper = &daemon->helper;
    service_notify("RELOADING=1");
    if (config_reload(&helper->config, daemon->argc, daemon->argv) == 0) {
        if (connections_set_history(helper->connections, helper->config.history) != 0)
            helper_log(LOG_ERR, "no memory for a history of %u", helper->config.history);
        set_limits(helper);
        query_reload(helper->query);
        helper_log(LOG_NOTICE, "settings read again");
    } else {
        helper_log(LOG_ERR, "the settings stay as they were");
    }
    service_notify("READY=1");
}

static void take_signal(void *context, uint32_t events)
{
    struct daemon *daemon = context;
    struct signalfd_siginfo signal;
    (void)events;
    if (read(daemon->signal_fd, &signal, sizeof signal) != (ssize_t)sizeof signal)
        return;
    if (signal.ssi_signo == SIGHUP)
        reload_config(daemon);
    else
        loop_stop(daemon->helper.loop);
}

/* SIGPIPE must not end the helper when a client disconnects. */
static int watch_signals(struct daemon *daemon)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return -1;
    daemon->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (daemon->signal_fd < 0)
        return -1;
    daemon->signals =
        loop_watch(daemon->helper.loop, daemon->signal_fd, EPOLLIN, take_signal, daemon);
    return daemon->signals != NULL ? 0 : -1;
}

/* Background */

/* Every registered process takes a descriptor. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* The parent waits until the child is ready, or has ended. */
static int await_child(int ready, pid_t child)
{
    char byte;
    ssize_t got;
    int status = EXIT_FAILURE;
    pid_t ended;
    while ((got = read(ready, &byte, 1)) < 0 && errno == EINTR)
        continue;
    if (got == 1)
        return EXIT_SUCCESS;
    while ((ended = waitpid(child, &status, 0)) < 0 && errno == EINTR)
        continue;
    return ended == child && WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

/* Continues in a child. The parent exits when the child is ready, so that the sockets exist by
 * then. Returns the descriptor to write to when ready. */
static int go_to_background(void)
{
    int ends[2];
    pid_t child;
    if (pipe2(ends, O_CLOEXEC) != 0 || (child = fork()) < 0) {
        perror("socktuned");
        exit(EXIT_FAILURE);
    }
    if (child > 0) {
        (void)close(ends[1]);
        exit(await_child(ends[0], child));
    }
    (void)close(ends[0]);
    (void)setsid();
    return ends[1];
}

static void leave_terminal(int ready)
{
    int null;
    if (ready < 0)
        return;
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
        helper_log(LOG_WARNING, "cannot leave the terminal: %s", strerror(errno));
    if (write(ready, "", 1) != 1)
        helper_log(LOG_WARNING, "whoever started this is gone");
    (void)close(ready);
    if (null >= 0 && isatty(STDERR_FILENO))
        (void)dup2(null, STDERR_FILENO);
    if (null > STDERR_FILENO)
        (void)close(null);
}

/* Parts */

/* Without sock_diag the helper continues: handed-over connections still have figures. */
static int watch_own_namespace(struct poller *poller)
{
    uint64_t netns;
    int fd = sock_diag_socket();
    if (fd >= 0 && sock_diag_check(fd, &netns) == NULL)
        return poller_watch_own(poller, fd, netns);
    helper_log(LOG_WARNING,
               "sock_diag cannot be had (%s): only what programs hand over is known of their "
               "connections",
               strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return 0;
}

/* Ended trials are stored where systemd says (StateDirectory=), or beside the sockets. The
 * directory exists by now, unless systemd created the sockets elsewhere. */
static struct trials *start_trials(const struct helper_config *config)
{
    const char *state = getenv("STATE_DIRECTORY");
    const char *directory = state != NULL && *state != '\0' ? state : config->directory;
    struct trials *trials = NULL;
    char *path = NULL;
    if (!directory_may_hold_state(directory))
        return trials_new(NULL);
    if (asprintf(&path, "%s/ended-trials", directory) >= 0) {
        trials = trials_new(path);
        free(path);
    }
    return trials;
}

/* From the lowest layer to the highest: each knows those before it. */
static int start_tracking(struct daemon *daemon)
{
    struct helper *helper = &daemon->helper;
    helper->started = now_monotonic();
    set_limits(helper);
    helper->loop = loop_new();
    helper->connections = connections_new(helper->config.history);
    helper->trials = start_trials(&helper->config);
    helper->publisher = publisher_new(helper->loop);
    daemon->conntrack =
        (struct conntrack){helper->connections, &helper->counts, &sock_diag_kernel, now_monotonic};
    helper->poller = poller_new(&daemon->conntrack, &helper->config.interval);
    helper->users = users_new();
    const struct client_table_parts parts = {helper->loop,     &daemon->conntrack, helper->poller,
                                             &helper->config,  helper->trials,     helper->users,
                                             helper->publisher};
    helper->clients = client_table_new(&parts);
    helper->reports = report_sources_new(&parts);
    if (helper->loop == NULL || helper->connections == NULL || helper->poller == NULL ||
        helper->users == NULL || helper->clients == NULL || helper->reports == NULL ||
        helper->trials == NULL || helper->publisher == NULL || watch_signals(daemon) != 0) {
        helper_log(LOG_ERR, "cannot start: %s", strerror(errno));
        return -1;
    }
    connections_set_trials(helper->connections, helper->trials);
    if (watch_own_namespace(helper->poller) != 0)
        return -1;
    report_sources_find_pinned(helper->reports);
    daemon->schedule = schedule_start(helper);
    return daemon->schedule != NULL ? 0 : -1;
}

static int start_parts(struct daemon *daemon)
{
    struct helper *helper = &daemon->helper;
    if (listeners_open(&daemon->listeners, &helper->config) != 0 || start_tracking(daemon) != 0)
        return -1;
    helper->query = query_start(helper, daemon->listeners.query, daemon->listeners.metrics);
    daemon->registration = registration_start(helper->loop, helper->clients, helper->reports,
                                              &helper->counts, daemon->listeners.registration);
    return helper->query != NULL && daemon->registration != NULL ? 0 : -1;
}

static void stop_parts(struct daemon *daemon)
{
    struct helper *helper = &daemon->helper;
    listeners_unlink(&daemon->listeners, &helper->config);
    query_stop(helper->query);
    schedule_stop(daemon->schedule);
    registration_stop(daemon->registration);
    report_sources_free(helper->reports);
    client_table_free(helper->clients);
    users_free(helper->users);
    publisher_free(helper->publisher);
    poller_free(helper->poller);
    connections_free(helper->connections);
    trials_free(helper->trials);
    if (daemon->signals != NULL)
        loop_remove(helper->loop, daemon->signals);
    if (daemon->signal_fd >= 0)
        (void)close(daemon->signal_fd);
    loop_free(helper->loop);
    config_free(&helper->config);
}

static int run_daemon(struct daemon *daemon, int ready)
{
    int status = EXIT_FAILURE;
    if (start_parts(daemon) == 0) {
        leave_terminal(ready);
        service_notify("READY=1");
        if (loop_run(daemon->helper.loop) == 0)
            status = EXIT_SUCCESS;
        else
            helper_log(LOG_ERR, "epoll: %s", strerror(errno));
        service_notify("STOPPING=1");
    }
    stop_parts(daemon);
    return status;
}

int main(int argc, char **argv)
{
    static struct daemon daemon = {.signal_fd = -1};
    int status = config_start(&daemon.helper.config, argc, argv);
    if (status >= 0)
        return status;
    daemon.argc = argc;
    daemon.argv = argv;
    raise_descriptor_limit();
    /* otherwise glibc raises the threshold when the first large table is freed, and never returns
     * later ones */
    (void)mallopt(M_MMAP_THRESHOLD, LARGE);
    return run_daemon(&daemon, daemon.helper.config.foreground ? -1 : go_to_background());
}
