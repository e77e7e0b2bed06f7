/* Cutting output into the lines of the log, and handing them over: to the file, or in non-blocking mode to a process
   that writes it. The rules are those of Docker's copier: a line longer than 16 KiB is cut, each piece but the last is
   partial, and so is an unterminated end; all pieces of a line carry the time of the first. */
#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

struct line {
  char text[PIECE_BYTES];
  size_t size;
  uint64_t time_ns;
  bool cut; /* earlier pieces of this line are out */
};

static struct line lines[2];
static int writer = -1;
static pid_t writer_pid;
static uint64_t dropped;
static bool enabled;

struct message {
  uint64_t time_ns;
  uint8_t stream;
  uint8_t partial;
};

static void piece(int stream, bool partial, uint64_t time_ns, const char *text, size_t size) {
  if (writer < 0) {
    log_file_record(stream, partial, time_ns, text, size);
    return;
  }
  struct message head = {.time_ns = time_ns, .stream = (uint8_t)stream, .partial = partial};
  struct iovec parts[2] = {{&head, sizeof head}, {(char *)text, size}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  if (sendmsg(writer, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) dropped++;
}

static _Noreturn void write_all(int from) {
  static char buffer[sizeof(struct message) + PIECE_BYTES];
  for (;;) {
    ssize_t size = recv(from, buffer, sizeof buffer, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) {
      log_file_flush();
      size = recv(from, buffer, sizeof buffer, 0);
    }
    if (size < 0 && errno == EINTR) continue;
    if (size < (ssize_t)sizeof(struct message)) break;
    struct message head;
    memcpy(&head, buffer, sizeof head);
    log_file_record(head.stream, head.partial, head.time_ns, buffer + sizeof head, (size_t)size - sizeof head);
  }
  log_file_flush();
  _exit(0);
}

static bool fork_writer(void) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return false;
  /* The kernel doubles the number for its bookkeeping. */
  int size = (int)(options.log_buffer > (1u << 30) ? (1u << 30) : options.log_buffer);
  if (setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  writer_pid = fork();
  if (writer_pid < 0) return false;
  if (writer_pid == 0) {
    /* Holds nothing but its socket, with which it ends. */
    close(3);
    if (options.runtime_fd >= 0) close(options.runtime_fd);
    close(pair[0]);
    write_all(pair[1]);
  }
  close(pair[1]);
  writer = pair[0];
  return true;
}

bool log_open(void) {
  if (options.log_format == NULL) return true;
  enabled = true;
  if (!log_file_open()) return false;
  return options.log_buffer == 0 || fork_writer();
}

/* Completes the line begun before, or adds to it. How much of the data that took. */
static size_t carry(struct line *line, int stream, const char *data, size_t size) {
  size_t room = PIECE_BYTES - line->size;
  size_t look = size < room ? size : room;
  const char *end = memchr(data, '\n', look);
  size_t take = end == NULL ? look : (size_t)(end - data);
  memcpy(line->text + line->size, data, take);
  line->size += take;
  if (end != NULL) {
    piece(stream, false, line->time_ns, line->text, line->size);
    line->size = 0;
    line->cut = false;
    return take + 1;
  }
  if (line->size == PIECE_BYTES) {
    piece(stream, true, line->time_ns, line->text, line->size);
    line->size = 0;
    line->cut = true;
  }
  return take;
}

void log_output(int stream, const char *data, size_t size, uint64_t time_ns) {
  if (!enabled) return;
  struct line *line = &lines[stream - 1];
  size_t at = 0;
  while (at < size) {
    if (line->size > 0 || line->cut) {
      at += carry(line, stream, data + at, size - at);
      continue;
    }
    size_t look = size - at < PIECE_BYTES ? size - at : PIECE_BYTES;
    const char *end = memchr(data + at, '\n', look);
    if (end != NULL) {
      size_t length = (size_t)(end - data) - at;
      piece(stream, false, time_ns, data + at, length);
      at += length + 1;
      continue;
    }
    line->time_ns = time_ns;
    at += carry(line, stream, data + at, size - at);
  }
  if (writer < 0) log_file_flush();
}

void log_end(int stream) {
  if (!enabled) return;
  struct line *line = &lines[stream - 1];
  if (line->size > 0) piece(stream, true, line->time_ns, line->text, line->size);
  line->size = 0;
  line->cut = false;
  if (writer < 0) log_file_flush();
}

void log_close(void) {
  if (writer < 0) return;
  close(writer);
  writer = -1;
  while (waitpid(writer_pid, NULL, 0) < 0 && errno == EINTR) {
  }
}

uint64_t log_dropped(void) { return dropped + log_file_dropped(); }

void log_release(void) {
  for (int i = 0; i < 2; i++) {
    if (lines[i].size > 0) continue;
    uintptr_t from = ((uintptr_t)lines[i].text + 4095) & ~(uintptr_t)4095;
    uintptr_t to = (uintptr_t)(lines[i].text + PIECE_BYTES) & ~(uintptr_t)4095;
    if (to > from) madvise((void *)from, to - from, MADV_DONTNEED);
  }
  log_file_release();
}
