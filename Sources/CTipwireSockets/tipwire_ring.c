#define _GNU_SOURCE
#include "tipwire_ring.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__linux__) && __has_include(<linux/io_uring.h>)

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

// Of Linux 6.0 and 6.1, and so perhaps not in the headers of the machine that builds.
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

struct tipwire_ring {
    int descriptor;
    uint32_t capacity;
    // Sends that were added and not submitted, and such that were submitted and whose outcome was not taken.
    uint32_t waiting;
    uint32_t submitted;

    // Shared with the kernel: it moves the head of the submissions and the tail of the completions.
    uint32_t *submission_head, *submission_tail;
    uint32_t *completion_head, *completion_tail;
    uint32_t submission_mask, completion_mask;
    struct io_uring_sqe *submissions;
    struct io_uring_cqe *completions;

    void *queues;
    size_t queues_size, submissions_size;
};

// One for submissions, one for completions, is what the interface says; all kernels that have the two flags below lay both
// in one piece of memory.
static bool map_queues(tipwire_ring *ring, const struct io_uring_params *params)
{
    size_t submission_size = params->sq_off.array + params->sq_entries * sizeof(uint32_t);
    size_t completion_size = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
    ring->queues_size = submission_size > completion_size ? submission_size : completion_size;
    ring->queues = mmap(
        NULL, ring->queues_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->descriptor,
        IORING_OFF_SQ_RING);
    if (ring->queues == MAP_FAILED) {
        ring->queues = NULL;
        return false;
    }
    ring->submissions_size = params->sq_entries * sizeof(struct io_uring_sqe);
    void *submissions = mmap(
        NULL, ring->submissions_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->descriptor,
        IORING_OFF_SQES);
    if (submissions == MAP_FAILED) return false;
    ring->submissions = submissions;

    char *queues = ring->queues;
    ring->submission_head = (uint32_t *)(queues + params->sq_off.head);
    ring->submission_tail = (uint32_t *)(queues + params->sq_off.tail);
    ring->submission_mask = *(uint32_t *)(queues + params->sq_off.ring_mask);
    ring->completion_head = (uint32_t *)(queues + params->cq_off.head);
    ring->completion_tail = (uint32_t *)(queues + params->cq_off.tail);
    ring->completion_mask = *(uint32_t *)(queues + params->cq_off.ring_mask);
    ring->completions = (struct io_uring_cqe *)(queues + params->cq_off.cqes);
    // The queue of submissions holds places in an array of them. Here the two never differ.
    uint32_t *places = (uint32_t *)(queues + params->sq_off.array);
    for (uint32_t place = 0; place < params->sq_entries; place++) places[place] = place;
    return true;
}

int tipwire_ring_open(uint32_t capacity, tipwire_ring **result)
{
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    int descriptor = (int)syscall(SYS_io_uring_setup, capacity, &params);
    if (descriptor < 0) return errno;
    tipwire_ring *ring = calloc(1, sizeof *ring);
    if (ring == NULL) {
        close(descriptor);
        return ENOMEM;
    }
    ring->descriptor = descriptor;
    ring->capacity = params.sq_entries;
    if (!(params.features & IORING_FEAT_SINGLE_MMAP) || !map_queues(ring, &params)) {
        int error = params.features & IORING_FEAT_SINGLE_MMAP ? errno : EINVAL;
        tipwire_ring_close(ring);
        return error;
    }
    *result = ring;
    return 0;
}

void tipwire_ring_close(tipwire_ring *ring)
{
    if (ring->submissions != NULL) munmap(ring->submissions, ring->submissions_size);
    if (ring->queues != NULL) munmap(ring->queues, ring->queues_size);
    close(ring->descriptor);
    free(ring);
}

// No send asks that its success go untold (IOSQE_CQE_SKIP_SUCCESS): for the kernel a send that fell short is one, too.
bool tipwire_ring_add(tipwire_ring *ring, int descriptor, const void *bytes, size_t length, uint64_t token)
{
    // Outcomes that nobody took keep their places, so that the completions never overflow.
    if (ring->waiting + ring->submitted == ring->capacity) return false;
    struct io_uring_sqe *submission = &ring->submissions[*ring->submission_tail & ring->submission_mask];
    *submission = (struct io_uring_sqe){
        .opcode = IORING_OP_SEND,
        .fd = descriptor,
        .addr = (uint64_t)(uintptr_t)bytes,
        .len = length > INT32_MAX ? INT32_MAX : (uint32_t)length,
        .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL,
        .user_data = token,
    };
    __atomic_store_n(ring->submission_tail, *ring->submission_tail + 1, __ATOMIC_RELEASE);
    ring->waiting++;
    return true;
}

static uint32_t outcomes(const tipwire_ring *ring)
{
    return __atomic_load_n(ring->completion_tail, __ATOMIC_ACQUIRE) - *ring->completion_head;
}

int tipwire_ring_submit(tipwire_ring *ring)
{
    while (ring->waiting > 0 || outcomes(ring) < ring->submitted) {
        long taken = syscall(
            SYS_io_uring_enter, ring->descriptor, ring->waiting, ring->waiting + ring->submitted,
            IORING_ENTER_GETEVENTS, NULL, 0);
        if (taken >= 0) {
            ring->waiting -= (uint32_t)taken;
            ring->submitted += (uint32_t)taken;
            continue;
        }
        if (errno == EINTR) continue;
        int error = errno;
        // What the kernel has not taken is taken back, so that a later call can't send it after all.
        __atomic_store_n(
            ring->submission_tail, __atomic_load_n(ring->submission_head, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
        ring->waiting = 0;
        ring->submitted = outcomes(ring);
        return error;
    }
    return 0;
}

bool tipwire_ring_take(tipwire_ring *ring, uint64_t *token, int32_t *outcome)
{
    if (outcomes(ring) == 0) return false;
    const struct io_uring_cqe *completion = &ring->completions[*ring->completion_head & ring->completion_mask];
    *token = completion->user_data;
    *outcome = completion->res;
    __atomic_store_n(ring->completion_head, *ring->completion_head + 1, __ATOMIC_RELEASE);
    if (ring->submitted > 0) ring->submitted--;
    return true;
}

#else

struct tipwire_ring {
    int unused;
};

int tipwire_ring_open(uint32_t capacity, tipwire_ring **ring)
{
    (void)capacity;
    (void)ring;
    return ENOSYS;
}

// Never called: there is no ring to call them with.
void tipwire_ring_close(tipwire_ring *ring) { (void)ring; }
bool tipwire_ring_add(tipwire_ring *r, int d, const void *b, size_t l, uint64_t t)
{
    (void)r; (void)d; (void)b; (void)l; (void)t;
    return false;
}
int tipwire_ring_submit(tipwire_ring *ring) { (void)ring; return ENOSYS; }
bool tipwire_ring_take(tipwire_ring *ring, uint64_t *token, int32_t *outcome)
{
    (void)ring; (void)token; (void)outcome;
    return false;
}

#endif
