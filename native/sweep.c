/* Taking away what a container has left: a process of the daemon's that is told by one message what a dozen calls on
   other threads of the daemon would have to do one by one. Steps are read from standard input, each a letter, a path
   and a zero byte; an empty step ends a request, and is answered with one byte: + when nothing is left, - when a step failed
   and those after it were not begun. */
#define _GNU_SOURCE
#include "shim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Larger trees are left alone: they are for somebody who has time. */
#define MOST_ENTRIES 64
#define MOST_DEPTH 8
/* A cgroup stays busy for a moment after its last process was reaped. */
#define BUSY_TURNS 20
#define BUSY_PAUSE_NS 500000

static bool remove_inside(int directory, dev_t device, unsigned *left, unsigned depth);

static bool remove_entry(int directory, const char *name, dev_t device, unsigned *left, unsigned depth) {
  if (*left == 0 || depth == MOST_DEPTH) return false;
  --*left;
  if (unlinkat(directory, name, 0) == 0) return true;
  if (errno != EISDIR) return errno == ENOENT;
  int below = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return below >= 0 && remove_inside(below, device, left, depth + 1) && unlinkat(directory, name, AT_REMOVEDIR) == 0;
}

/* Closes the directory. What is mounted below it is not ours to take away. */
static bool remove_inside(int directory, dev_t device, unsigned *left, unsigned depth) {
  struct stat found;
  bool done = fstat(directory, &found) == 0 && found.st_dev == device;
  DIR *list = done ? fdopendir(directory) : NULL;
  if (list == NULL) {
    close(directory);
    return false;
  }
  for (struct dirent *entry; done && (entry = readdir(list)) != NULL;) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    done = remove_entry(directory, entry->d_name, device, left, depth);
  }
  closedir(list);
  return done;
}

static bool remove_tree(const char *path) {
  unsigned left = MOST_ENTRIES;
  struct stat found;
  int directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (directory < 0) return errno == ENOENT;
  if (fstat(directory, &found) < 0) {
    close(directory);
    return false;
  }
  return remove_inside(directory, found.st_dev, &left, 0) && rmdir(path) == 0;
}

static bool remove_directory(const char *path) {
  static const struct timespec pause = {.tv_nsec = BUSY_PAUSE_NS};
  for (unsigned turn = 0; rmdir(path) < 0; turn++) {
    if (errno == ENOENT) return true;
    if (errno != EBUSY || turn == BUSY_TURNS) return false;
    nanosleep(&pause, NULL);
  }
  return true;
}

/* A mount point that is a file goes with its mount. */
static bool remove_mount(const char *path) {
  if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT) return false;
  return unlink(path) == 0 || errno == ENOENT;
}

static bool step(const char *text) {
  switch (*text) {
  case 'd': return remove_directory(text + 1);
  case 'm': return remove_mount(text + 1);
  case 't': return remove_tree(text + 1);
  default: return false;
  }
}

int sweep(void) {
  static char buffer[64 * 1024];
  size_t filled = 0;
  bool done = true;
  for (;;) {
    ssize_t size = read(0, buffer + filled, sizeof buffer - filled);
    if (size < 0 && errno == EINTR) continue;
    /* A step that does not fit is none. */
    if (size <= 0) return size < 0;
    filled += (size_t)size;
    size_t at = 0;
    for (char *end; (end = memchr(buffer + at, 0, filled - at)) != NULL; at = (size_t)(end - buffer) + 1) {
      if (buffer + at < end) {
        done = done && step(buffer + at);
        continue;
      }
      if (write(0, done ? "+" : "-", 1) != 1) return 1;
      done = true;
    }
    memmove(buffer, buffer + at, filled - at);
    filled -= at;
  }
}
