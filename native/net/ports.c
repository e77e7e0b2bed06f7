/*
 * Published ports: sockets that hold the numbers on the host, and connections that the kernel cannot lead to a container,
 * those to [::1] and those over IPv6 to a container that has IPv4 alone. What is read from one end is written to the other
 * at once; only what that does not take is kept, and until it is gone nothing more is read.
 */
#define _GNU_SOURCE
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define RELAYS_LIMIT 8192
#define CHUNK_BYTES (64 << 10)
/* Chunks in a row from one end before others have their turn. */
#define TURN_CHUNKS 8

/* One end of a relayed connection, and what was read from it and is not written to the other yet. */
struct side {
  struct waited waited;
  struct relay *relay;
  uint8_t *left;
  size_t left_at, left_size;
  bool connecting, ended, shut, unwaited;
};
struct relay {
  struct side sides[2]; /* the client's, the container's */
  struct relay *buried;
  bool dropped;
};

struct port *ports;
static struct table by_id;
static struct port *buried_ports;
static struct relay *buried_relays;
static size_t relays;

static struct port *find(const char *id) {
  struct node *node = table_find(&by_id, id, strlen(id), NULL);
  return node == NULL ? NULL : node->value;
}

static void drop_port(struct port *port) {
  if (port->waiting) wait_end(&port->waited);
  else close(port->waited.fd);
  port->waited.kind = KIND_GONE;
  table_remove(&by_id, &port->by_id);
  if (port->previous == NULL) ports = port->next;
  else port->previous->next = port->next;
  if (port->next != NULL) port->next->previous = port->previous;
  port->buried = buried_ports;
  buried_ports = port;
}

void port_close(const char *id) {
  struct port *port = find(id);
  if (port != NULL) drop_port(port);
}

void port_sweep(unsigned generation) {
  for (struct port *port = ports, *next; port != NULL; port = next) {
    next = port->next;
    if (port->generation != generation) drop_port(port);
  }
}

static bool target_parse(struct sockaddr_storage *target, const char *text, const char *number) {
  struct address address;
  unsigned long value = strtoul(number, NULL, 10);
  *target = (struct sockaddr_storage){0};
  if (!address_parse(&address, text) || value == 0 || value > 65535) return false;
  if (address.size == 4) {
    struct sockaddr_in *in = (struct sockaddr_in *)target;
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)value);
    memcpy(&in->sin_addr, address.bytes, 4);
  } else {
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)target;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t)value);
    memcpy(&in6->sin6_addr, address.bytes, 16);
  }
  return true;
}

void port_set(const char *id, struct fields fields, int fd, unsigned generation) {
  struct port *port = find(id);
  if (port != NULL && fd >= 0) {
    drop_port(port);
    port = NULL;
  }
  if (port == NULL) {
    if (fd < 0) return;
    port = calloc(1, sizeof *port);
    if (port == NULL || (port->id = strdup(id)) == NULL) abort();
    port->waited = (struct waited){KIND_PORT, fd};
    port->by_id = (struct node){.key = port->id, .key_size = strlen(id), .value = port};
    table_add(&by_id, &port->by_id);
    port->next = ports;
    if (ports != NULL) ports->previous = port;
    ports = port;
  }
  port->generation = generation;
  const char *address = field(&fields), *number = field(&fields);
  bool relays = address != NULL && number != NULL && target_parse(&port->target, address, number);
  if (relays && !port->waiting) port->waiting = listen(port->waited.fd, 512) == 0 && wait_for(&port->waited, EPOLLIN);
}

static void drop_relay(struct relay *relay) {
  if (relay->dropped) return;
  relay->dropped = true;
  for (int i = 0; i < 2; i++) {
    if (relay->sides[i].unwaited) close(relay->sides[i].waited.fd), relay->sides[i].waited.kind = KIND_GONE;
    else wait_end(&relay->sides[i].waited);
  }
  relays--;
  relay->buried = buried_relays;
  buried_relays = relay;
}

void port_bury(void) {
  for (struct relay *relay; (relay = buried_relays) != NULL; free(relay)) {
    buried_relays = relay->buried;
    free(relay->sides[0].left);
    free(relay->sides[1].left);
  }
  for (struct port *port; (port = buried_ports) != NULL; free(port)) {
    buried_ports = port->buried;
    free(port->id);
  }
}

static struct side *other(struct side *side) { return &side->relay->sides[side == &side->relay->sides[0]]; }

