/* SPDX-License-Identifier: MIT */
/*
 * Options of socktuned and settings of its file, in one table, since most are both.
 */
#include "config.h"
#include "helper_place.h"
#include "ring.h"

#include <errno.h>
#include <getopt.h>
#include <libconfig.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_USAGE  2
#define EXIT_CONFIG 78

/* Where a numeric setting is stored, and its limits. */
struct number {
    const char *name; /* in the file; with a dot: in a group */
    size_t offset;
    unsigned low;
    unsigned high;
};

static const struct number numbers[] = {
    {"history", offsetof(struct helper_config, history), 0, 1000000},
    {"interval", offsetof(struct helper_config, interval), 1, 86400},
    {"limits.processes", offsetof(struct helper_config, user_processes), 1, 65536},
    {"limits.connections", offsetof(struct helper_config, user_connections), 1, 10000000},
    {"limits.ring_kib", offsetof(struct helper_config, ring_kib),
     (unsigned)(RING_SIZE(RING_SLOTS_MIN) / 1024), 65536},
    {"limits.memory_mib", offsetof(struct helper_config, memory_mib), 1, 1048576},
    {"limits.namespaces", offsetof(struct helper_config, namespaces), 1, 65536},
    {"series.keep", offsetof(struct helper_config, series_keep), 60, 31536000},
};

static const struct boolean {
    const char *name;
    size_t offset;
} booleans[] = {
    {"show_peers", offsetof(struct helper_config, show_peers)},
    {"series.ports", offsetof(struct helper_config, series_ports)},
    {"series.histograms", offsetof(struct helper_config, series_histograms)},
};

static const struct text {
    const char *name;
    size_t offset;
} texts[] = {
    {"directory", offsetof(struct helper_config, directory)},
    {"metrics", offsetof(struct helper_config, metrics)},
    {"group", offsetof(struct helper_config, group)},
    {"hosts", offsetof(struct helper_config, hosts)},
};

/* Settings of other types, and groups of settings. */
static const char *const others[] = {"peers", "limits", "series"};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static unsigned *number_field(struct helper_config *config, const struct number *number)
{
    return (unsigned *)(void *)((char *)config + number->offset);
}

/* Replaces the string at `at` by a copy of `value`. False if there is no memory. */
static bool put_text(char **at, const char *value)
{
    char *copy = strdup(value);
    if (copy == NULL)
        return false;
    free(*at);
    *at = copy;
    return true;
}

static bool put_defaults(struct helper_config *config)
{
    *config = (struct helper_config){.history = 1000,
                                     .interval = 10,
                                     .user_processes = 1024,
                                     .user_connections = 200000,
                                     .ring_kib = (unsigned)(RING_SIZE(RING_SLOTS) / 1024),
                                     .memory_mib = 384,
                                     .namespaces = 1024,
                                     .series_keep = 86400,
                                     .series_ports = true,
                                     .series_histograms = true};
    return put_text(&config->registration, HELPER_REGISTRATION_NAME) &&
           put_text(&config->group, "socktune") && put_text(&config->hosts, "");
}

/* True if this process may create sockets in the directory of the path, or create that
 * directory. */
static bool may_listen_at(const char *path)
{
    char directory[sizeof((struct sockaddr_un *)0)->sun_path];
    snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(path, '/') - path), path);
    return geteuid() == 0 || access(directory, W_OK) == 0;
}

/* Uses the place where programs and commands with our environment look for the helper. Returns -1,
 * or an exit status after printing a message. */
static int take_default_place(struct helper_config *config)
{
    const struct helper_environment environment = {.socket = getenv("SOCKTUNE_HELPER"),
                                                   .runtime = getenv("XDG_RUNTIME_DIR")};
    struct sockaddr_un places[HELPER_PLACES];
    helper_addresses(&environment, HELPER_REGISTRATION, places);
    if (places[0].sun_family != AF_UNIX) {
        fputs("socktuned: SOCKTUNE_HELPER is longer than the path of a socket can be\n", stderr);
        return EXIT_CONFIG;
    }
    bool users = places[1].sun_family == AF_UNIX && !may_listen_at(places[0].sun_path);
    char *path = places[users].sun_path, *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    bool taken = put_text(&config->registration, name);
    if (slash != NULL)
        slash[slash == path] = '\0';
    taken = taken && put_text(&config->directory, slash != NULL ? path : ".");
    if (!taken)
        fputs("socktuned: memory is out\n", stderr);
    return taken ? -1 : EXIT_FAILURE;
}

