// What Swift's Glibc module leaves out of the system's headers.

#ifndef TIPWIRE_EPOLL_H
#define TIPWIRE_EPOLL_H

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

/// accept4(2) with SOCK_NONBLOCK and SOCK_CLOEXEC. `address` is a place of `size` bytes for a socket address.
int tipwire_accept(int listener, void *address, uint32_t size);

#endif
