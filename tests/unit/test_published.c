/* SPDX-License-Identifier: MIT */
/*
 * New rules for a running program, through memory that both sides can write: a policy arrives
 * complete or not at all, and no contents of the memory can harm the program.
 */
#include "compiled.h"
#include "published.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROOM = 8192 };

static struct published *shared(void)
{
    struct published *published =
        mmap(NULL, PUBLISHED_SIZE(ROOM), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert(published != MAP_FAILED);
    published_init(published, ROOM, 0);
    return published;
}

static uint8_t copy[ROOM] __attribute__((aligned(8)));

static enum published_answer take(const struct published *published, uint32_t *size)
{
    uint64_t generation;
    return published_copy(published, copy, sizeof copy, size, &generation);
}

Test(published, a_policy_arrives_whole)
{
    struct compiled c = compiled_from("rules = ( { set = { IP_TTL = 9; }; } );");
    struct published *published = shared();
    struct policy policy;
    uint32_t size;
    cr_expect_eq(published_generation(published), 0);
    cr_expect_eq(take(published, &size), PUBLISHED_AGAIN, "there is none yet");
    for (unsigned i = 1; i <= 100; i++) {
        cr_assert(published_put(published, ROOM, c.blob, (uint32_t)c.size));
        cr_expect_eq(published_generation(published), UINT64_C(2) * i);
    }
    cr_assert_eq(take(published, &size), PUBLISHED_TAKEN);
    cr_expect_eq(size, c.size);
    cr_expect_null(policy_open(&policy, copy, size));
    cr_expect(!published_put(published, (uint32_t)c.size - 8, c.blob, (uint32_t)c.size));
    compiled_free(&c);
}

Test(published, a_publisher_that_was_killed_at_work_is_followed_by_another)
{
    struct compiled c = compiled_from("rules = ( { set = { IP_TTL = 9; }; } );");
    struct published *published = shared();
    uint32_t size;
    published->generation = 7;
    cr_expect_eq(published_generation(published), 0);
    cr_expect_eq(take(published, &size), PUBLISHED_AGAIN);
    cr_assert(published_put(published, ROOM, c.blob, (uint32_t)c.size));
    cr_expect_eq(published_generation(published), 8);
    cr_expect_eq(take(published, &size), PUBLISHED_TAKEN);
    compiled_free(&c);
}

Test(published, sizes_are_bounded_by_the_copy)
{
    static const uint32_t sizes[] = {ROOM + 8, UINT32_MAX, UINT32_MAX & ~7u, 12};
    struct published *published = shared();
    uint32_t size;
    published->generation = 2;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        published->size = sizes[i];
        cr_expect_eq(take(published, &size), PUBLISHED_TOO_LARGE, "%u", sizes[i]);
    }
}

static _Atomic bool stop;

/* Publish policies as fast as possible; all bytes of a policy are equal. */
static void *publish(void *context)
{
    uint8_t bytes[ROOM];
    for (unsigned i = 0; !stop; i++) {
        memset(bytes, (int)i, sizeof bytes);
        published_put(context, ROOM, bytes, sizeof bytes);
    }
    return NULL;
}

Test(published, a_copy_is_never_torn, .timeout = 20)
{
    struct published *published = shared();
    unsigned taken = 0;
    pthread_t publisher;
    cr_assert_eq(pthread_create(&publisher, NULL, publish, published), 0);
    while (taken < 200) {
        uint32_t size;
        if (take(published, &size) != PUBLISHED_TAKEN)
            continue;
        cr_assert(memcmp(copy, copy + 1, size - 1) == 0, "torn");
        taken++;
    }
    stop = true;
    pthread_join(publisher, NULL);
}

/* Everyone with access to the memory can write anything, even with a correct checksum. */
Test(published, forgeries_are_refused_or_harmless)
{
    struct compiled c = compiled_from("rules = ( { match = { program = \"x\"; remote = "
                                      "\"10.0.0.0/8\"; }; force = { IP_TTL = 9; }; } );");
    struct published *published = shared();
    unsigned refused = 0;
    srandom(1);
    for (unsigned i = 0; i < 2000; i++) {
        struct policy policy;
        uint32_t size;
        cr_assert(published_put(published, ROOM, c.blob, (uint32_t)c.size));
        published->policy[(size_t)random() % c.size] ^= (uint8_t)(1u << random() % 8);
        if (take(published, &size) == PUBLISHED_TAKEN && policy_open(&policy, copy, size) != NULL)
            refused++;
    }
    cr_expect_gt(refused, 1900u);
    compiled_free(&c);
}
