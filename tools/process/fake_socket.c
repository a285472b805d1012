/* SPDX-License-Identifier: MIT */
/*
 * The operations of a socket in memory. Which options it takes comes from the option table, as far
 * as that goes: an option without a row is taken by every socket, and so is one of SOL_SOCKET, as
 * the kernel does.
 */
#include "fake_socket.h"
#include "option.h"
#include "sockinfo.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

static struct fake_socket *fake_of(const struct socket_handle *socket)
{
    struct fake_socket *fake = socket->context;
    fake->calls++;
    return fake;
}

static int fail_with(int error)
{
    errno = error;
    return -1;
}

static int answer_value(void *value, socklen_t *length, const void *bytes, socklen_t size)
{
    if (*length > size)
        *length = size;
    memcpy(value, bytes, *length);
    return 0;
}

static int answer_int(void *value, socklen_t *length, int number)
{
    return answer_value(value, length, &number, sizeof number);
}

static bool is_tcp(const struct fake_socket *fake)
{
    return (protocol_bit_of(fake->domain, fake->type, fake->protocol) &
            (PROTOCOL_TCP | PROTOCOL_MPTCP)) != 0;
}

/* As learn_history() reads it: the SYN of a connecting socket counts as acknowledged. */
static int answer_tcp_info(const struct fake_socket *fake, void *value, socklen_t *length)
{
    static const uint8_t states[] = {[FAKE_CLOSED] = TCP_CLOSE,
                                     [FAKE_LISTENS] = TCP_LISTEN,
                                     [FAKE_CONNECTED] = TCP_ESTABLISHED,
                                     [FAKE_ACCEPTED] = TCP_ESTABLISHED};
    enum { BYTES_ACKED = 120, INFO_BYTES = 232 };
    unsigned char info[INFO_BYTES] = {states[fake->state]};
    info[BYTES_ACKED] = fake->state == FAKE_CONNECTED;
    return answer_value(value, length, info, sizeof info);
}

const struct fake_option *fake_socket_option(const struct fake_socket *fake, int level, int optname)
{
    for (unsigned i = 0; i < fake->option_count; i++)
        if (fake->options[i].level == level && fake->options[i].optname == optname)
            return &fake->options[i];
    return NULL;
}

static int get_option(const struct socket_handle *socket, int level, int optname, void *value,
                      socklen_t *length)
{
    const struct fake_socket *fake = fake_of(socket);
    const struct fake_option *option;
    if (level == SOL_SOCKET && optname == SO_DOMAIN)
        return answer_int(value, length, fake->domain);
    if (level == SOL_SOCKET && optname == SO_TYPE)
        return answer_int(value, length, fake->type);
    if (level == SOL_SOCKET && optname == SO_PROTOCOL)
        return answer_int(value, length, fake->protocol);
    if (level == SOL_SOCKET && optname == SO_ACCEPTCONN)
        return answer_int(value, length, fake->state == FAKE_LISTENS);
    if (level == IPPROTO_TCP && optname == TCP_INFO)
        return is_tcp(fake) ? answer_tcp_info(fake, value, length) : fail_with(ENOPROTOOPT);
    option = fake_socket_option(fake, level, optname);
    if (option != NULL)
        return answer_value(value, length, option->value, option->length);
    return answer_int(value, length, FAKE_UNSET);
}

static bool takes_option(const struct fake_socket *fake, int level, int optname)
{
    const struct option *row = option_find_number(level, optname);
    return level == SOL_SOCKET || row == NULL ||
           ((row->families & family_bit_of(fake->domain)) != 0 &&
            (row->protocols & protocol_bit_of(fake->domain, fake->type, fake->protocol)) != 0);
}

