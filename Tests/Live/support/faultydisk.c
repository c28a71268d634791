// A disk that fails on demand: preloaded into the server (LD_PRELOAD), it makes the calls on the database's files fail as
// long as the file that FAULTY_DISK names holds a word for how.
//
//   full      writing says ENOSPC
//   readonly  writing says EROFS
//   sync      writing works, syncing says EIO: a commit that fails in its middle

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

// Whether `descriptor` is the database or its write-ahead log.
static int is_database(int descriptor) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    const char *name = strrchr(path, '/');
    return name && (!strcmp(name, "/tipwire.db") || !strcmp(name, "/tipwire.db-wal"));
}

// The errno of a call on `descriptor`, 0 for none.
static int fault(int descriptor, int is_sync) {
    const char *control = getenv("FAULTY_DISK");
    if (!control || !is_database(descriptor)) return 0;
    int file = open(control, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    char word[16] = "";
    ssize_t length = read(file, word, sizeof word - 1);
    close(file);
    if (length <= 0) return 0;
    if (is_sync) return strncmp(word, "sync", 4) ? 0 : EIO;
    if (!strncmp(word, "full", 4)) return ENOSPC;
    if (!strncmp(word, "readonly", 8)) return EROFS;
    return 0;
}

#define FAILING(is_sync, name, type, parameters, arguments) \
    type name parameters {                                  \
        static type(*real) parameters;                      \
        if (!real) real = dlsym(RTLD_NEXT, #name);          \
        int code = fault(descriptor, is_sync);              \
        if (code) {                                         \
            errno = code;                                   \
            return -1;                                      \
        }                                                   \
        return real arguments;                              \
    }

FAILING(0, pwrite64, ssize_t, (int descriptor, const void *bytes, size_t count, off64_t offset),
        (descriptor, bytes, count, offset))
FAILING(0, pwrite, ssize_t, (int descriptor, const void *bytes, size_t count, off_t offset),
        (descriptor, bytes, count, offset))
FAILING(0, write, ssize_t, (int descriptor, const void *bytes, size_t count), (descriptor, bytes, count))
FAILING(1, fsync, int, (int descriptor), (descriptor))
FAILING(1, fdatasync, int, (int descriptor), (descriptor))
