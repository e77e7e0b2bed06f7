/* Life of a keeper: it listens, says `ready`, waits for the daemon's go, runs the runtime, pumps until the process and
   its output have ended, records the exit, and goes once its clients have taken what is theirs and all its children
   are reaped. */
#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONTROL 3
#define RELEASE_MS 500
/* How long an ended process's output waits for the client that was announced. */
#define HELD_MS 10000

struct options options = {.runtime_fd = -1, .drain_ms = 2000, .stall_ms = 60000, .spill_bytes = 64u << 20};

enum phase { WAITING, STARTING, RUNNING, DRAINING, FINISHED };

static enum phase phase = WAITING;
static struct streams streams = {-1, -1, -1};
static pid_t runtime_pid = -1, process_pid = -1;
static int process_status;
static uint64_t finished_ns;
static int64_t drain_until, held_until = INT64_MAX;
static char chunk[CHUNK_BYTES] __attribute__((aligned(4096)));
static bool dirty; /* buffers hold pages that could go back */

static char input[CHUNK_BYTES] __attribute__((aligned(4096)));
static size_t input_at, input_size;
static bool input_ending;

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t wall_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool terminal_resize(unsigned rows, unsigned columns) {
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
  options.rows = rows;
  options.columns = columns;
  if (!options.tty) return false;
  /* Before the terminal is there, the size is kept for it. */
  return streams.output < 0 ? phase <= STARTING : ioctl(streams.output, TIOCSWINSZ, &size) == 0;
}

static void input_close(void) {
  /* A terminal stays open: its end is a character that only its user may send. */
  if (streams.input >= 0 && !options.tty) close(streams.input);
  streams.input = -1;
  input_size = 0;
}

static void input_write(void) {
  while (input_size > 0 && streams.input >= 0) {
    ssize_t size = write(streams.input, input + input_at, input_size);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return;
    /* The process takes no more: what clients still send goes nowhere. */
    if (size < 0) return input_close();
    input_at += (size_t)size;
    input_size -= (size_t)size;
  }
  if (input_ending && input_size == 0) input_close();
}

/* Input is taken when all of it so far was passed on, and not before there is a process to pass it to. */
bool input_wanted(void) {
  if (phase <= STARTING) return false;
  return input_size == 0 && !input_ending;
}

void input_take(const char *data, size_t size) {
  if (streams.input < 0) return;
  memcpy(input, data, size);
  input_at = 0;
  input_size = size;
  dirty = true;
  input_write();
}

void input_end(void) {
  if (options.tty) return;
  input_ending = true;
  if (phase > STARTING) input_write();
}

static void end_stream(int *fd, int stream) {
  if (streams.input == *fd) streams.input = -1;
  close(*fd);
  *fd = -1;
  log_end(stream);
}

/* Reads once, at most `most` bytes. False when there is nothing to read now. */
static bool pump(int *fd, int stream, size_t most) {
  ssize_t size = read(*fd, chunk, most < sizeof chunk ? most : sizeof chunk);
  if (size < 0 && errno == EINTR) return true;
  if (size < 0 && errno == EAGAIN) return false;
  if (size <= 0) {
    end_stream(fd, stream); /* a terminal answers EIO when its last user has closed it */
    return false;
  }
  dirty = true;
  log_output(stream, chunk, (size_t)size, wall_ns());
  clients_output(stream, chunk, (size_t)size);
  return true;
}

/* Others hold the output open beyond the process's end: take what is there now, and no more. */
static void cut_output(int *fd, int stream) {
  int left = 0;
  if (*fd < 0) return;
  ioctl(*fd, FIONREAD, &left);
  while (left > 0 && *fd >= 0) {
    int before = left < CHUNK_BYTES ? left : CHUNK_BYTES;
    if (!pump(fd, stream, (size_t)before)) break;
    left -= before;
  }
  if (*fd >= 0) end_stream(fd, stream);
}

static void start(void) {
  phase = STARTING;
  runtime_pid = runtime_start(&streams);
  if (runtime_pid < 0) {
    log_close();
    clients_tell("failed 125\n");
    clients_finish();
    phase = FINISHED;
  }
}

