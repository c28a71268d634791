#define _GNU_SOURCE
#include "tipwire_epoll.h"

#include <sys/socket.h>

int tipwire_accept(int listener, void *address, uint32_t size) {
    socklen_t length = size;
    return accept4(listener, address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
