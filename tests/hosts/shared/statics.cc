// SPDX-License-Identifier: MIT
//
// C++: a static object whose constructor connects, before main(); a thread cancelled in accept(),
// whose unwinding runs destructors and catch blocks; an exception thrown over a socket's owner.
#include "../host.h"

#include <pthread.h>
#include <stdexcept>

namespace
{
struct connection {
    sockaddr_in address{};
    int listener, client;
    connection() : listener(listen_on_loopback(&address, 4)), client(connect_to(&address))
    {
        alive++;
    }
    ~connection()
    {
        close(client);
        close(listener);
        alive--;
    }
    connection(const connection &) = delete;
    connection &operator=(const connection &) = delete;
    static int alive;
};
int connection::alive;

connection at_start;

bool caught;

void *block(void *)
{
    connection mine;
    try {
        accept(mine.listener, nullptr, nullptr); // the connection of `mine` itself
        accept(mine.listener, nullptr, nullptr); // blocks, and is cancelled
    } catch (...) {
        caught = true;
        throw; // as cancellation demands
    }
    return nullptr;
}
} // namespace

int main()
{
    say_options("static.connect", at_start.client);
    check(connection::alive == 1);
    pthread_t thread;
    void *result = nullptr;
    check(pthread_create(&thread, nullptr, block, nullptr) == 0);
    usleep(100 * 1000);
    check(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0);
    check(result == PTHREAD_CANCELED && caught && connection::alive == 1);
    try {
        connection second;
        throw std::runtime_error("thrown");
    } catch (const std::exception &) {
        check(connection::alive == 1);
    }
    say_connection("main");
    return 0;
}
