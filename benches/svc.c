/*
 * The service of the benchmarks: small, static, ready at once.
 *
 *   svc STAMPS NAME idle          waits for TERM and ends with 0
 *   svc STAMPS NAME slow MS       the same, and takes MS milliseconds over it
 *   svc STAMPS NAME crash         ends with 1 at once
 *   svc STAMPS NAME orphans N     hands N ended, unwaited processes to whoever adopts them, then is idle
 *
 * It appends lines `NAME start|term|end MONOTONIC_NS PID` to the file STAMPS, each in one write. With NOTIFY_FD in
 * its environment it says that it is ready there, as s6 wants it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int stamps = -1;
static const char *name = "?";

static void stamp(const char *what)
{
    struct timespec now;
    char line[256];
    int length;

    clock_gettime(CLOCK_MONOTONIC, &now);
    length = snprintf(line, sizeof line, "%s %s %lld %d\n", name, what,
                      (long long)now.tv_sec * 1000000000LL + now.tv_nsec, (int)getpid());
    if (length > 0 && write(stamps, line, (size_t)length) != length)
        _exit(97);
}

static void take(long ms)
{
    struct timespec left = { ms / 1000, ms % 1000 * 1000000L };

    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

static void be_ready(void)
{
    const char *fd = getenv("NOTIFY_FD");

    if (fd != NULL) {
        if (write(atoi(fd), "\n", 1) != 1)
            _exit(96);
        close(atoi(fd));
    }
}

/*
 * The processes end while their parent lives, so that they are zombies already; then the parent ends, and all of them
 * come to the supervisor in one moment. Each holds the pipe while it runs: its end is the end of all.
 */
static void orphans(long n)
{
    int hold[2];
    char byte;
    pid_t parent = fork();

    if (parent < 0)
        _exit(95);
    if (parent > 0) {
        while (waitpid(parent, NULL, 0) < 0 && errno == EINTR)
            ;
        return;
    }
    if (pipe(hold) < 0)
        _exit(94);
    for (long i = 0; i < n; i++) {
        pid_t child = fork();
        if (child < 0) {
            take(1);
            i--;
        } else if (child == 0) {
            _exit(0);
        }
    }
    close(hold[1]);
    while (read(hold[0], &byte, 1) < 0 && errno == EINTR)
        ;
    stamp("orphans");
    _exit(0);
}

int main(int argc, char **argv)
{
    sigset_t stop;
    int got;

    if (argc < 4) {
        fputs("usage: svc STAMPS NAME idle|slow MS|crash|orphans N\n", stderr);
        return 64;
    }
    name = argv[2];
    stamps = open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (stamps < 0)
        return 98;

    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    stamp("start");
    if (strcmp(argv[3], "crash") == 0)
        return 1;
    be_ready();
    if (strcmp(argv[3], "orphans") == 0 && argc > 4)
        orphans(atol(argv[4]));

    while (sigwait(&stop, &got) != 0)
        ;
    stamp("term");
    if (strcmp(argv[3], "slow") == 0 && argc > 4)
        take(atol(argv[4]));
    stamp("end");
    return 0;
}
