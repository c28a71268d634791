// io_uring, as much of it as sending takes: a ring that is filled with sends, handed to the kernel in one system call, and
// read for what became of them. In C because the two sides share memory and order their accesses to it by atomic loads and
// stores, and because the kernel's structures are C's.
//
// Source: io_uring(7), io_uring_setup(2), io_uring_enter(2). No library: what is used of the interface is five structures.
//
// A ring belongs to the thread that opened it. No send outlives the call that submits it: each is marked as one that must
// not wait, so the kernel has finished with its bytes and with its descriptor when `tipwire_ring_submit` returns.

#ifndef TIPWIRE_RING_H
#define TIPWIRE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tipwire_ring tipwire_ring;

/// Opens a ring for at most `capacity` sends at a time, a power of two.
///
/// Returns 0, or an errno: ENOSYS where the kernel has no io_uring, EPERM where it is forbidden, EINVAL where it is too old
/// (before Linux 6.1).
int tipwire_ring_open(uint32_t capacity, tipwire_ring **ring);

void tipwire_ring_close(tipwire_ring *ring);

/// Adds a send of `length` bytes, which have to stay where they are until it is submitted. False if the ring is full.
bool tipwire_ring_add(tipwire_ring *ring, int descriptor, const void *bytes, size_t length, uint64_t token);

/// Hands all that was added to the kernel, and returns when each has its outcome: 0, or an errno, after which the sends that
/// have no outcome were not made, and never will be.
int tipwire_ring_submit(tipwire_ring *ring);

/// Takes an outcome: the bytes that the socket took, which may be fewer than there were, or a negative errno. False if there
/// is none left.
bool tipwire_ring_take(tipwire_ring *ring, uint64_t *token, int32_t *outcome);

#endif
