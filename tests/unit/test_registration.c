/* SPDX-License-Identifier: MIT */
/*
 * Decoding registrations: valid contents, and any other message that may arrive.
 */
#include "handoff.h"
#include "register.h"
#include "registration_parse.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* A message as it is sent. */
struct message {
    struct registration head;
    char names[REGISTRATION_SIZE_MAX];
};

static size_t make(struct message *message, uint32_t rules, const char *names, size_t size)
{
    message->head = (struct registration){.version = REGISTRATION_VERSION,
                                          .size = (uint32_t)(sizeof message->head + size),
                                          .pid = 7,
                                          .ring_size = 4096,
                                          .rule_count = rules};
    memcpy(message->head.magic, REGISTRATION_MAGIC, sizeof message->head.magic);
    memcpy(message->names, names, size);
    return sizeof message->head + size;
}

/* The copy ends with the message, so ASan detects a read beyond it. */
static const char *parse(const struct message *message, size_t size)
{
    static struct registration_names names;
    void *copy = malloc(size); /* NOLINT(clang-analyzer-optin.portability.UnixAPI): 0 is a case */
    memcpy(copy, message, size);
    const char *wrong = registration_parse(copy, size, 2, &names);
    free(copy);
    return wrong;
}

Test(registration, names_are_found)
{
    static struct registration_names names;
    struct message message;
    size_t size = make(&message, 2, "nginx\0clients\0#2", 17);
    cr_assert_null(registration_parse(&message, size, 2, &names));
    cr_assert_str_eq(names.program, "nginx");
    cr_assert_str_eq(names.rules[0], "clients");
    cr_assert_str_eq(names.rules[1], "#2");
    cr_assert_eq(names.head.pid, 7);
}

Test(registration, names_that_are_none)
{
    static const struct {
        uint32_t rules;
        const char *names;
        size_t size;
    } bad[] = {
        {0, "", 0},          {0, "nginx", 5},          {0, "\0", 1},        {1, "nginx\0", 6},
        {1, "nginx\0a", 7},  {1, "nginx\0a\0b\0", 10}, {0, "ngi\nnx\0", 7}, {0, "\033[2J\0", 5},
        {1, "nginx\0\0", 7}, {257, "nginx\0", 6},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct message message;
        size_t size = make(&message, bad[i].rules, bad[i].names, bad[i].size);
        cr_assert_not_null(parse(&message, size), "case %zu", i);
    }
}

Test(registration, heads_that_lie)
{
    struct message message;
    size_t size = make(&message, 0, "nginx", 6);
    cr_assert_null(parse(&message, size));
    cr_assert_not_null(parse(&message, size - 1), "shorter than it says");
    for (size_t shorter = 0; shorter < sizeof message.head; shorter++)
        cr_assert_not_null(parse(&message, shorter), "%zu bytes", shorter);
    message.head.version = REGISTRATION_LIVE + 1;
    cr_assert_str_eq(parse(&message, size), "a registration of another version");
    make(&message, UINT32_MAX, "nginx", 6);
    cr_assert_not_null(parse(&message, size));
    make(&message, 0, "nginx", 6);
    message.head.magic[0]++;
    cr_assert_str_eq(parse(&message, size), "not a registration");
}

Test(registration, the_longest_names)
{
    struct message message;
    char names[300];
    memset(names, 'a', sizeof names);
    names[REGISTRATION_NAME_MAX] = 0;
    size_t size = make(&message, 0, names, REGISTRATION_NAME_MAX + 1);
    cr_assert_null(parse(&message, size));
    names[REGISTRATION_NAME_MAX] = 'a';
    names[REGISTRATION_NAME_MAX + 1] = 0;
    size = make(&message, 0, names, REGISTRATION_NAME_MAX + 2);
    cr_assert_not_null(parse(&message, size));
}

Test(registration, descriptors_that_come_with_it)
{
    static struct registration_names names;
    struct message message;
    size_t size = make(&message, 0, "nginx", 6);
    cr_expect_null(registration_parse(&message, size, 1, &names), "without sock_diag");
    cr_expect_null(registration_parse(&message, size, 2, &names));
    cr_expect_not_null(registration_parse(&message, size, 0, &names));
    cr_expect_not_null(registration_parse(&message, size, 3, &names));
    message.head.version = 1;
    cr_expect_null(registration_parse(&message, size, 2, &names));
    cr_expect_not_null(registration_parse(&message, size, 1, &names), "there it had to come");
}

/* Handed-over sockets */

static struct handoff make_handoff(void)
{
    struct handoff handoff = {
        .version = HANDOFF_VERSION,
        .size = sizeof handoff,
        .ring = 5,
        .record = {
            .cookie = 7, .kind = RECORD_CONNECT, .family = AF_INET, .protocol = IPPROTO_TCP}};
    memcpy(handoff.magic, HANDOFF_MAGIC, sizeof handoff.magic);
    return handoff;
}

