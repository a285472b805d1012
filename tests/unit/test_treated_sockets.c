/* SPDX-License-Identifier: MIT */
/*
 * Accepted sockets get their options once, even if two threads call at the same time.
 */
#include "treated_sockets.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

Test(treated_sockets, each_is_treated_once)
{
    struct treated_sockets *treated = treated_sockets_make();
    cr_assert(treated != NULL);
    cr_expect_not(treated_sockets_has(treated, 7));
    cr_assert(treated_sockets_begin(treated, 7));
    cr_expect_not(treated_sockets_has(treated, 7), "not before it has its options");
    treated_sockets_end(treated, 7);
    cr_expect(treated_sockets_has(treated, 7));
    cr_expect_not(treated_sockets_begin(treated, 7));
    for (int i = 0; i < 2; i++) { /* unknown */
        cr_assert(treated_sockets_begin(treated, 0));
        treated_sockets_end(treated, 0);
    }
}

/* A second call about a socket. */
struct second_call {
    struct treated_sockets *treated;
    atomic_bool over;
    bool begun;
};

static void *call_again(void *context)
{
    struct second_call *call = context;
    call->begun = treated_sockets_begin(call->treated, 7);
    atomic_store(&call->over, true);
    return NULL;
}

Test(treated_sockets, another_thread_waits)
{
    struct second_call call = {.treated = treated_sockets_make()};
    pthread_t thread;
    cr_assert(call.treated != NULL && treated_sockets_begin(call.treated, 7));
    cr_assert_eq(pthread_create(&thread, NULL, call_again, &call), 0);
    usleep(20000); /* time in which it could wrongly continue */
    cr_expect_not(atomic_load(&call.over));
    treated_sockets_end(call.treated, 7);
    pthread_join(thread, NULL);
    cr_expect_not(call.begun);
}