/* Waits for what a side can do now: give, as long as all that it gave was taken, and take what is left for it. */
static void settle(struct relay *relay) {
  for (int i = 0; i < 2; i++) {
    struct side *side = &relay->sides[i], *peer = other(side);
    if (side->ended && side->left_size == 0 && !peer->shut && !peer->connecting) {
      shutdown(peer->waited.fd, SHUT_WR);
      peer->shut = true;
    }
  }
  if (relay->sides[0].shut && relay->sides[1].shut) return drop_relay(relay);
  for (int i = 0; i < 2; i++) {
    struct side *side = &relay->sides[i], *peer = other(side);
    if (side->unwaited) continue;
    /* Nothing is expected from it any more: a hang-up would be told for ever. */
    if (side->ended && side->shut) {
      wait_stop(&side->waited);
      side->unwaited = true;
      continue;
    }
    unsigned in = !side->ended && !side->connecting && side->left_size == 0 && !peer->connecting ? EPOLLIN : 0;
    wait_change(&side->waited, in | (side->connecting || peer->left_size > 0 ? EPOLLOUT : 0));
  }
}

void port_connections(struct port *port) {
  int client = accept4(port->waited.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (client < 0) return;
  int server = relays < RELAYS_LIMIT ? socket(port->target.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
  struct relay *relay = server < 0 ? NULL : calloc(1, sizeof *relay);
  socklen_t size = port->target.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
  if (relay == NULL || (connect(server, (struct sockaddr *)&port->target, size) < 0 && errno != EINPROGRESS)) {
    close(client);
    if (server >= 0) close(server);
    free(relay);
    return;
  }
  int fds[2] = {client, server};
  relays++;
  for (int i = 0; i < 2; i++) {
    setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    relay->sides[i] = (struct side){.waited = {KIND_RELAY, fds[i]}, .relay = relay, .connecting = i == 1};
    if (!wait_for(&relay->sides[i].waited, 0)) relay->sides[i].unwaited = true;
  }
  if (relay->sides[0].unwaited || relay->sides[1].unwaited) return drop_relay(relay);
  settle(relay);
}

/* Writes what there is; how much was taken, -1 when it takes nothing ever again. */
static ssize_t give(struct side *to, const uint8_t *data, size_t size) {
  ssize_t sent = send(to->waited.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent < 0 && errno == EAGAIN ? 0 : sent;
}

static bool take(struct side *side) {
  static uint8_t chunk[CHUNK_BYTES];
  for (int turn = 0; turn < TURN_CHUNKS && side->left_size == 0 && !side->ended; turn++) {
    ssize_t size = recv(side->waited.fd, chunk, sizeof chunk, MSG_DONTWAIT);
    if (size < 0) return errno == EAGAIN;
    if (size == 0) {
      side->ended = true;
      break;
    }
    ssize_t sent = give(other(side), chunk, (size_t)size);
    if (sent < 0) return false;
    side->left_size = (size_t)(size - sent);
    if (side->left_size == 0) continue;
    if (side->left == NULL && (side->left = malloc(CHUNK_BYTES)) == NULL) return false;
    memcpy(side->left, chunk + sent, side->left_size);
    side->left_at = 0;
  }
  return true;
}

static bool flush(struct side *from) {
  ssize_t sent = give(other(from), from->left + from->left_at, from->left_size);
  if (sent < 0) return false;
  from->left_at += (size_t)sent;
  from->left_size -= (size_t)sent;
  if (from->left_size > 0) return true;
  free(from->left);
  from->left = NULL;
  return true;
}

void relay_ready(struct waited *waited, unsigned events) {
  struct side *side = (struct side *)waited;
  struct relay *relay = side->relay;
  bool good = true;
  if (side->connecting) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(waited->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return drop_relay(relay);
    if ((events & EPOLLOUT) == 0) return;
    side->connecting = false;
  } else {
    struct side *peer = other(side);
    if ((events & EPOLLOUT) != 0 && peer->left_size > 0) good = flush(peer);
    /* One that is not waited for any more still has what had come before it ended. */
    while (good && peer->unwaited && peer->left_size == 0 && !peer->ended) good = take(peer);
    if (good && (events & (EPOLLIN | EPOLLHUP)) != 0 && !peer->connecting) good = take(side);
    /* Reset; or a client is gone while the container is not reached yet. */
    if ((events & EPOLLERR) != 0 || ((events & EPOLLHUP) != 0 && peer->connecting)) good = false;
    /* A hang-up would be told for ever. */
    if (good && (events & EPOLLHUP) != 0 && !side->unwaited) {
      wait_stop(&side->waited);
      side->unwaited = true;
      while (good && side->left_size == 0 && !side->ended) good = take(side);
    }
  }
  if (good) settle(relay);
  else drop_relay(relay);
}
