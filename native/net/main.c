/*
 * wharf-net PATH: descriptor 3 is a listening socket of packets at PATH. The daemon connects to it and is told what there
 * is, `have ID` with both sockets of each sandbox, `port ID` with that of each port, and then `ready`; one packet from
 * the daemon is one of
 *
 *   begin                        a daemon that has just started goes through all there is
 *   endpoint NETWORK ID ...      sets who is called what (names.c)
 *   forget NETWORK ID
 *   sandbox ID ...               sets what a sandbox sees (sandbox.c); with its two sockets when it is new
 *   close ID
 *   port ID [ADDRESS PORT]       holds a socket, and relays its connections to there; with the socket when it is new
 *   unport ID
 *   sweep                        what was not set since `begin` goes
 *   watch                        with a descriptor that is held open as long as this process lives
 *   ping                         `pong`: all before it is done
 *   quit
 *
 * fields ended by zero bytes. It ends when there is nothing to do: neither sandbox nor port, and no daemon; or its
 * socket was removed.
 */
#define _GNU_SOURCE
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PACKET_BYTES (256 << 10)
#define NOBODY 65534
/* Without a daemon: how often to look whether the socket is still there. */
#define LOOK_MS 5000

static int epoll = -1, place = -1, watch = -1;
static struct waited listener = {KIND_LISTENER, 3}, control = {KIND_GONE, -1};
static unsigned generation = 1;

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool wait_for(struct waited *waited, unsigned events) {
  return epoll_ctl(epoll, EPOLL_CTL_ADD, waited->fd, &(struct epoll_event){.events = events, .data.ptr = waited}) == 0;
}

void wait_change(struct waited *waited, unsigned events) {
  epoll_ctl(epoll, EPOLL_CTL_MOD, waited->fd, &(struct epoll_event){.events = events, .data.ptr = waited});
}

void wait_stop(struct waited *waited) { epoll_ctl(epoll, EPOLL_CTL_DEL, waited->fd, NULL); }

void wait_end(struct waited *waited) {
  if (waited->kind == KIND_GONE) return;
  /* The daemon holds copies of sockets, so closing alone would not end the waiting. */
  wait_stop(waited);
  close(waited->fd);
  waited->kind = KIND_GONE;
}

static bool tell(const char *text, size_t size, const int *descriptors, size_t count) {
  union {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(2 * sizeof(int))];
  } extra = {0};
  struct iovec part = {(void *)text, size};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (count > 0) {
    message.msg_control = &extra;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    extra.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(count * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&extra.head), descriptors, count * sizeof(int));
  }
  return sendmsg(control.fd, &message, MSG_NOSIGNAL) == (ssize_t)size;
}

static bool tell_of(const char *word, const char *id, const int *descriptors, size_t count) {
  char text[8 + 256] = {0};
  size_t size = strlen(word) + 1;
  strcpy(text, word);
  strncpy(text + size, id, 255);
  return tell(text, size + strlen(text + size), descriptors, count);
}

/* A daemon connects; one that was there before is gone or will be. */
static void greet(void) {
  int fd = accept4(listener.fd, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0) return;
  wait_end(&control);
  if (watch >= 0) close(watch);
  watch = -1;
  control = (struct waited){KIND_CONTROL, fd};
  /* A daemon that does not listen must not hold the resolver up. */
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_sec = 2}, sizeof(struct timeval));
  bool told = true;
  for (struct sandbox *sandbox = sandboxes; told && sandbox != NULL; sandbox = sandbox->next)
    told = tell_of("have", sandbox->id, (int[]){sandbox->datagrams.fd, sandbox->connections.fd}, 2);
  for (struct port *port = ports; told && port != NULL; port = port->next) told = tell_of("port", port->id, &port->waited.fd, 1);
  if (!told || !tell("ready", 5, NULL, 0) || !wait_for(&control, EPOLLIN)) wait_end(&control);
}

