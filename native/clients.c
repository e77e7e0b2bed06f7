/*
 * The task's socket. A client sends one line; it answers `+` and then, by request:
 *
 *   attach [i][o][e]   the streams asked for: output as a hijacked Docker connection carries it, until it has ended;
 *                      what the client sends is stdin
 *   take [i][o][e]     the same for a connection whose descriptor comes with the line: it is served from then on. What
 *                      follows in the same message is sent to it first (with bytes that wait to be sent, it is refused);
 *                      what comes on this connection until its end is stdin before the other's
 *   watch              lines: `started PID STARTTIME NS`, `failed STATUS`, `exit CODE SIGNAL NS DROPPED`
 *   resize ROWS COLS   nothing more
 *   close              closes the process's stdin; nothing more
 *   go                 (only on the connection inherited from the daemon) lets the process run
 *
 * or `-` and a text. Output that a client does not take at once goes to an unlinked file, used as a ring, of
 * `spill_bytes`. A client that attached before the process ran and stands at that bound holds the output up, as a pipe
 * would, for as long as it goes on taking some; any other is cut off.
 */
#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/* What may come on top of the bound once reading has stopped: the pipes' rest, when the process has ended. */
#define SPILL_SLACK (4u << 20)
/* How long a client may take to close its side once its output has ended. */
#define LINGER_MS 2000

enum state { FREE, REQUEST, ATTACHED, WATCHING };

struct client {
  int fd;
  enum state state;
  unsigned wants;
  bool control; /* inherited from the daemon */
  bool early;   /* attached before the process ran */
  bool input;   /* still sends stdin */
  bool later;   /* its stdin comes after that of another client */
  struct client *next; /* whose stdin comes after this one's */
  bool half;    /* has ended its sending side */
  bool ended;   /* no output comes any more */
  bool closing; /* its output has been ended; only its close is waited for */
  int spill;
  uint64_t put, taken; /* bytes ever written to and read from the spill */
  int64_t progress_ms;
};

static struct client clients[MAX_CLIENTS];
static unsigned used; /* all beyond are FREE */
static int listener = -1;
static bool go, lost, attached, finished;
static char told[512];
static size_t told_size;

static uint64_t ring_bytes(void) { return options.spill_bytes + SPILL_SLACK; }

/* The client sends no more: whoever comes after it may, else it was stdin's end where that has only one. */
static void end_input(struct client *client) {
  bool was = client->input || client->later;
  client->input = client->later = false;
  if (client->next != NULL) {
    client->next->input = true;
    client->next->later = false;
    client->next = NULL;
  } else if (was && options.stdin_once) {
    input_end();
  }
}

static void drop(struct client *client) {
  if (client->control) lost = true;
  close(client->fd);
  if (client->spill >= 0) close(client->spill);
  if (client->later) {
    /* What was read of its stdin still counts, and is followed by nothing. */
    client->later = false;
    for (unsigned i = 0; i < used; i++)
      if (clients[i].next == client) clients[i].next = NULL;
  } else if (client->state == ATTACHED) {
    end_input(client);
  }
  client->state = FREE;
  while (used > 0 && clients[used - 1].state == FREE) used--;
}

static struct client *add(int fd) {
  unsigned i = 0;
  while (i < used && clients[i].state != FREE) i++;
  if (i == MAX_CLIENTS) return NULL;
  if (i == used) used++;
  clients[i] = (struct client){.fd = fd, .state = REQUEST, .spill = -1};
  return &clients[i];
}

void clients_open(int control) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
  unlink(address.sun_path);
  listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 128) < 0) _exit(1);
  struct client *client = add(control);
  client->control = true;
  client->state = WATCHING;
}

bool clients_go(void) { return go; }
bool clients_lost(void) { return lost; }
bool clients_attached(void) { return attached; }

static void say(struct client *client, const char *text, size_t size) {
  /* Watchers' few short lines fit into the socket's buffer; one that reads none is not worth waiting for. */
  if (send(client->fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)size) drop(client);
}

static bool word(const char **at, const char *end, const char *expected) {
  size_t size = strlen(expected);
  if ((size_t)(end - *at) < size || memcmp(*at, expected, size) != 0) return false;
  *at += size;
  return *at == end || **at == ' ';
}

static bool number(const char **at, const char *end, unsigned *value) {
  if (*at == end || **at != ' ') return false;
  const char *digit = ++*at;
  for (*value = 0; *at < end && **at >= '0' && **at <= '9'; ++*at) {
    *value = *value * 10 + (unsigned)(**at - '0');
    if (*value > 65535) return false;
  }
  return *at > digit;
}