static void runtime_ended(int status) {
  char line[128];
  runtime_pid = -1;
  if (options.runtime_fd >= 0) close(options.runtime_fd);
  if (status == 0 && runtime_started(&streams, &process_pid, line, sizeof line)) {
    phase = RUNNING;
    if (options.hold_ms > 0) held_until = now_ms() + options.hold_ms;
    clients_tell(line);
    input_write();
    return;
  }
  runtime_failed(&streams);
  snprintf(line, sizeof line, "failed %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  record("failed", line);
  log_close();
  clients_tell(line);
  clients_finish();
  phase = FINISHED;
}

static void reap(int signals) {
  struct signalfd_siginfo info;
  while (read(signals, &info, sizeof info) == sizeof info) {
  }
  int status;
  /* While the runtime starts nothing else is reaped, so the process's status waits until its pid is known. */
  if (phase == STARTING && waitpid(runtime_pid, &status, WNOHANG) == runtime_pid) runtime_ended(status);
  if (phase == STARTING) return;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid != process_pid) continue;
    finished_ns = wall_ns();
    process_status = status;
    phase = DRAINING;
    drain_until = now_ms() + options.drain_ms;
    if (options.hold_ms < 0) held_until = now_ms() + HELD_MS;
  }
}

static bool holding(void) {
  if (options.hold_ms == 0 || clients_attached() || clients_lost()) return false;
  return now_ms() < held_until;
}

static void finish(void) {
  char line[160];
  log_close();
  int code = WIFEXITED(process_status) ? WEXITSTATUS(process_status) : 128 + WTERMSIG(process_status);
  snprintf(line, sizeof line, "exit %d %d %llu %llu\n", code, WIFSIGNALED(process_status) ? WTERMSIG(process_status) : 0,
           (unsigned long long)finished_ns, (unsigned long long)log_dropped());
  record("exit", line);
  clients_tell(line);
  clients_finish();
  phase = FINISHED;
}

static void drain(void) {
  if (phase != DRAINING) return;
  if (holding()) {
    drain_until = now_ms() + options.drain_ms;
    return;
  }
  if (now_ms() >= drain_until) {
    cut_output(&streams.output, STREAM_OUT);
    cut_output(&streams.error, STREAM_ERR);
  }
  if (streams.output < 0 && streams.error < 0) finish();
}

static int least(int one, int64_t other) {
  if (other < 0) other = 0;
  return one < 0 || other < one ? (int)other : one;
}

static int timeout_ms(bool held) {
  int timeout = clients_timeout();
  if (dirty) timeout = least(timeout, RELEASE_MS);
  if (held && held_until != INT64_MAX) timeout = least(timeout, held_until - now_ms());
  if (phase == DRAINING && !held) timeout = least(timeout, drain_until - now_ms());
  return timeout;
}

static void release(void) {
  madvise(chunk, sizeof chunk, MADV_DONTNEED);
  if (input_size == 0) madvise(input, sizeof input, MADV_DONTNEED);
  log_release();
  dirty = false;
}

/* Whoever the process left behind became ours, and must be reaped by us: a dead process that nobody reaps keeps the
   container's first one, and with it the whole namespace, from ending. */