/* Takes up to two descriptors and uses or closes them. */
static void obey(struct fields fields, int *descriptors) {
  const char *word = field(&fields), *first = field(&fields);
  if (word == NULL) return;
  if (strcmp(word, "begin") == 0) generation++;
  else if (strcmp(word, "sweep") == 0) sandbox_sweep(generation), names_sweep(generation), port_sweep(generation);
  else if (strcmp(word, "quit") == 0) exit(0);
  else if (strcmp(word, "ping") == 0) tell("pong", 4, NULL, 0);
  else if (strcmp(word, "watch") == 0 && watch < 0) watch = descriptors[0], descriptors[0] = -1;
  else if (first == NULL) return;
  else if (strcmp(word, "close") == 0) sandbox_close(first);
  else if (strcmp(word, "unport") == 0) port_close(first);
  else if (strcmp(word, "port") == 0) port_set(first, fields, descriptors[0], generation), descriptors[0] = -1;
  else if (strcmp(word, "sandbox") == 0) {
    bool both = descriptors[0] >= 0 && descriptors[1] >= 0;
    sandbox_set(first, fields, both ? descriptors[0] : -1, both ? descriptors[1] : -1, generation);
    if (both) descriptors[0] = descriptors[1] = -1;
  } else {
    const char *second = field(&fields);
    if (second == NULL) return;
    if (strcmp(word, "forget") == 0) names_forget(first, second);
    else if (strcmp(word, "endpoint") == 0) names_set(first, second, fields, generation);
  }
}

void control_drain(void) {
  static char packet[PACKET_BYTES + 1];
  while (control.kind != KIND_GONE) {
    union {
      struct cmsghdr head;
      char bytes[CMSG_SPACE(2 * sizeof(int))];
    } extra;
    struct iovec part = {packet, PACKET_BYTES};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &extra, .msg_controllen = sizeof extra.bytes};
    ssize_t size = recvmsg(control.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) return wait_end(&control);
    int descriptors[2] = {-1, -1};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (head != NULL && head->cmsg_type == SCM_RIGHTS) memcpy(descriptors, CMSG_DATA(head), head->cmsg_len - CMSG_LEN(0));
    packet[size] = 0;
    obey((struct fields){packet, packet + size}, descriptors);
    for (int i = 0; i < 2; i++)
      if (descriptors[i] >= 0) close(descriptors[i]);
  }
}

static void serve(struct waited *waited, unsigned events) {
  switch (waited->kind) {
    case KIND_LISTENER: return greet();
    case KIND_CONTROL: return control_drain();
    case KIND_DATAGRAMS: return sandbox_datagrams((struct sandbox *)((char *)waited - offsetof(struct sandbox, datagrams)));
    case KIND_CONNECTIONS: return sandbox_connections((struct sandbox *)((char *)waited - offsetof(struct sandbox, connections)));
    case KIND_STREAM: return stream_ready((struct stream *)waited, events);
    case KIND_UPSTREAM: return forward_ready(waited, events);
    case KIND_PORT: return port_connections((struct port *)waited);
    case KIND_RELAY: return relay_ready(waited, events);
    case KIND_GONE: return;
  }
}

static int sooner(int a, int b) { return a < 0 ? b : b < 0 || a < b ? a : b; }

static bool is_removed(void) {
  struct stat found;
  return fstat(place, &found) == 0 && found.st_nlink == 0;
}

/* Packets from containers are read here: nothing that root may do is needed any more. */
static void become_nobody(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0)) exit(1);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  signal(SIGPIPE, SIG_IGN);
  setsid();
  place = open(arguments[1], O_PATH | O_CLOEXEC | O_NOFOLLOW);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  if (place < 0 || epoll < 0 || !wait_for(&listener, EPOLLIN)) return 1;
  become_nobody();
  table_seed();
  for (bool greeted = false;;) {
    struct epoll_event events[64];
    int timeout = sooner(forward_timers(), streams_idle());
    if (control.kind == KIND_GONE) {
      timeout = sooner(timeout, LOOK_MS);
      if ((greeted && sandboxes == NULL && ports == NULL) || is_removed()) return 0;
    }
    sandbox_bury();
    port_bury();
    forward_bury();
    int ready = epoll_wait(epoll, events, 64, timeout);
    if (ready < 0 && errno != EINTR) return 1;
    for (int i = 0; i < ready; i++) serve(events[i].data.ptr, events[i].events);
    greeted = greeted || control.kind != KIND_GONE;
  }
}