struct request request_parse(const char *line, size_t size) {
  struct request request = {.kind = REQUEST_BAD};
  const char *at = line, *end = line + size;
  bool take = false;
  if (word(&at, end, "watch")) {
    if (at == end) request.kind = REQUEST_WATCH;
  } else if (word(&at, end, "close")) {
    if (at == end) request.kind = REQUEST_CLOSE;
  } else if (word(&at, end, "go")) {
    if (at == end) request.kind = REQUEST_GO;
  } else if (word(&at, end, "resize")) {
    if (number(&at, end, &request.rows) && number(&at, end, &request.columns) && at == end) request.kind = REQUEST_RESIZE;
  } else if (word(&at, end, "attach") || (take = word(&at, end, "take"))) {
    if (at < end) at++;
    for (; at < end; at++) {
      unsigned want = *at == 'i' ? WANT_IN : *at == 'o' ? WANT_OUT : *at == 'e' ? WANT_ERR : 0;
      if (want == 0) return request;
      request.wants |= want;
    }
    request.kind = take ? REQUEST_TAKE : REQUEST_ATTACH;
  }
  return request;
}

static void refuse(struct client *client, const char *text) {
  send(client->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
  drop(client);
}

static void attach(struct client *client, unsigned wants) {
  client->state = ATTACHED;
  client->wants = wants;
  client->input = (wants & WANT_IN) != 0;
  client->early = !go;
  client->ended = finished || (wants & (WANT_OUT | WANT_ERR)) == 0;
  client->progress_ms = now_ms();
  attached = true;
}

int descriptor_in(const struct msghdr *message) {
  struct cmsghdr *head = CMSG_FIRSTHDR(message);
  int fd = -1;
  if (head != NULL && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS && head->cmsg_len >= CMSG_LEN(sizeof fd))
    memcpy(&fd, CMSG_DATA(head), sizeof fd);
  return fd;
}

/* Takes the whole message: the line, what its client is to be sent first, and the client's descriptor. */
static void take(struct client *client, size_t line, unsigned wants) {
  char text[REQUEST_BYTES + PREAMBLE_BYTES], control[CMSG_SPACE(sizeof(int))];
  struct iovec part = {text, sizeof text};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  ssize_t size = recvmsg(client->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (size < (ssize_t)line) return drop(client);
  int fd = descriptor_in(&message);
  struct client *taken = fd < 0 || client->control ? NULL : add(fd);
  size_t first = (size_t)size - line;
  ssize_t sent = taken == NULL || first == 0 ? 0 : send(fd, text + line, first, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (taken == NULL || sent < 0) {
    if (taken != NULL) drop(taken);
    else if (fd >= 0) close(fd);
    return refuse(client, "-not taken\n");
  }
  attach(taken, wants);
  /* Its own buffer was as good as empty: a connection that took only a part is breaking. */
  if ((size_t)sent < first) {
    drop(taken);
    taken = NULL;
  }
  if (send(client->fd, "+", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1 || taken == NULL || !taken->input) return drop(client);
  attach(client, WANT_IN);
  client->next = taken;
  taken->input = false;
  taken->later = true;
}

static void perform(struct client *client, struct request request) {
  bool done = true;
  if (request.kind == REQUEST_RESIZE) done = terminal_resize(request.rows, request.columns);
  else if (request.kind == REQUEST_CLOSE) input_end();
  else if (request.kind == REQUEST_GO && client->control) go = true;
  else if (request.kind != REQUEST_ATTACH && request.kind != REQUEST_WATCH) return refuse(client, "-bad request\n");
  if (!done) return refuse(client, "-no terminal\n");
  if (client->control) return;
  if (send(client->fd, "+", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1) return drop(client);
  if (request.kind == REQUEST_WATCH) {
    client->state = WATCHING;
    if (told_size > 0) say(client, told, told_size);
  } else if (request.kind == REQUEST_ATTACH) {
    attach(client, request.wants);
  } else {
    drop(client);
  }
}

/* Takes exactly one line off the socket, so that what follows is left as stdin. `take` alone has more in its message. */
static void read_request(struct client *client) {
  char line[REQUEST_BYTES];
  ssize_t size = recv(client->fd, line, sizeof line, MSG_PEEK | MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return drop(client);
  char *end = memchr(line, '\n', (size_t)size);
  if (end == NULL) {
    /* A peeked half line would be reported as readable again and again; whoever speaks to us sends a line at once. */
    return refuse(client, "-bad request\n");
  }
  struct request request = request_parse(line, (size_t)(end - line));
  if (request.kind == REQUEST_TAKE) return take(client, (size_t)(end - line) + 1, request.wants);
  size = recv(client->fd, line, (size_t)(end - line) + 1, MSG_DONTWAIT);
  if (size <= 0) return drop(client);
  perform(client, request);
}

static void read_input(struct client *client) {
  static char data[CHUNK_BYTES];
  ssize_t size = recv(client->fd, data, sizeof data, MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size > 0) {
    if (client->input) input_take(data, (size_t)size);
    return;
  }
  client->half = true;
  end_input(client);
  if (client->ended || client->closing || size < 0) drop(client);
}

static bool spill_put(struct client *client, const char *data, size_t size) {
  if (client->spill < 0) {
    client->spill = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (client->spill < 0 && (client->spill = open(".spill", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) >= 0) unlink(".spill");
    if (client->spill < 0) return false;
  }
  while (size > 0) {
    uint64_t at = client->put % ring_bytes();
    size_t part = size < ring_bytes() - at ? size : (size_t)(ring_bytes() - at);
    ssize_t done = pwrite(client->spill, data, part, (off_t)at);
    if (done <= 0) return false;
    client->put += (uint64_t)done;
    data += done;
    size -= (size_t)done;
  }
  return true;
}

static void send_spilled(struct client *client) {
  static char data[CHUNK_BYTES];
  while (client->taken < client->put) {
    uint64_t at = client->taken % ring_bytes();
    uint64_t most = client->put - client->taken;
    if (most > ring_bytes() - at) most = ring_bytes() - at;
    ssize_t size = pread(client->spill, data, most < sizeof data ? (size_t)most : sizeof data, (off_t)at);
    if (size <= 0) return drop(client);
    ssize_t sent = send(client->fd, data, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (sent < 0) return drop(client);
    client->taken += (uint64_t)sent;
    client->progress_ms = now_ms();
    if (sent < size) return;
  }
  /* All taken: the file has done its work, and its pages go back. */
  close(client->spill);
  client->spill = -1;
  client->put = client->taken = 0;
}

static void deliver(struct client *client, struct iovec *parts, int count) {
  size_t sent = 0;
  uint64_t most = client->early ? ring_bytes() : options.spill_bytes;
  if (client->spill >= 0 && client->put - client->taken + CHUNK_BYTES + 8 > most) {
    /* Cut off between two frames: what waits is still its to take, and nothing comes after it. */
    client->ended = true;
    return;
  }
  if (client->spill < 0) {
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
    ssize_t size = sendmsg(client->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size < 0 && errno != EAGAIN && errno != EINTR) return drop(client);
    if (size > 0) {
      sent = (size_t)size;
      client->progress_ms = now_ms();
    }
  }
  for (int i = 0; i < count; i++) {
    size_t skip = sent < parts[i].iov_len ? sent : parts[i].iov_len;
    sent -= skip;
    if (skip == parts[i].iov_len) continue;
    if (!spill_put(client, (char *)parts[i].iov_base + skip, parts[i].iov_len - skip)) return drop(client);
  }
}

void clients_output(int stream, const char *data, size_t size) {
  unsigned want = options.tty ? WANT_OUT | WANT_ERR : stream == STREAM_OUT ? WANT_OUT : WANT_ERR;
  for (unsigned i = 0; i < used; i++) {
    if (clients[i].state != ATTACHED || (clients[i].wants & want) == 0 || clients[i].ended) continue;
    unsigned char head[8] = {(unsigned char)stream, 0, 0, 0, (unsigned char)(size >> 24), (unsigned char)(size >> 16),
                             (unsigned char)(size >> 8), (unsigned char)size};
    struct iovec parts[2] = {{head, sizeof head}, {(char *)data, size}};
    deliver(&clients[i], options.tty ? parts + 1 : parts, options.tty ? 1 : 2);
  }
}

void clients_tell(const char *line) {
  size_t size = strlen(line);
  if (told_size + size <= sizeof told) {
    memcpy(told + told_size, line, size);
    told_size += size;
  }
  for (unsigned i = 0; i < used; i++)
    if (clients[i].state == WATCHING) say(&clients[i], line, size);
}

static bool full(const struct client *client) {
  return client->state == ATTACHED && client->put - client->taken >= options.spill_bytes;
}

bool clients_blocked(void) {
  for (unsigned i = 0; i < used; i++)
    if (clients[i].early && full(&clients[i])) return true;
  return false;
}

void clients_finish(void) {
  finished = true;
  close(listener);
  listener = -1;
  for (unsigned i = 0; i < used; i++) {
    clients[i].ended = true;
    clients[i].progress_ms = now_ms();
    /* The daemon's connection stays, so that its end is the keeper's. */
    if ((clients[i].state == WATCHING && !clients[i].control) || clients[i].state == REQUEST) drop(&clients[i]);
  }
}

/* How long the client may go on without taking or ending anything; -1 for ever. */
static int64_t patience(const struct client *client) {
  if (client->state != ATTACHED) return -1;
  if (client->closing) return LINGER_MS;
  if (finished) return 10 * (int64_t)options.stall_ms;
  /* One that only sends stdin has no output to take. */
  return full(client) || (client->ended && (client->wants & (WANT_OUT | WANT_ERR)) != 0) ? options.stall_ms : -1;
}

/* Ends the client's output. Its input is still read and thrown away for a moment: were the connection closed at once,
   a client in the middle of writing would get an error and might throw away what it has not read yet. */
static void end_output(struct client *client) {
  client->closing = true;
  client->progress_ms = now_ms();
  if (shutdown(client->fd, SHUT_WR) < 0 || client->half) drop(client);
}

bool clients_busy(void) {
  int64_t now = now_ms();
  bool busy = false;
  for (unsigned i = 0; i < used; i++) {
    struct client *client = &clients[i];
    if (client->state != ATTACHED) continue;
    bool output = (client->wants & (WANT_OUT | WANT_ERR)) != 0;
    if (!client->closing && client->put == client->taken && (finished || (client->ended && output))) end_output(client);
    int64_t most = patience(client);
    if (client->state == ATTACHED && most >= 0 && now - client->progress_ms > most) drop(client);
    busy = busy || client->state == ATTACHED;
  }
  return busy;
}

int clients_timeout(void) {
  int64_t least = -1, now = now_ms();
  for (unsigned i = 0; i < used; i++) {
    int64_t left = patience(&clients[i]);
    if (left < 0) continue;
    left += clients[i].progress_ms - now + 1;
    if (least < 0 || left < least) least = left < 0 ? 0 : left;
  }
  return least > 60000 ? 60000 : (int)least;
}

size_t clients_poll(struct pollfd *polls, size_t size) {
  size_t count = 0;
  bool wanted = input_wanted();
  polls[count++] = (struct pollfd){.fd = used < MAX_CLIENTS ? listener : -1, .events = POLLIN};
  for (unsigned i = 0; i < used && count < size; i++) {
    struct client *client = &clients[i];
    short events = 0;
    if (client->state == REQUEST || client->control) events = POLLIN;
    if (client->state == ATTACHED && ((client->input && wanted) || client->closing)) events |= POLLIN;
    if (client->state == ATTACHED && client->spill >= 0) events |= POLLOUT;
    /* A peer that hung up would wake us for ever while its last input still waits for the process to read. */
    bool waits = client->state == ATTACHED && ((client->input && !wanted) || client->later) && events == 0;
    polls[count++] = (struct pollfd){.fd = client->state == FREE || waits ? -1 : client->fd, .events = events};
  }
  return count;
}

static void serve(struct client *client, short events) {
  if (client->state == FREE) return;
  if ((events & POLLOUT) != 0) send_spilled(client);
  if (client->state == REQUEST || client->control) {
    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) read_request(client);
  } else if (client->state == ATTACHED && (client->input || client->closing) && (events & POLLIN) != 0) {
    read_input(client);
  } else if ((events & (POLLHUP | POLLERR)) != 0 && client->state != FREE) {
    /* With stdin still to be read, the hang-up is found when reading. */
    if (!(client->state == ATTACHED && (client->input || client->later))) drop(client);
  }
}

void clients_serve(const struct pollfd *polls, size_t count) {
  unsigned before = (unsigned)count - 1;
  for (unsigned i = 0; i < before; i++)
    if (polls[i + 1].revents != 0 && i < MAX_CLIENTS) serve(&clients[i], polls[i + 1].revents);
  if (polls[0].revents == 0 || listener < 0) return;
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
    if (add(fd) == NULL) {
      close(fd);
      break;
    }
  }
}