static int set_option(const struct socket_handle *socket, int level, int optname, const void *value,
                      socklen_t length)
{
    struct fake_socket *fake = fake_of(socket);
    if (!takes_option(fake, level, optname))
        return fail_with(ENOPROTOOPT);
    if (length > sizeof fake->options[0].value)
        return fail_with(EINVAL);
    uint32_t doubled;
    if (level == SOL_SOCKET && (optname == SO_SNDBUF || optname == SO_RCVBUF) &&
        length == sizeof doubled) {
        memcpy(&doubled, value, sizeof doubled);
        doubled *= 2;
        value = &doubled;
    }
    fake_socket_put(fake, level, optname, value, length);
    return 0;
}

void fake_socket_put(struct fake_socket *fake, int level, int optname, const void *value,
                     socklen_t length)
{
    fake_socket_unset(fake, level, optname);
    if (fake->option_count == FAKE_OPTIONS_MAX)
        return;
    struct fake_option *option = &fake->options[fake->option_count++];
    *option = (struct fake_option){.level = level, .optname = optname, .length = length};
    memcpy(option->value, value, length);
}

void fake_socket_unset(struct fake_socket *fake, int level, int optname)
{
    for (unsigned i = 0; i < fake->option_count; i++)
        if (fake->options[i].level == level && fake->options[i].optname == optname)
            fake->options[i] = fake->options[--fake->option_count];
}

static int answer_address(const struct sockaddr_storage *from, struct sockaddr *address,
                          socklen_t *length)
{
    return answer_value(address, length, from, sizeof *from);
}

static int get_name(const struct socket_handle *socket, struct sockaddr *address, socklen_t *length)
{
    const struct fake_socket *fake = fake_of(socket);
    const struct sockaddr_storage unbound = {.ss_family = (sa_family_t)fake->domain};
    return answer_address(fake->local.ss_family != 0 ? &fake->local : &unbound, address, length);
}

static int get_peer(const struct socket_handle *socket, struct sockaddr *address, socklen_t *length)
{
    const struct fake_socket *fake = fake_of(socket);
    if (fake->remote.ss_family == 0)
        return fail_with(ENOTCONN);
    return answer_address(&fake->remote, address, length);
}

static int bind_address(const struct socket_handle *socket, const struct sockaddr *address,
                        socklen_t length)
{
    struct fake_socket *fake = fake_of(socket);
    struct address bound;
    uint16_t port = 0;
    if (length > sizeof fake->local)
        return fail_with(EINVAL);
    /* As with IP_BIND_ADDRESS_NO_PORT: it can be bound again as long as it has no port. */
    if (fake->local.ss_family != 0)
        address_read((const struct sockaddr *)&fake->local, sizeof fake->local, &bound, &port);
    if (port != 0)
        return fail_with(EINVAL);
    memcpy(&fake->local, address, length);
    return 0;
}

static int disconnect_fake(const struct socket_handle *socket)
{
    struct fake_socket *fake = fake_of(socket);
    fake->remote = (struct sockaddr_storage){0};
    fake->state = FAKE_CLOSED;
    return 0;
}

static int make_fresh(const struct socket_handle *socket, struct socket_handle *fresh)
{
    const struct fake_socket *fake = fake_of(socket);
    if (fake->fresh == NULL)
        return fail_with(EMFILE);
    *fresh = fake_socket_handle(fake->fresh);
    return 0;
}

static void drop_fake(const struct socket_handle *fresh)
{
    (void)fake_of(fresh);
}

/* Nothing is ever sent. */
static int get_queued(const struct socket_handle *socket, int request, int *bytes)
{
    (void)request;
    (void)fake_of(socket);
    *bytes = 0;
    return 0;
}

static const struct socket_ops fake_ops = {
    .get = get_option,
    .set = set_option,
    .name = get_name,
    .peer = get_peer,
    .bind = bind_address,
    .disconnect = disconnect_fake,
    .make_fresh = make_fresh,
    .drop = drop_fake,
    .queued = get_queued,
};

struct socket_handle fake_socket_handle(struct fake_socket *fake)
{
    return (struct socket_handle){.ops = &fake_ops, .fd = -1, .context = fake};
}
