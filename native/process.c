/* Running the OCI runtime with the process's stdio, taking its terminal, and what the task's directory records. */
#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PIPE_BYTES (256 * 1024)

/* Where the runtime sends the terminal: the listener, the runtime's connection, and what came over it. */
static int console = -1, console_peer = -1, terminal = -1;

bool record(const char *name, const char *text) {
  char temporary[64];
  snprintf(temporary, sizeof temporary, ".%s.tmp", name);
  int to = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (to < 0) return false;
  bool done = write(to, text, strlen(text)) == (ssize_t)strlen(text);
  close(to);
  return done && rename(temporary, name) == 0;
}

/* Field 22 of /proc/PID/stat; the second field may hold anything, so count from its closing bracket. 0: gone. */
uint64_t start_time(pid_t pid) {
  char path[48], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  int from = open(path, O_RDONLY | O_CLOEXEC);
  if (from < 0) return 0;
  ssize_t size = read(from, text, sizeof text - 1);
  close(from);
  if (size <= 0) return 0;
  text[size] = 0;
  char *at = strrchr(text, ')');
  for (int field = 2; at != NULL && field < 22; field++) at = strchr(at + 1, ' ');
  return at == NULL ? 0 : strtoull(at + 1, NULL, 10);
}

static bool open_console(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "console"};
  unlink(address.sun_path);
  console = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return console >= 0 && bind(console, (struct sockaddr *)&address, sizeof address) == 0 && listen(console, 4) == 0;
}

static bool make_pipe(int ends[2], bool keep_read) {
  if (pipe2(ends, O_CLOEXEC) < 0) return false;
  fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES);
  return fcntl(ends[keep_read ? 0 : 1], F_SETFL, O_NONBLOCK) == 0;
}

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

/* What is read where nobody writes. crun gives its standard streams away to the root of a user namespace, so for one it
   is a file that is always empty: the root of a container would own the host's /dev/null. Not inlined beside vfork. */