void config_free(struct helper_config *config)
{
    free(config->directory);
    free(config->registration);
    free(config->file);
    free(config->metrics);
    free(config->group);
    free(config->hosts);
    peer_classes_free(&config->peers);
    *config = (struct helper_config){0};
}

/* The file */

static int report_bad_setting(const config_setting_t *setting, const char *file, const char *what)
{
    fprintf(stderr, "%s:%u: error: %s%s%s\n", file, config_setting_source_line(setting),
            config_setting_name(setting) != NULL ? config_setting_name(setting) : "",
            config_setting_name(setting) != NULL ? ": " : "", what);
    return -1;
}

static int check_names(const config_setting_t *group, const char *prefix, const char *file)
{
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
        char name[128];
        bool known = false;
        snprintf(name, sizeof name, "%s%s", prefix, config_setting_name(setting));
        for (size_t n = 0; n < COUNT(numbers); n++)
            known |= strcmp(numbers[n].name, name) == 0;
        for (size_t n = 0; n < COUNT(texts); n++)
            known |= strcmp(texts[n].name, name) == 0;
        for (size_t n = 0; n < COUNT(booleans); n++)
            known |= strcmp(booleans[n].name, name) == 0;
        for (size_t n = 0; n < COUNT(others); n++)
            known |= strcmp(others[n], name) == 0;
        if (!known)
            return report_bad_setting(
                setting, file,
                "no such setting; there are directory, metrics, group, hosts, history, "
                "interval, peers, show_peers, limits = { processes, connections, ring_kib, "
                "memory_mib, namespaces } and series = { keep, ports, histograms }");
    }
    return 0;
}

static int read_number(struct helper_config *config, const config_t *from,
                       const struct number *number, const char *file)
{
    const config_setting_t *setting = config_lookup(from, number->name);
    long long value;
    char range[96];
    if (setting == NULL)
        return 0;
    value = config_setting_get_int64(setting);
    if (!config_setting_is_number(setting) || config_setting_type(setting) == CONFIG_TYPE_FLOAT ||
        value < number->low || value > number->high) {
        snprintf(range, sizeof range, "must be a whole number from %u to %u", number->low,
                 number->high);
        return report_bad_setting(setting, file, range);
    }
    *number_field(config, number) = (unsigned)value;
    return 0;
}

static int read_text(struct helper_config *config, const config_t *from, const struct text *text,
                     const char *file)
{
    const config_setting_t *setting = config_lookup(from, text->name);
    if (setting == NULL)
        return 0;
    if (config_setting_type(setting) != CONFIG_TYPE_STRING)
        return report_bad_setting(setting, file, "must be a string");
    if (!put_text((char **)(void *)((char *)config + text->offset),
                  config_setting_get_string(setting)))
        return report_bad_setting(setting, file, "memory is out");
    return 0;
}

static int read_boolean(struct helper_config *config, const config_t *from,
                        const struct boolean *boolean, const char *file)
{
    const config_setting_t *setting = config_lookup(from, boolean->name);
    if (setting == NULL)
        return 0;
    if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
        return report_bad_setting(setting, file, "must be true or false");
    *(bool *)((char *)config + boolean->offset) = config_setting_get_bool(setting);
    return 0;
}

/* Checks a group of settings whose names in the tables begin with `prefix`. */
static int check_group(const config_t *from, const char *name, const char *prefix, const char *file)
{
    const config_setting_t *group = config_lookup(from, name);
    if (group == NULL)
        return 0;
    if (!config_setting_is_group(group))
        return report_bad_setting(group, file, "must be a group: { ... }");
    return check_names(group, prefix, file);
}