Test(registration, handoff_is_found)
{
    struct handoff message = make_handoff(), found;
    cr_assert(handoff_is(&message, sizeof message));
    cr_assert_not(handoff_is(&message, 7));
    cr_assert_null(handoff_parse(&message, sizeof message, &found));
    cr_assert_eq(found.ring, 5);
    cr_assert_eq(found.record.cookie, 7);
}

Test(registration, handoffs_that_lie)
{
    struct handoff message = make_handoff(), found;
    cr_expect_not_null(handoff_parse(&message, sizeof message - 1, &found));
    message.version++;
    cr_expect_str_eq(handoff_parse(&message, sizeof message, &found),
                     "a handoff of another version");
    message = make_handoff();
    message.size--;
    cr_expect_not_null(handoff_parse(&message, sizeof message, &found));
    message = make_handoff();
    message.record.kind = RECORD_LISTEN;
    cr_expect_not_null(handoff_parse(&message, sizeof message, &found), "never a listener");
    message = make_handoff();
    message.record.cookie = 0;
    cr_expect_not_null(handoff_parse(&message, sizeof message, &found));
    message.magic[0]++;
    cr_expect_not_null(handoff_parse(&message, sizeof message, &found));
}

/* A program that takes new rules sends their location. */
static size_t make_live(struct message *message, uint32_t published, const char *names, size_t size)
{
    const struct registration_live live = {
        .device = 3, .inode = 4, .policy = 5, .published = published, .room = PUBLISHED_ROOM};
    char all[256];
    memcpy(all, &live, sizeof live);
    memcpy(all + sizeof live, names, size);
    size = make(message, 1, all, sizeof live + size);
    message->head.version = REGISTRATION_LIVE;
    return size;
}

Test(registration, rules_of_a_live_program_are_found)
{
    static struct registration_names names;
    static const char text[] = "nginx\0nginx-bin\0/etc/socktune.d\0clients\0-";
    struct message message;
    size_t size = make_live(&message, PUBLISHED_AT(4096), text, sizeof text);
    cr_assert_null(registration_parse(&message, size, 2, &names));
    cr_expect_str_eq(names.program, "nginx");
    cr_expect_str_eq(names.executable, "nginx-bin");
    cr_expect_str_eq(names.rules_path, "/etc/socktune.d");
    cr_expect_str_eq(names.rules[0], "clients");
    cr_expect_null(names.trials[0]);
    cr_expect_eq(names.live.device, 3);
    cr_expect_eq(names.live.policy, 5);
    cr_expect_eq(registration_memory(4096, names.live.room), 65536 + 192 + PUBLISHED_ROOM);
}

Test(registration, live_programs_that_lie)
{
#define NAMES(text) text, sizeof(text)
    static const struct {
        uint32_t published;
        const char *names;
        size_t size;
    } bad[] = {
        {4096, NAMES("a\0a\0/r\0all\0-")},
        {PUBLISHED_AT(4096), NAMES("a\0a\0r\0all\0-")},
        {PUBLISHED_AT(4096), NAMES("a\0a\0all\0-")},
        {PUBLISHED_AT(4096), NAMES("a\0\0/r\0all\0-")},
        {PUBLISHED_AT(4096), NAMES("a\0a\0/r\0all")},
        {PUBLISHED_AT(4096), NAMES("")},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct message message;
        size_t size = make_live(&message, bad[i].published, bad[i].names, bad[i].size);
        cr_expect_not_null(parse(&message, size), "case %zu", i);
    }
}

Test(registration, a_plain_one_has_no_room_for_rules)
{
    static struct registration_names names;
    struct message message;
    size_t size = make(&message, 0, "nginx", 6);
    cr_assert_null(registration_parse(&message, size, 2, &names));
    cr_expect_eq(names.live.room, 0);
    cr_expect_null(names.rules_path);
    cr_expect_eq(registration_memory(4096, 0), 4096);
}

/* The time of registration */

Test(registration, a_live_one_without_an_answer_is_soon_made_again)
{
    static struct ring_header header;
    const uint64_t second = 1000000000u, begin = 1000 * second;
    struct register_state state = {.ring = (struct ring *)(void *)&header,
                                   .distance = REGISTER_DISTANCE_NS,
                                   .next_try = begin + second,
                                   .given = begin,
                                   .unanswered = 1};
    header.heartbeat = begin;
    cr_expect_not(register_is_due(&state, begin + 10 * second), "it may be answered yet");
    state.live = true;
    cr_expect_not(register_is_due(&state, begin + 2 * second));
    cr_expect(register_is_due(&state, begin + 4 * second));
    state.next_try = begin;
    header.heartbeat = begin + second;
    cr_expect_not(register_is_due(&state, begin + 4 * second), "it was answered");
}