static bool has_children(void) {
  siginfo_t info;
  return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void run(int signals) {
  static struct pollfd polls[MAX_CLIENTS + 8];
  while (phase != FINISHED || clients_busy() || has_children()) {
    bool held = holding();
    /* Once the process has ended, the little that is left is taken whatever the clients do. */
    bool pumping = (phase == RUNNING && !clients_blocked()) || phase == DRAINING;
    bool reading = pumping && !held;
    polls[0] = (struct pollfd){.fd = signals, .events = POLLIN};
    polls[1] = (struct pollfd){.fd = reading ? streams.output : -1, .events = POLLIN};
    polls[2] = (struct pollfd){.fd = reading ? streams.error : -1, .events = POLLIN};
    polls[3] = (struct pollfd){.fd = phase > STARTING && input_size > 0 ? streams.input : -1, .events = POLLOUT};
    polls[4] = (struct pollfd){.fd = phase == STARTING ? terminal_wait_fd() : -1, .events = POLLIN};
    size_t count = 5 + clients_poll(polls + 5, MAX_CLIENTS + 1);
    int ready = poll(polls, count, timeout_ms(held));
    if (ready == 0 && dirty) release();
    if (polls[1].revents != 0 && streams.output >= 0) pump(&streams.output, STREAM_OUT, sizeof chunk);
    if (polls[2].revents != 0 && streams.error >= 0) pump(&streams.error, STREAM_ERR, sizeof chunk);
    if (polls[3].revents != 0) input_write();
    if (polls[4].revents != 0) terminal_take();
    if (ready > 0) clients_serve(polls + 5, count - 5);
    if (phase == WAITING && clients_go()) start();
    if (phase == WAITING && clients_lost()) return;
    if (polls[0].revents != 0) reap(signals);
    drain();
    clients_busy();
  }
}

static const struct option names[] = {
    {"tty", no_argument, NULL, 't'},
    {"stdin", no_argument, NULL, 'i'},
    {"stdin-once", no_argument, NULL, 'o'},
    {"runtime-fd", required_argument, NULL, 'f'},
    {"hold", required_argument, NULL, 'h'},
    {"drain", required_argument, NULL, 'd'},
    {"stall", required_argument, NULL, 's'},
    {"spill", required_argument, NULL, 'S'},
    {"rows", required_argument, NULL, 'r'},
    {"columns", required_argument, NULL, 'c'},
    {"log-format", required_argument, NULL, 'F'},
    {"log-path", required_argument, NULL, 'p'},
    {"log-max-size", required_argument, NULL, 'm'},
    {"log-max-files", required_argument, NULL, 'n'},
    {"log-buffer", required_argument, NULL, 'b'},
    {"oom-score", required_argument, NULL, 'O'},
    {"hard-limit", required_argument, NULL, 'l'},
    {NULL, 0, NULL, 0},
};

/* NUMBER:VALUE, of setrlimit(2). */
static bool read_hard_limit(const char *text) {
  char *end;
  unsigned long which = strtoul(text, &end, 10);
  if (which >= sizeof options.hard_limits / sizeof *options.hard_limits || *end != ':') return false;
  options.hard_limits[which] = strtoull(end + 1, NULL, 10);
  return true;
}

static bool read_options(int count, char **arguments) {
  for (int name; (name = getopt_long(count, arguments, "+", names, NULL)) >= 0;) {
    switch (name) {
    case 't': options.tty = true; break;
    case 'i': options.open_stdin = true; break;
    case 'o': options.stdin_once = true; break;
    case 'f': options.runtime_fd = atoi(optarg); break;
    case 'h': options.hold_ms = atoi(optarg); break;
    case 'd': options.drain_ms = atoi(optarg); break;
    case 's': options.stall_ms = atoi(optarg); break;
    case 'S': options.spill_bytes = strtoull(optarg, NULL, 10); break;
    case 'r': options.rows = (unsigned)atoi(optarg); break;
    case 'c': options.columns = (unsigned)atoi(optarg); break;
    case 'F': options.log_format = optarg; break;
    case 'p': options.log_path = optarg; break;
    case 'm': options.log_max_size = strtoull(optarg, NULL, 10); break;
    case 'n': options.log_max_files = (unsigned)atoi(optarg); break;
    case 'b': options.log_buffer = strtoull(optarg, NULL, 10); break;
    case 'O': options.oom_score = optarg; break;
    case 'l':
      if (!read_hard_limit(optarg)) return false;
      break;
    default: return false;
    }
  }
  options.runtime_argv = arguments + optind;
  return optind < count && (options.log_format == NULL || options.log_path != NULL);
}

static int watch_children(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_SETMASK, &set, NULL);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* wharf-shim DIRECTORY [OPTIONS] -- RUNTIME ARGUMENTS..., wharf-shim --park FILE FILE, wharf-shim --sweep or wharf-shim
   --namespaces [FILE]. Descriptor 3 is the daemon, for all but the first descriptor 0. */
int main(int count, char **arguments) {
  if (count == 4 && strcmp(arguments[1], "--park") == 0) return park(arguments[2], arguments[3]);
  if (count == 2 && strcmp(arguments[1], "--sweep") == 0) return sweep();
  if ((count == 2 || count == 3) && strcmp(arguments[1], "--namespaces") == 0) return namespaces(arguments[2]);
  if (count < 3 || chdir(arguments[1]) < 0 || !read_options(count - 1, arguments + 1)) return 2;
  setsid();
  umask(022);
  if (options.runtime_fd >= 0) fcntl(options.runtime_fd, F_SETFD, FD_CLOEXEC);
  fcntl(CONTROL, F_SETFD, FD_CLOEXEC);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  int signals = watch_children();
  if (signals < 0) return 1;
  if (!log_open()) {
    dprintf(CONTROL, "refused %s: %s\n", options.log_path, strerror(errno));
    return 1;
  }
  clients_open(CONTROL);
  dprintf(CONTROL, "ready\n");
  run(signals);
  if (phase == WAITING) unlink("socket");
  return 0;
}