static int read_prefix(struct peer_classes *peers, const config_setting_t *setting,
                       const config_setting_t *class, const char *file)
{
    const char *word = config_setting_get_string(setting), *wrong;
    char problem[PREFIX_PROBLEM_SIZE];
    if (word == NULL)
        return report_bad_setting(class, file,
                                  "prefixes are strings, as [ \"10.0.0.0/8\", \"fd00::/8\" ]");
    wrong = peer_classes_add_prefix(peers, word, problem);
    return wrong != NULL ? report_bad_setting(class, file, wrong) : 0;
}

/* Reads office = "10.0.0.0/8"; or [ "10.0.0.0/8", "fd00::/8" ]; */
static int read_class(struct peer_classes *peers, const config_setting_t *class, const char *file)
{
    const char *wrong = peer_classes_add(peers, config_setting_name(class));
    if (wrong != NULL)
        return report_bad_setting(class, file, wrong);
    if (!config_setting_is_array(class) && !config_setting_is_list(class))
        return read_prefix(peers, class, class, file);
    for (int i = 0; i < config_setting_length(class); i++)
        if (read_prefix(peers, config_setting_get_elem(class, (unsigned)i), class, file) != 0)
            return -1;
    return 0;
}

static int read_peers(struct peer_classes *peers, const config_t *from, const char *file)
{
    const config_setting_t *setting = config_lookup(from, "peers");
    if (setting == NULL)
        return 0;
    if (!config_setting_is_group(setting))
        return report_bad_setting(setting, file,
                                  "must be a group of classes: { office = \"10.0.0.0/8\"; }");
    for (int i = 0; i < config_setting_length(setting); i++)
        if (read_class(peers, config_setting_get_elem(setting, (unsigned)i), file) != 0)
            return -1;
    return 0;
}

static int read_config_settings(struct helper_config *config, const config_t *from,
                                const char *file)
{
    if (check_names(config_root_setting(from), "", file) != 0 ||
        check_group(from, "limits", "limits.", file) != 0 ||
        check_group(from, "series", "series.", file) != 0)
        return -1;
    for (size_t i = 0; i < COUNT(numbers); i++)
        if (read_number(config, from, &numbers[i], file) != 0)
            return -1;
    for (size_t i = 0; i < COUNT(texts); i++)
        if (read_text(config, from, &texts[i], file) != 0)
            return -1;
    for (size_t i = 0; i < COUNT(booleans); i++)
        if (read_boolean(config, from, &booleans[i], file) != 0)
            return -1;
    return read_peers(&config->peers, from, file);
}

static int read_config_file(struct helper_config *config, const char *file)
{
    config_t from;
    int result = -1;
    config_init(&from);
    if (config_read_file(&from, file) == CONFIG_TRUE)
        result = read_config_settings(config, &from, file);
    else if (config_error_type(&from) == CONFIG_ERR_FILE_IO)
        fprintf(stderr, "%s: error: %s\n", file, strerror(errno));
    else
        fprintf(stderr, "%s:%d: error: %s\n",
                config_error_file(&from) != NULL ? config_error_file(&from) : file,
                config_error_line(&from), config_error_text(&from));
    config_destroy(&from);
    return result;
}

/* The command line */

static const struct option options[] = {{"foreground", no_argument, NULL, 'f'},
                                        {"directory", required_argument, NULL, 'd'},
                                        {"history", required_argument, NULL, 'n'},
                                        {"interval", required_argument, NULL, 'i'},
                                        {"metrics", required_argument, NULL, 'm'},
                                        {"config", required_argument, NULL, 'c'},
                                        {"version", no_argument, NULL, 'V'},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};

