/* Remembers what a power cut would leave: files as they were at their last fsync, names as they were at the last fsync
 * of the directory. Preloaded into the process under test; nothing else about it changes.
 *
 * LIVE/…          where the process works
 * KEPT/i<inode>   a file's bytes at its last fsync
 * KEPT/names      "inode name" lines of the last fsync of the directory
 *
 * UNSYNCED_SYNCS=n: only the first n are kept. From then on the process is one that does not sync.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <pthread.h>

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;

static void keep_names(const char *live, const char *kept) {
    char staged[PATH_MAX], path[PATH_MAX];
    snprintf(staged, sizeof staged, "%s/names.%d", kept, getpid());
    snprintf(path, sizeof path, "%s/names", kept);
    FILE *out = fopen(staged, "w");
    DIR *dir = opendir(live);
    if (!out || !dir) abort();
    struct dirent *entry;
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.') fprintf(out, "%lu %s\n", (unsigned long)entry->d_ino, entry->d_name);
    closedir(dir);
    if (fclose(out) || rename(staged, path)) abort();
}

static void keep_file(int fd, unsigned long inode, const char *kept) {
    static char block[1 << 16];
    char staged[PATH_MAX], path[PATH_MAX];
    snprintf(staged, sizeof staged, "%s/i%lu.%d", kept, inode, getpid());
    snprintf(path, sizeof path, "%s/i%lu", kept, inode);
    int out = open(staged, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (out < 0) abort();
    off_t at = 0;
    ssize_t got;
    /* Never a second descriptor of what SQLite has open: closing it would drop SQLite's locks. */
    int own = -1;
    if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY) {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        if ((own = open(link, O_RDONLY)) < 0) abort();
        fd = own;
    }
    while ((got = pread(fd, block, sizeof block, at)) > 0) {
        if (write(out, block, got) != got) abort();
        at += got;
    }
    if (own >= 0) close(own);
    if (got < 0 || close(out) || rename(staged, path)) abort();
}

static int sync_of(int fd) {
    const char *live = getenv("UNSYNCED_LIVE"), *kept = getenv("UNSYNCED_KEPT");
    char link[64], path[PATH_MAX];
    struct stat meta;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (!live || !kept || length <= 0) return 0;
    path[length] = 0;
    if (strncmp(path, live, strlen(live)) || fstat(fd, &meta)) return 0;
    pthread_mutex_lock(&one);
    const char *most = getenv("UNSYNCED_SYNCS");
    static long syncs;
    if (most && syncs++ >= atol(most)) {
        pthread_mutex_unlock(&one);
        return 0;
    }
    if (S_ISDIR(meta.st_mode)) keep_names(live, kept);
    else keep_file(fd, (unsigned long)meta.st_ino, kept);
    pthread_mutex_unlock(&one);
    return 0;
}

int fsync(int fd) { return sync_of(fd); }
int fdatasync(int fd) { return sync_of(fd); }
