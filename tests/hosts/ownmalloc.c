/* SPDX-License-Identifier: MIT */
/*
 * A program with its own malloc(), which counts its calls and ends the program if it is called from
 * within a socket call (where a real one might deadlock).
 */
#include "host.h"

#include <stdint.h>

static _Alignas(16) char arena[4 << 20];
static size_t used;
static unsigned allocations;
static bool in_socket_call;

void *malloc(size_t size)
{
    if (in_socket_call) {
        fail("malloc() in a socket call\n");
    }
    size = (size + 31) & ~(size_t)15;
    if (size > sizeof arena - used) {
        errno = ENOMEM;
        return NULL;
    }
    char *memory = arena + used + 16;
    used += size;
    memcpy(memory - 16, &size, sizeof size);
    allocations++;
    return memory;
}

void free(void *memory)
{
    (void)memory;
    if (in_socket_call) {
        fail("free() in a socket call\n");
    }
}

void *calloc(size_t count, size_t size)
{
    /* The arena is never reused, so its memory is still zero. */
    return size != 0 && count > SIZE_MAX / size ? NULL : malloc(count * size);
}

void *realloc(void *memory, size_t size)
{
    void *grown = malloc(size);
    size_t old;
    if (grown != NULL && memory != NULL) {
        memcpy(&old, (char *)memory - 16, sizeof old);
        memcpy(grown, memory, old - 16 < size ? old - 16 : size);
    }
    return grown;
}

int main(void)
{
    struct sockaddr_in address;
    say("allocations before main: %u\n", allocations);
    in_socket_call = true;
    int listener = listen_on_loopback(&address, 4);
    int client = connect_to(&address);
    int server = accept(listener, NULL, NULL);
    int other = connect_to(&address);
    int other_server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    int on = 1;
    check(setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    in_socket_call = false;
    check(server >= 0 && other >= 0 && other_server >= 0);
    say_options("connect", client);
    say_options("accept", server);
    void *memory = calloc(3, 100);
    check(memory != NULL);
    memory = realloc(memory, 1000);
    check(memory != NULL);
    free(memory);
    return 0;
}
