/* One fault at the n-th change of a file below a folder, for all code in the process: Python, Polars and DuckDB.

   FAULT_FOLDER  the folder, absolute; calls on other files aren't counted
   FAULT_NAME    if it is set, only files count that have this text in their path below the folder
   FAULT_CALL    the number of the call with the fault, from 1 over the whole process; 0 for no fault
   FAULT_KIND    ENOSPC, EIO          only this call fails
                 full                 a write stores half of its bytes, all later calls fail with ENOSPC
                 kill                 SIGKILL instead of the call
                 torn                 a write stores half of its bytes, then SIGKILL
                 SIGINT, SIGTERM      this signal arrives, and the call is made; twice if "again" follows the name
   FAULT_LOG     a file outside the folder that gets a line for each counted call: "number call name"

   Loaded with LD_PRELOAD. The log is written with direct system calls, so it is never counted. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum verdict { PASS, FAIL, HALF_THEN_FAIL, HALF_THEN_DIE };

static const char *folder, *name, *kind;
static long strike;
static int log_descriptor = -1;
static atomic_long calls;

__attribute__((constructor)) static void configure(void)
{
    const char *call = getenv("FAULT_CALL"), *log = getenv("FAULT_LOG");
    folder = getenv("FAULT_FOLDER");
    name = getenv("FAULT_NAME") ? getenv("FAULT_NAME") : "";
    kind = getenv("FAULT_KIND") ? getenv("FAULT_KIND") : "";
    strike = call ? atol(call) : 0;
    if (log)
        log_descriptor = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* Count a call on `path` and return what to do with it; errno is set if it must fail. */
static enum verdict judge(const char *call, const char *path)
{
    size_t length = folder ? strlen(folder) : 0;
    if (!length || strncmp(path, folder, length) || (path[length] != '/' && path[length] != '\0'))
        return PASS;
    if (!strstr(path + length, name))
        return PASS;
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (log_descriptor >= 0) {
        char line[PATH_MAX + 64];
        int size = snprintf(line, sizeof line, "%ld %s %s\n", number, call, path + length);
        syscall(SYS_write, log_descriptor, line, (size_t)size);
    }
    if (!strike || number < strike)
        return PASS;
    int writes = strstr(call, "write") || !strcmp(call, "sendfile");
    if (!strcmp(kind, "full")) {
        if (!writes && strcmp(call, "rename") == 0)
            return PASS; /* a rename needs no space */
        errno = ENOSPC;
        return number == strike && writes ? HALF_THEN_FAIL : FAIL;
    }
    if (number != strike)
        return PASS;
    if (!strcmp(kind, "kill"))
        die();
    if (!strcmp(kind, "torn")) {
        if (!writes)
            die();
        return HALF_THEN_DIE;
    }
    if (!strncmp(kind, "SIG", 3)) {
        int number = strncmp(kind, "SIGINT", 6) ? SIGTERM : SIGINT;
        kill(getpid(), number);
        if (strstr(kind, "again")) {
            usleep(200000); /* two pending signals would count as one */
            kill(getpid(), number);
            usleep(200000);
        }
        return PASS;
    }
    errno = !strcmp(kind, "ENOSPC") ? ENOSPC : EIO;
    return FAIL;
}

static enum verdict judge_descriptor(const char *call, int descriptor)
{
    char link[64], path[PATH_MAX];
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(link, path, sizeof path - 1);
    errno = before;
    if (size <= 0)
        return PASS;
    path[size] = '\0';
    return judge(call, path);
}

/* A torn write stores half of its bytes. With "full" the caller gets that number of bytes, and the next call fails,
   as on a disk that fills up. */
#define WRITES(call, whole, half)                                                                                     \
    switch (judge_descriptor(#call, descriptor)) {                                                                    \
    case FAIL: return -1;                                                                                             \
    case HALF_THEN_FAIL: if (size < 2) { errno = ENOSPC; return -1; } return half;                                    \
    case HALF_THEN_DIE: (void)!half; die(); break;                                                                    \
    case PASS: break;                                                                                                 \
    }                                                                                                                 \
    return whole;

#define REAL(type, name, ...)                                                                                         \
    static type (*real)(__VA_ARGS__);                                                                                 \
    if (!real)                                                                                                        \
        real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name);

ssize_t write(int descriptor, const void *bytes, size_t size)
{
    REAL(ssize_t, "write", int, const void *, size_t)
    WRITES(write, real(descriptor, bytes, size), real(descriptor, bytes, size / 2))
}

ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t place)
{
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t)
    WRITES(pwrite, real(descriptor, bytes, size, place), real(descriptor, bytes, size / 2, place))
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t size, off64_t place)
{
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t)
    WRITES(pwrite, real(descriptor, bytes, size, place), real(descriptor, bytes, size / 2, place))
}

ssize_t writev(int descriptor, const struct iovec *pieces, int count)
{
    REAL(ssize_t, "writev", int, const struct iovec *, int)
    size_t size = 2;
    WRITES(writev, real(descriptor, pieces, count), real(descriptor, pieces, count > 1 ? count / 2 : 1))
}

ssize_t sendfile(int descriptor, int source, off_t *place, size_t size)
{
    REAL(ssize_t, "sendfile", int, int, off_t *, size_t)
    WRITES(sendfile, real(descriptor, source, place, size), real(descriptor, source, place, size > 4096 ? 4096 : size / 2))
}

ssize_t sendfile64(int descriptor, int source, off64_t *place, size_t size)
{
    REAL(ssize_t, "sendfile64", int, int, off64_t *, size_t)
    WRITES(sendfile, real(descriptor, source, place, size), real(descriptor, source, place, size > 4096 ? 4096 : size / 2))
}

int fsync(int descriptor)
{
    REAL(int, "fsync", int)
    return judge_descriptor("fsync", descriptor) == PASS ? real(descriptor) : -1;
}

int fdatasync(int descriptor)
{
    REAL(int, "fdatasync", int)
    return judge_descriptor("fdatasync", descriptor) == PASS ? real(descriptor) : -1;
}

int ftruncate64(int descriptor, off64_t size)
{
    REAL(int, "ftruncate64", int, off64_t)
    return judge_descriptor("ftruncate", descriptor) == PASS ? real(descriptor, size) : -1;
}

int ftruncate(int descriptor, off_t size)
{
    REAL(int, "ftruncate", int, off_t)
    return judge_descriptor("ftruncate", descriptor) == PASS ? real(descriptor, size) : -1;
}

int rename(const char *from, const char *to)
{
    REAL(int, "rename", const char *, const char *)
    return judge("rename", to) == PASS ? real(from, to) : -1;
}