static void print_help(FILE *to)
{
    fputs("Usage: socktuned [OPTION...]\n"
          "\n"
          "Reports TCP_INFO of every connection of the programs that socktune tunes.\n"
          "\n"
          "  -f, --foreground         stay in the foreground\n"
          "  -d, --directory=DIR      where helper.sock and query.sock are (/run/socktune)\n"
          "  -n, --history=N          closed connections that are kept (1000)\n"
          "  -i, --interval=SECONDS   between two samples of a connection (10)\n"
          "  -m, --metrics=ADDR:PORT  serve metrics and a status page over TCP too\n"
          "  -c, --config=FILE        read settings from FILE; options win over it\n"
          "  -V, --version            print the version\n"
          "  -h, --help               print this\n"
          "\n"
          "SIGHUP reads FILE again; SIGTERM ends. socktuned(8) tells more.\n",
          to);
}

static int usage_error(void)
{
    fputs("Try `socktuned --help'.\n", stderr);
    return EXIT_USAGE;
}

static int parse_number(struct helper_config *config, const char *name, const char *text)
{
    const struct number *number = numbers;
    unsigned long value;
    char *end = NULL;
    while (strcmp(number->name, name) != 0)
        number++;
    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno || text[0] < '0' || text[0] > '9' || *end || value < number->low ||
        value > number->high) {
        fprintf(stderr, "socktuned: --%s: \"%s\" is no whole number from %u to %u\n", name, text,
                number->low, number->high);
        return usage_error();
    }
    *number_field(config, number) = (unsigned)value;
    return -1;
}

static int take_text(char **at, const char *text)
{
    if (put_text(at, text))
        return -1;
    fputs("socktuned: memory is out\n", stderr);
    return EXIT_FAILURE;
}

/* Takes one option. The first pass (`file_only`) handles only --config, --help and --version. */
static int take_option(struct helper_config *config, int letter, bool file_only)
{
    if (letter == '?')
        return usage_error();
    if (letter == 'c')
        return file_only ? take_text(&config->file, optarg) : -1;
    if (file_only && letter != 'h' && letter != 'V')
        return -1;
    switch (letter) {
    case 'f':
        config->foreground = true;
        return -1;
    case 'd':
        return take_text(&config->directory, optarg);
    case 'n':
        return parse_number(config, "history", optarg);
    case 'i':
        return parse_number(config, "interval", optarg);
    case 'm':
        return take_text(&config->metrics, optarg);
    case 'V':
        puts("socktuned " SOCKTUNE_VERSION);
        return EXIT_SUCCESS;
    default:
        print_help(stdout);
        return EXIT_SUCCESS;
    }
}

static int take_options(struct helper_config *config, int argc, char **argv, bool file_only)
{
    int letter, status = -1;
    optind = 1;
    opterr = file_only;
    while (status < 0 && (letter = getopt_long(argc, argv, "fd:n:i:m:c:Vh", options, NULL)) != -1)
        status = take_option(config, letter, file_only);
    if (status < 0 && optind < argc) {
        fprintf(stderr, "socktuned: unexpected argument \"%s\"\n", argv[optind]);
        status = usage_error();
    }
    return status;
}

static int take_all(struct helper_config *config, int argc, char **argv)
{
    int status = take_options(config, argc, argv, true);
    if (status < 0 && config->file != NULL && read_config_file(config, config->file) != 0)
        status = EXIT_CONFIG;
    if (status < 0)
        status = take_options(config, argc, argv, false);
    return status < 0 && config->directory == NULL ? take_default_place(config) : status;
}

int config_start(struct helper_config *config, int argc, char **argv)
{
    int status;
    if (!put_defaults(config)) {
        config_free(config);
        fputs("socktuned: memory is out\n", stderr);
        return EXIT_FAILURE;
    }
    status = take_all(config, argc, argv);
    if (status >= 0)
        config_free(config);
    return status;
}

static void swap_text(char **one, char **other)
{
    char *kept = *one;
    *one = *other;
    *other = kept;
}

int config_reload(struct helper_config *config, int argc, char **argv)
{
    struct helper_config fresh;
    if (config_start(&fresh, argc, argv) >= 0)
        return -1;
    swap_text(&fresh.directory, &config->directory);
    swap_text(&fresh.registration, &config->registration);
    swap_text(&fresh.metrics, &config->metrics);
    config_free(config);
    *config = fresh;
    return 0;
}