__attribute__((noinline)) static int open_nothing(void) {
  if (options.oom_score == NULL) return open("/dev/null", O_RDWR | O_CLOEXEC);
  int file = memfd_create("null", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
  if (file < 0 && errno == EINVAL) file = memfd_create("null", MFD_CLOEXEC | MFD_ALLOW_SEALING); /* before Linux 6.3 */
  if (file >= 0) fcntl(file, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_SEAL);
  return file;
}

/* Inside a user namespace the runtime may do neither. */
static void prepare_runtime(void) {
  int score = options.oom_score == NULL ? -1 : open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (score >= 0 && write(score, options.oom_score, strlen(options.oom_score)) < 0) {
    dprintf(2, "write to /proc/self/oom_score_adj: %s\n", strerror(errno));
    _exit(125);
  }
  for (size_t which = 0; which < sizeof options.hard_limits / sizeof *options.hard_limits; which++) {
    struct rlimit limit;
    if (options.hard_limits[which] == 0 || getrlimit((int)which, &limit) < 0) continue;
    if (limit.rlim_max >= options.hard_limits[which]) continue;
    limit.rlim_max = options.hard_limits[which];
    setrlimit((int)which, &limit);
  }
}

static _Noreturn void become_runtime(int input, int output, int error) {
  sigset_t none;
  sigemptyset(&none);
  for (int number = 1; number < 65; number++) signal(number, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(error, 2) < 0) _exit(125);
  prepare_runtime();
  const char *file = options.runtime_argv[0];
  char path[32];
  if (options.runtime_fd >= 0) {
    snprintf(path, sizeof path, "/proc/self/fd/%d", options.runtime_fd);
    file = path;
  }
  execvp(file, options.runtime_argv);
  dprintf(2, "%s: %s\n", options.runtime_argv[0], strerror(errno));
  _exit(127);
}

pid_t runtime_start(struct streams *streams) {
  int input[2] = {-1, -1}, output[2] = {-1, -1}, error[2];
  int null = open_nothing();
  if (null < 0 || !make_pipe(error, true)) return -1;
  if (options.tty && !open_console()) return -1;
  if (!options.tty && !make_pipe(output, true)) return -1;
  if (!options.tty && options.open_stdin && !make_pipe(input, false)) return -1;
  /* Not fork: it would copy and then fault in again pages that the child never looks at. */
  pid_t pid = vfork();
  if (pid == 0) become_runtime(input[0] < 0 ? null : input[0], output[1] < 0 ? null : output[1], error[1]);
  close(null);
  close(error[1]);
  if (input[0] >= 0) close(input[0]);
  if (output[1] >= 0) close(output[1]);
  *streams = (struct streams){.input = input[1], .output = output[0], .error = error[0]};
  return pid;
}

int terminal_wait_fd(void) {
  if (terminal >= 0) return -1;
  return console_peer >= 0 ? console_peer : console;
}

/* Takes the terminal as soon as the runtime sends it, so that it has its size before the process runs. */
void terminal_take(void) {
  if (terminal >= 0 || console < 0) return;
  if (console_peer < 0) console_peer = accept4(console, NULL, NULL, SOCK_CLOEXEC);
  if (console_peer < 0) return;
  char text[256], control[CMSG_SPACE(sizeof(int))];
  struct iovec part = {text, sizeof text};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  ssize_t size = recvmsg(console_peer, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size > 0) terminal = descriptor_in(&message);
  close(console_peer);
  console_peer = -1;
  if (terminal < 0) return;
  fcntl(terminal, F_SETFL, O_NONBLOCK);
  struct winsize window = {.ws_row = (unsigned short)options.rows, .ws_col = (unsigned short)options.columns};
  if (options.rows > 0 && options.columns > 0) ioctl(terminal, TIOCSWINSZ, &window);
}

static pid_t read_pid(void) {
  char text[32] = "";
  int from = open("pid", O_RDONLY | O_CLOEXEC);
  if (from < 0) return -1;
  ssize_t size = read(from, text, sizeof text - 1);
  close(from);
  long pid = size > 0 ? strtol(text, NULL, 10) : -1;
  return pid > 0 ? (pid_t)pid : -1;
}

static void close_console(void) {
  if (console < 0) return;
  close(console);
  if (console_peer >= 0) close(console_peer);
  unlink("console");
  console = console_peer = -1;
}

bool runtime_started(struct streams *streams, pid_t *pid, char *line, size_t size) {
  *pid = read_pid();
  if (*pid < 0) return false;
  if (options.tty) {
    /* The runtime has sent it before it ended, so nothing here waits. */
    terminal_take();
    close_console();
    if (terminal < 0) {
      kill(*pid, SIGKILL);
      return false;
    }
    close(streams->error);
    *streams = (struct streams){.input = options.open_stdin ? terminal : -1, .output = terminal, .error = -1};
    if (options.rows > 0 && options.columns > 0) terminal_resize(options.rows, options.columns);
  }
  snprintf(line, size, "started %d %llu %llu\n", (int)*pid, (unsigned long long)start_time(*pid),
           (unsigned long long)wall_ns());
  return record("started", line);
}

void runtime_failed(struct streams *streams) {
  static char text[8192];
  size_t filled = 0;
  close_console();
  ssize_t size;
  while (filled < sizeof text - 1 && (size = read(streams->error, text + filled, sizeof text - 1 - filled)) > 0)
    filled += (size_t)size;
  text[filled] = 0;
  record("runtime.err", text);
}

/*
 * A parked process that moves itself between two cgroups when it is written to, and goes on for a while: the kernel's
 * wait for a quiet moment (an RCU grace period, when the last move is long ago) is then over before a container needs
 * it, and does not come back while clients are still at their preparations, nor between the commands of a script. A move
 * takes some 30 us when the last one is not long ago: half a percent of a processor while it goes on.
 */
#define PARK_PAUSE_MS 8
#define PARK_TURNS 190 /* a second and a half */

int park(const char *first, const char *second) {
  int groups[2] = {open(first, O_WRONLY | O_CLOEXEC), open(second, O_WRONLY | O_CLOEXEC)};
  if (groups[0] < 0 || groups[1] < 0) return 1;
  struct pollfd wishes = {.fd = 0, .events = POLLIN};
  char bytes[64];
  for (unsigned turn = 0, left = 0;; turn ^= 1) {
    if (write(groups[turn], "0\n", 2) < 0 && errno != EINTR) return 1;
    if (poll(&wishes, 1, left > 0 ? PARK_PAUSE_MS : -1) == 0) {
      left--;
      continue;
    }
    if (read(0, bytes, sizeof bytes) <= 0) return 0;
    left = PARK_TURNS;
  }
}
