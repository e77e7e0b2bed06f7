/*
 * The keeper of one container or exec: it outlives the daemon, holds the process's stdio, writes its log, serves
 * attached clients and records the exit. Mechanism only: what to run and how comes from the daemon as arguments.
 *
 *   main.c      options, life cycle, the poll loop, the process's stdin
 *   process.c   running the OCI runtime, the terminal, what is recorded on disk
 *   clients.c   the task's socket: requests, output queues
 *   log.c       cutting into lines, the non-blocking mode
 *   log-file.c  the two formats, rotation
 *   sweep.c     a process of its own beside the keepers: removes what they leave
 *   namespaces.c  a process of its own: makes namespaces that the daemon cannot make
 *
 * One thread. Large buffers are static or mapped and are given back to the kernel when output pauses, so an idle
 * keeper holds a few dirty pages only.
 */
#ifndef WHARF_SHIM_H
#define WHARF_SHIM_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

enum { STREAM_OUT = 1, STREAM_ERR = 2 };

/* One read of the process's output. */
#define CHUNK_BYTES (64 * 1024)
/* Docker's limit of a log line's piece. */
#define PIECE_BYTES (16 * 1024)

struct options {
  bool tty;
  bool open_stdin;
  bool stdin_once;
  int runtime_fd;       /* execute this instead of argv[0]; -1 for none */
  int hold_ms;          /* keep output until a client comes: 0 no, -1 for ever, else at most so long */
  int drain_ms;         /* how long output may be held open by others once the process has ended */
  int stall_ms;         /* a client that stands at its bound and takes nothing for so long is cut off */
  uint64_t spill_bytes; /* the bound: output kept for one client */
  unsigned rows, columns;
  const char *log_format; /* "json-file", "local" or NULL */
  const char *log_path;
  uint64_t log_max_size;
  unsigned log_max_files;
  size_t log_buffer; /* non-blocking when not 0 */
  char **runtime_argv;
  const char *oom_score;      /* of the runtime and what it starts, in a user namespace; NULL without one */
  uint64_t hard_limits[16];   /* by RLIMIT_ number: what the runtime may raise its limits to; 0 for the keeper's own */
};

extern struct options options;

/* main.c */
int64_t now_ms(void);
uint64_t wall_ns(void);
/* Takes input for the process; how many bytes were taken (all, unless some are still waiting). */
void input_take(const char *data, size_t size);
bool input_wanted(void);
void input_end(void);
bool terminal_resize(unsigned rows, unsigned columns);

/* process.c */
struct streams {
  int input;  /* write end of stdin, or the terminal; -1 */
  int output; /* read end of stdout, or the terminal; -1 */
  int error;  /* read end of stderr; -1 */
};
/* Starts the runtime; its pid, or -1. The streams are ready but for the terminal. */
pid_t runtime_start(struct streams *streams);
/* The runtime ended well: takes the terminal, finds the process, records it. False when there is none. */
bool runtime_started(struct streams *streams, pid_t *pid, char *line, size_t size);
/* While the runtime starts: what to poll for the terminal (-1 for nothing), and what to do then. */
int terminal_wait_fd(void);
void terminal_take(void);
/* The runtime failed: keeps what it wrote for the daemon. */
void runtime_failed(struct streams *streams);
bool record(const char *name, const char *text);
uint64_t start_time(pid_t pid);
int park(const char *first, const char *second);

/* sweep.c */
int sweep(void);

/* namespaces.c */
int namespaces(const char *users);

/* clients.c */
enum request_kind { REQUEST_BAD, REQUEST_ATTACH, REQUEST_TAKE, REQUEST_WATCH, REQUEST_RESIZE, REQUEST_CLOSE, REQUEST_GO };
enum { WANT_IN = 1, WANT_OUT = 2, WANT_ERR = 4 };
struct request {
  enum request_kind kind;
  unsigned wants;
  unsigned rows, columns;
};
#define REQUEST_BYTES 64
/* Most that a taken client may have to be sent first. */
#define PREAMBLE_BYTES 4096
/* `line` has no newline. Unknown or malformed requests are REQUEST_BAD. */
struct request request_parse(const char *line, size_t size);

/* The descriptor that came with a message; -1 for none. */
int descriptor_in(const struct msghdr *message);

void clients_open(int control);
bool clients_go(void);      /* the daemon said go */
bool clients_lost(void);    /* the daemon's control connection is gone */
bool clients_attached(void); /* some client has ever attached */
bool clients_blocked(void); /* a client from before the start stands at its bound: read no more output */
size_t clients_poll(struct pollfd *polls, size_t size);
void clients_serve(const struct pollfd *polls, size_t count);
void clients_output(int stream, const char *data, size_t size);
void clients_tell(const char *line); /* to all watchers, and to those that come */
void clients_finish(void);           /* no more output: end each client once it has taken what it waits for */
bool clients_busy(void);
/* Milliseconds until a client may have to be cut off, or -1. */
int clients_timeout(void);
#define MAX_CLIENTS 256

/* log.c */
bool log_open(void);
void log_output(int stream, const char *data, size_t size, uint64_t time_ns);
void log_end(int stream);
void log_close(void);
uint64_t log_dropped(void);
void log_release(void);

/* log-file.c */
bool log_file_open(void);
void log_file_record(int stream, bool partial, uint64_t time_ns, const char *line, size_t size);
void log_file_flush(void);
uint64_t log_file_dropped(void);
void log_file_release(void);
/* Writes `data` as the inside of a JSON string, as Docker does; at most 6 bytes a byte. A byte that is not UTF-8
   becomes \ufffd, and sets `lossy`. `to` has ESCAPE_SLACK more. */
#define ESCAPE_SLACK 8
size_t json_escape(char *to, const char *data, size_t size, bool *lossy);
/* The bytes that \ufffd stands for, in order, as two hexadecimal digits each. */
size_t json_lost(char *to, const char *data, size_t size);
size_t format_time(char *to, uint64_t time_ns);

#endif
