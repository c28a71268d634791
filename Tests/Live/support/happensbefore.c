/* What ThreadSanitizer can't see of Swift's runtime on Linux: its libraries are not built for it, so an order between two
 * threads that they alone establish is no order to it, and whatever is handed over that way would be called a race.
 * Preloaded into a server that is built with -sanitize=thread, this tells of three such orders:
 *
 * - a continuation is resumed before the await that takes its value (the runtime tells only of one that comes later);
 * - Synchronization's Mutex changes hands in the kernel;
 * - an object's last other reference is given up before its holder finds that it is the only one, and changes it in place.
 *
 * For x86-64. Signatures are those of Swift 6.3's runtime (include/swift/Runtime/Concurrency.h, HeapObject.h) and of
 * stdlib/public/Synchronization/Mutex. Whatever a server doesn't use is never looked up. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

extern void __tsan_acquire(void *) __attribute__((weak));
extern void __tsan_release(void *) __attribute__((weak));
extern unsigned __tsan_atomic32_load(const volatile void *, int) __attribute__((weak));
extern void *swift_task_getCurrent(void) __attribute__((weak));

static void before(void *object) {
    if (object && __tsan_release) __tsan_release(object);
}

static void after(void *object) {
    if (object && __tsan_acquire) __tsan_acquire(object);
}

static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) {
        fprintf(stderr, "happensbefore: this Swift has no %s\n", name);
        abort();
    }
    return found;
}

#define NEXT(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))next(#name)

/* Continuations: the order hangs on the task that waits. Where it goes on is exchanged for a function that says so first;
 * what it was exchanged for is kept in a list for each address's hash. */

#define ASYNC __attribute__((swiftasynccall))
typedef ASYNC void (*Resume)(__attribute__((swift_async_context)) void *);
struct context {
    void *parent;
    Resume resume;
};
struct waiting {
    struct context *context;
    Resume resume;
    struct waiting *next;
};
#define LISTS 256
static struct {
    char is_locked;
    struct waiting *first;
} lists[LISTS];

/* A lock that the sanitizer doesn't know: it must not take this library's own orders for the program's. */
static void lock(unsigned list) {
    while (__atomic_test_and_set(&lists[list].is_locked, __ATOMIC_ACQUIRE)) sched_yield();
}

static void unlock(unsigned list) { __atomic_clear(&lists[list].is_locked, __ATOMIC_RELEASE); }

static unsigned place(struct context *context) { return ((uintptr_t)context >> 5) % LISTS; }

static char checked;

static ASYNC void resumed(__attribute__((swift_async_context)) void *address) {
    struct context *context = address;
    unsigned list = place(context);
    lock(list);
    struct waiting **link = &lists[list].first;
    while ((*link)->context != context) link = &(*link)->next;
    struct waiting *found = *link;
    *link = found->next;
    unlock(list);
    Resume resume = found->resume;
    free(found);
    after(swift_task_getCurrent());
    after(&checked);
    __attribute__((musttail)) return resume(address);
}

ASYNC void swift_continuation_await(struct context *context) {
    NEXT(swift_continuation_await);
    struct waiting *new = malloc(sizeof *new);
    unsigned list = place(context);
    lock(list);
    *new = (struct waiting){context, context->resume, lists[list].first};
    lists[list].first = new;
    unlock(list);
    context->resume = resumed;
    __attribute__((musttail)) return real(context);
}

void swift_continuation_resume(void *task) {
    NEXT(swift_continuation_resume);
    before(task);
    real(task);
}

void swift_continuation_throwingResume(void *task) {
    NEXT(swift_continuation_throwingResume);
    before(task);
    real(task);
}

void swift_continuation_throwingResumeWithError(void *task, void *error) {
    NEXT(swift_continuation_throwingResumeWithError);
    before(task);
    real(task, error);
}

/* A checked continuation is resumed within the runtime's library, where nothing can be put in between; so all of them share
 * one order. What is called here is called with whatever Swift passes, and keeps all of it. */

static void *real_returning, *real_throwing;

__attribute__((used)) static void before_checked(void) { before(&checked); }

__attribute__((constructor)) static void find_checked(void) {
    real_returning = dlsym(RTLD_NEXT, "$sScC6resume9returningyxn_tF");
    real_throwing = dlsym(RTLD_NEXT, "$sScC6resume8throwingyq_n_tF");
}

#define KEEPING(...) \
    __asm__("push %rdi; push %rsi; push %rdx; push %rcx; push %r8; push %r9; push %rax; push %r10; push %r11\n" \
            "call before_checked\n" \
            "pop %r11; pop %r10; pop %rax; pop %r9; pop %r8; pop %rcx; pop %rdx; pop %rsi; pop %rdi\n" __VA_ARGS__)

__attribute__((naked)) void checked_returning(void) __asm__("$sScC6resume9returningyxn_tF");
void checked_returning(void) { KEEPING("jmp *real_returning(%rip)"); }

__attribute__((naked)) void checked_throwing(void) __asm__("$sScC6resume8throwingyq_n_tF");
void checked_throwing(void) { KEEPING("jmp *real_throwing(%rip)"); }

/* Mutex: taken and given up without contention it is inlined, and seen. */

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *self
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

SWIFT void lock_slow(unsigned thread, SELF) __asm__(LOCK);
SWIFT void lock_slow(unsigned thread, SELF) {
    static SWIFT void (*real)(unsigned, SELF);
    if (!real) real = (SWIFT void (*)(unsigned, SELF))next(LOCK);
    real(thread, self);
    /* Not __tsan_acquire: it takes a lock that was never given up before for one that has no order to tell, also while the
     * sanitizer is about to write down the first. */
    if (__tsan_atomic32_load) __tsan_atomic32_load(self, __ATOMIC_ACQUIRE);
}

SWIFT void unlock_slow(SELF) __asm__(UNLOCK);
SWIFT void unlock_slow(SELF) {
    static SWIFT void (*real)(SELF);
    if (!real) real = (SWIFT void (*)(SELF))next(UNLOCK);
    before(self);
    real(self);
}

/* References. */

void swift_release(void *object) {
    NEXT(swift_release);
    before(object);
    real(object);
}

bool swift_isUniquelyReferenced_native(void *object) {
    NEXT(swift_isUniquelyReferenced_native);
    bool is_unique = real(object);
    if (is_unique) after(object);
    return is_unique;
}

bool swift_isUniquelyReferenced_nonNull_native(void *object) {
    NEXT(swift_isUniquelyReferenced_nonNull_native);
    bool is_unique = real(object);
    if (is_unique) after(object);
    return is_unique;
}
