/* SPDX-License-Identifier: MIT */
/*
 * Measures the start of a program under several environments: the microseconds from posix_spawn()
 * until the program has ended and been waited for, and its page faults.
 *
 *     start ROUNDS PROGRAM < ENVIRONMENTS
 *
 * Each line of standard input is one environment: NAME=VALUE, separated by tabs. Each round starts
 * the program once in each environment, in random order, and prints one line with two numbers
 * (time, faults) for each, in the order of the input.
 */
#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

enum { ENVIRONMENTS_MAX = 64, VARIABLES_MAX = 16 };

struct environment {
    char *variables[VARIABLES_MAX + 1];
    double spent; /* microseconds, last round */
    long faults;  /* minor page faults, last round */
};

static struct environment environments[ENVIRONMENTS_MAX];
static size_t count;

static void fail(const char *what, int error)
{
    fprintf(stderr, "start: %s: %s\n", what, strerror(error));
    exit(1);
}

/* From here on the environment owns the text of the line. */
static void read_environments(void)
{
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, stdin) > 0) {
        char *position = NULL;
        size_t used = 0;
        if (count == ENVIRONMENTS_MAX)
            fail("environments", E2BIG);
        for (char *word = strtok_r(line, "\t\n", &position); word != NULL;
             word = strtok_r(NULL, "\t\n", &position)) {
            if (used == VARIABLES_MAX)
                fail("variables", E2BIG);
            environments[count].variables[used++] = word;
        }
        count++;
        line = NULL;
        size = 0;
    }
    free(line);
}

static double microseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static void start_once(char *program, struct environment *environment)
{
    char *arguments[] = {program, NULL};
    struct rusage usage;
    double start = microseconds();
    int status;
    pid_t pid;
    int error = posix_spawn(&pid, program, NULL, NULL, arguments, environment->variables);
    if (error != 0)
        fail(program, error);
    while (wait4(pid, &status, 0, &usage) < 0) {
        if (errno != EINTR)
            fail("wait4", errno);
    }
    if (status != 0) {
        fprintf(stderr, "start: %s ended with status 0x%x under %s\n", program, (unsigned)status,
                environment->variables[0]);
        exit(1);
    }
    environment->spent = microseconds() - start;
    environment->faults = usage.ru_minflt;
}

static void shuffle(size_t *order)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)random() % i;
        size_t kept = order[i - 1];
        order[i - 1] = order[other];
        order[other] = kept;
    }
}

int main(int argc, char **argv)
{
    size_t order[ENVIRONMENTS_MAX] = {0};
    long rounds;
    if (argc != 3 || (rounds = strtol(argv[1], NULL, 10)) <= 0) {
        fputs("usage: start ROUNDS PROGRAM < ENVIRONMENTS\n", stderr);
        return 2;
    }
    read_environments();
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    for (long round = 0; round < rounds; round++) {
        shuffle(order);
        for (size_t i = 0; i < count; i++)
            start_once(argv[2], &environments[order[i]]);
        for (size_t i = 0; i < count; i++)
            printf("%.3f %ld ", environments[i].spent, environments[i].faults);
        putchar('\n');
    }
    return 0;
}
