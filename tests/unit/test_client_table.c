/* SPDX-License-Identifier: MIT */
#include "client_table.h"
#include "clock.h"
#include "fake_sock_diag.h"
#include "ring_reader.h"
#include "tracked.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALICE 1000u
#define BOB   2000u

static struct fake_kernel *kernel;
static struct poller *poller;
static struct client_table *table;
static struct users *users;
static struct helper_config config;

static void set_up(void)
{
    kernel = fake_kernel_new();
    config = (struct helper_config){
        .interval = 10, .user_processes = 3, .user_connections = 5, .ring_kib = 4096};
    poller = poller_new(&kernel->conntrack, &config.interval);
    cr_assert_eq(poller_watch_own(poller, eventfd(0, 0), FAKE_NETNS), 0);
    users = users_new();
    table = client_table_new(
        &(struct client_table_parts){NULL, &kernel->conntrack, poller, &config, NULL, users, NULL});
}

static void tear_down(void)
{
    client_table_free(table);
    users_free(users);
    poller_free(poller);
    fake_kernel_free(kernel);
}

TestSuite(client_table, .init = set_up, .fini = tear_down);

/* The program's side of the connection. */
struct program {
    struct ring *ring;
    const char *wrong; /* why it was refused */
};

static struct program start_program(uid_t uid, pid_t pid, uint64_t id)
{
    static const char rule[] = "out";
    struct registration_names names = {.head = {.pid = (uint32_t)pid,
                                                .ring_size = (uint32_t)RING_SIZE(RING_SLOTS),
                                                .rule_count = 1},
                                       .program = "web",
                                       .rules = {rule}};
    int memory = memfd_create("ring", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    struct program program;
    cr_assert_eq(ftruncate(memory, (off_t)RING_SIZE(RING_SLOTS)), 0);
    cr_assert_eq(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
    program.ring = mmap(NULL, RING_SIZE(RING_SLOTS), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    cr_assert_neq(program.ring, MAP_FAILED);
    ring_init(program.ring, id, RING_GENERATION, now_real());
    program.wrong = client_table_add(
        table, &(struct client_identity){.pid = pid, .uid = uid, .pidfd = -1, .netns = FAKE_NETNS},
        &names, (int[]){memory, -1});
    return program;
}

static void put_connection(const struct program *program, uint64_t cookie)
{
    struct record record = {.cookie = cookie,
                            .kind = RECORD_CONNECT,
                            .time_ns = now_real(),
                            .family = AF_INET,
                            .protocol = IPPROTO_TCP,
                            .local_port = (uint16_t)(1000 + cookie),
                            .remote_port = 443,
                            .applied = 2};
    cr_assert(ring_put(program->ring, &record));
}

static const struct connection *find(uint64_t cookie)
{
    return connections_find(kernel->conntrack.connections, FAKE_NETNS, cookie);
}

static const struct client *client_of(pid_t pid)
{
    const struct client *client;
    uint64_t cursor = 0;
    while ((client = client_table_next(table, &cursor)) != NULL && client->pid != pid)
        continue;
    return client;
}

Test(client_table, records_become_connections_of_their_program_and_rule)
{
    struct program program = start_program(ALICE, 7, 1);
    cr_assert_null(program.wrong);
    put_connection(&program, 1);
    client_table_read(table);
    cr_assert_str_eq(find(1)->program, "web");
    cr_assert_str_eq(find(1)->rule, "out");
    cr_assert_eq(find(1)->uid, ALICE);
    cr_assert_eq(client_of(7)->records, 1);
    cr_assert_eq(kernel->counts.records, 1);
}

Test(client_table, a_user_has_so_many_connections)
{
    struct program program = start_program(ALICE, 7, 1), other = start_program(BOB, 8, 2);
    for (uint64_t cookie = 1; cookie <= 7; cookie++)
        put_connection(&program, cookie);
    put_connection(&other, 100);
    client_table_read(table);
    cr_assert_null(find(6));
    cr_assert_eq(kernel->counts.dropped[DROP_LIMIT], 2);
    cr_assert_eq(client_of(7)->dropped, 2);
    cr_assert_not_null(find(100), "another user's excess is not this one's");
}

Test(client_table, a_users_memory_is_bounded_and_that_of_others_is_not_touched)
{
    struct program program = start_program(ALICE, 7, 1), other = start_program(BOB, 8, 2);
    const size_t programs = kernel->counts.memory.used;
    put_connection(&program, 1);
    client_table_read(table);
    const size_t one = kernel->counts.memory.used - programs;
    cr_assert_geq(one, sizeof(struct connection));
    /* Alice uses less than the free memory until she has three connections. */
    kernel->counts.memory.limit = programs + programs / 2 + 5 * one + one / 2;
    for (uint64_t cookie = 2; cookie <= 5; cookie++)
        put_connection(&program, cookie);
    client_table_read(table);
    cr_assert_not_null(find(3));
    cr_assert_null(find(4));
    cr_assert_eq(kernel->counts.dropped[DROP_MEMORY], 2);
    cr_assert_eq(client_of(7)->dropped, 2);
    cr_assert_not_null(client_table_no_room(table, ALICE));
    put_connection(&other, 100);
    client_table_read(table);
    cr_assert_not_null(find(100));
}

Test(client_table, a_user_has_so_many_processes_and_ended_ones_make_room)
{
    for (pid_t pid = 1; pid <= 3; pid++) {
        cr_assert_null(client_table_no_room(table, ALICE));
        cr_assert_null(start_program(ALICE, pid, (uint64_t)pid).wrong);
    }
    /* Without a pidfd the process cannot be watched, and counts as ended. */
    cr_assert(client_of(1)->ended);
    cr_assert_null(client_table_no_room(table, BOB));
    cr_assert_null(client_table_no_room(table, ALICE));
    cr_assert_null(client_of(1), "the oldest that has ended was let go");
}

Test(client_table, a_ring_that_lies_is_dropped)
{
    struct program program = start_program(ALICE, 7, 1);
    put_connection(&program, 1);
    program.ring->header.head += 1000000;
    client_table_read(table);
    cr_assert_null(find(1));
    cr_assert_eq(program.ring->header.heartbeat, 0, "its writers register anew");
    client_table_each_second(table);
    cr_assert_eq(client_table_count(table), 0);
}

Test(client_table, what_the_helper_ends_is_told_to_the_writers)
{
    struct program program = start_program(ALICE, 7, 1);
    cr_assert_neq(program.ring->header.heartbeat, 0);
    client_table_free(table);
    cr_assert_eq(program.ring->header.heartbeat, 0);
    table = NULL;
}

Test(client_table, a_handoff_names_a_ring_of_its_user)
{
    struct program program = start_program(ALICE, 7, 77);
    struct handoff handoff = {.ring = 77,
                              .record = {.cookie = 1,
                                         .kind = RECORD_CONNECT,
                                         .family = AF_INET,
                                         .protocol = IPPROTO_TCP,
                                         .remote_port = 443}};
    struct handoff_reading reading = {.owner = ALICE, .state = 1};
    cr_assert_null(program.wrong);
    cr_assert_not_null(client_table_take_handoff(table, BOB, &handoff, &reading));
    cr_assert_null(client_table_take_handoff(table, ALICE, &handoff, &reading));
    cr_assert(find(1)->verified);
    cr_assert_eq(client_of(7)->handed, 1);
    /* The handed-over socket itself shows that it belongs to another user. */
    handoff.record.cookie = 2;
    reading.owner = BOB;
    (void)client_table_take_handoff(table, ALICE, &handoff, &reading);
    cr_assert_null(find(2));
    cr_assert_eq(kernel->counts.dropped[DROP_FOREIGN], 1);
}
