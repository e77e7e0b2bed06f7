/*
 * Passes queries on to the resolvers of the host, from its namespace, and their answers back, unchanged but for the
 * number. A resolver that is slow is asked beside the next one; the first good answer counts. Every question has sockets
 * of its own, so that their ports are as hard to guess as its number. The same question asked twice at once goes out once.
 */
#define _GNU_SOURCE
#include "net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define TOTAL_LIMIT 2048
#define SANDBOX_LIMIT 256
#define WAITERS_LIMIT 64
/* After so long the next resolver is asked beside those before it. */
#define STAGGER_MS 250
/* After so long without an answer all are asked once more: a datagram may have been lost. */
#define AGAIN_MS 1000
#define TIMEOUT_MS 4000

struct upstream {
  struct waited waited;
  struct forward *forward;
  uint16_t id;
  bool connecting, failed;
  uint8_t *in; /* of a stream: what has come */
  size_t in_size;
};

struct forward {
  struct forward *previous, *next, *buried;
  struct node node;
  bool stream, done;
  struct sandbox *owner; /* whose share it takes; NULL when that is gone */
  struct sockaddr_storage servers[MAX_SERVERS];
  struct upstream upstreams[MAX_SERVERS];
  size_t server_count, asked; /* attempts so far */
  int64_t next_ms, end_ms;
  struct waiter waiters[WAITERS_LIMIT];
  size_t waiter_count;
  uint8_t *fallback; /* the best bad answer */
  size_t fallback_size, key_size, size;
  uint8_t bytes[]; /* the key, then the query */
};

static struct table pending;
static struct forward *forwards, *buried;
static size_t total;
static uint8_t buffer[MESSAGE_BYTES];

static uint8_t *query_of(struct forward *f) { return f->bytes + f->key_size; }

static void fail(struct upstream *upstream) {
  wait_end(&upstream->waited);
  upstream->failed = true;
}

static void end(struct forward *f, const uint8_t *answer, size_t size) {
  if (f->done) return;
  f->done = true;
  for (size_t i = 0; i < f->server_count; i++) wait_end(&f->upstreams[i].waited);
  table_remove(&pending, &f->node);
  if (f->previous == NULL) forwards = f->next;
  else f->previous->next = f->next;
  if (f->next != NULL) f->next->previous = f->previous;
  total--;
  if (f->owner != NULL) f->owner->forwards--;
  f->buried = buried;
  buried = f;
  if (answer == NULL) answer = f->fallback, size = f->fallback_size;
  uint8_t *copy = answer == NULL ? NULL : malloc(size);
  if (copy != NULL) memcpy(copy, answer, size);
  for (size_t i = 0; i < f->waiter_count; i++) {
    const struct waiter *waiter = &f->waiters[i];
    if (waiter->sandbox == NULL) continue;
    if (copy != NULL) {
      copy[0] = (uint8_t)(waiter->id >> 8), copy[1] = (uint8_t)waiter->id;
      waiter_deliver(waiter, copy, size);
      continue;
    }
    struct query query;
    struct writer writer;
    uint8_t failure[DATAGRAM_BYTES];
    if (!query_read(&query, query_of(f), f->size)) continue;
    query.id = waiter->id;
    answer_begin(&writer, &query, CODE_FAILURE, failure, sizeof failure);
    waiter_deliver(waiter, failure, answer_end(&writer));
  }
  free(copy);
}

static socklen_t size_of(const struct sockaddr_storage *address) {
  return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void send_query(struct upstream *upstream) {
  struct forward *f = upstream->forward;
  uint8_t head[4] = {(uint8_t)(f->size >> 8), (uint8_t)f->size, (uint8_t)(upstream->id >> 8), (uint8_t)upstream->id};
  struct iovec parts[2] = {{f->stream ? head : head + 2, f->stream ? 4 : 2}, {query_of(f) + 2, f->size - 2}};
  struct msghdr whole = {.msg_iov = parts, .msg_iovlen = 2};
  ssize_t wanted = (ssize_t)f->size + (f->stream ? 2 : 0);
  /* A question fits into an empty socket's buffer. */
  if (sendmsg(upstream->waited.fd, &whole, MSG_DONTWAIT | MSG_NOSIGNAL) != wanted) fail(upstream);
}

static void ask(struct forward *f, size_t index) {
  struct upstream *upstream = &f->upstreams[index];
  const struct sockaddr_storage *server = &f->servers[index];
  if (upstream->failed || (f->stream && upstream->waited.kind != KIND_GONE)) return;
  if (upstream->waited.kind == KIND_GONE) {
    int type = (f->stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
    upstream->waited = (struct waited){KIND_UPSTREAM, socket(server->ss_family, type, 0)};
    upstream->id = (uint16_t)random_below(65536);
    if (upstream->waited.fd < 0) {
      upstream->waited.kind = KIND_GONE;
      upstream->failed = true;
      return;
    }
    bool connected = connect(upstream->waited.fd, (const struct sockaddr *)server, size_of(server)) == 0;
    upstream->connecting = !connected && errno == EINPROGRESS;
    if ((!connected && !upstream->connecting) || !wait_for(&upstream->waited, upstream->connecting ? EPOLLOUT : EPOLLIN))
      return fail(upstream);
  }
  if (!upstream->connecting) send_query(upstream);
}

/* Asks the next resolver, and goes on to those after it that cannot be asked; ends when none is left. */
static void advance(struct forward *f) {
  size_t rounds = f->stream ? 1 : 2;
  while (f->asked < rounds * f->server_count) {
    size_t index = f->asked++ % f->server_count;
    ask(f, index);
    bool last = f->asked % f->server_count == 0;
    f->next_ms = f->asked == rounds * f->server_count ? f->end_ms : now_ms() + (last ? AGAIN_MS : STAGGER_MS);
    if (!f->upstreams[index].failed) return;
  }
  f->next_ms = f->end_ms;
  for (size_t i = 0; i < f->server_count; i++)
    if (!f->upstreams[i].failed) return;
  end(f, NULL, 0);
}

void forward(const struct query *query, const uint8_t *message, size_t size, const struct waiter *waiter) {
  struct sandbox *sandbox = waiter->sandbox;
  static uint8_t key[sizeof sandbox->scope + 1 + DATAGRAM_BYTES];
  size_t scope_size = strlen(sandbox->scope), key_size = scope_size + 1 + size - 2;
  memcpy(key, sandbox->scope, scope_size);
  key[scope_size] = waiter->stream != NULL;
  memcpy(key + scope_size + 1, message + 2, size - 2);
  size_t found = cache_get(key, key_size, buffer, now_ms());
  if (found > 0) {
    buffer[0] = (uint8_t)(query->id >> 8), buffer[1] = (uint8_t)query->id;
    return waiter_deliver(waiter, buffer, found);
  }
  struct node *node = table_find(&pending, key, key_size, NULL);
  struct forward *f = node == NULL ? NULL : node->value;
  if (f != NULL && f->waiter_count < WAITERS_LIMIT) {
    f->waiters[f->waiter_count++] = *waiter;
    return;
  }
  bool full = f != NULL || total >= TOTAL_LIMIT || sandbox->forwards >= SANDBOX_LIMIT;
  f = full ? NULL : calloc(1, sizeof *f + key_size + size);
  if (f == NULL) {
    uint8_t failure[DATAGRAM_BYTES];
    struct writer writer;
    answer_begin(&writer, query, CODE_FAILURE, failure, sizeof failure);
    return waiter_deliver(waiter, failure, answer_end(&writer));
  }
  memcpy(f->bytes, key, key_size);
  memcpy(f->bytes + key_size, message, size);
  f->key_size = key_size;
  f->size = size;
  f->stream = waiter->stream != NULL;
  f->owner = sandbox;
  f->server_count = sandbox->server_count;
  memcpy(f->servers, sandbox->servers, sizeof f->servers);
  for (size_t i = 0; i < MAX_SERVERS; i++) f->upstreams[i] = (struct upstream){.waited = {KIND_GONE, -1}, .forward = f};
  f->waiters[f->waiter_count++] = *waiter;
  f->node = (struct node){.key = f->bytes, .key_size = key_size, .value = f};
  table_add(&pending, &f->node);
  f->next = forwards;
  if (forwards != NULL) forwards->previous = f;
  forwards = f;
  total++;
  sandbox->forwards++;
  f->end_ms = now_ms() + TIMEOUT_MS;
  advance(f);
}

static void take(struct upstream *upstream, const uint8_t *answer, size_t size) {
  struct forward *f = upstream->forward;
  int code = answer_code(query_of(f), f->size, answer, size, upstream->id);
  if (code < 0) return;
  if (code == CODE_OK || code == CODE_NO_NAME) {
    cache_put(f->bytes, f->key_size, answer, size, now_ms());
    return end(f, answer, size);
  }
  free(f->fallback);
  f->fallback = malloc(size);
  f->fallback_size = size;
  if (f->fallback != NULL) memcpy(f->fallback, answer, size);
  fail(upstream);
}

static void read_stream(struct upstream *upstream) {
  if (upstream->in == NULL && (upstream->in = malloc(2 + MESSAGE_BYTES)) == NULL) return fail(upstream);
  ssize_t size = recv(upstream->waited.fd, upstream->in + upstream->in_size, 2 + MESSAGE_BYTES - upstream->in_size, MSG_DONTWAIT);
  if (size < 0 && errno == EAGAIN) return;
  if (size <= 0) return fail(upstream);
  upstream->in_size += (size_t)size;
  if (upstream->in_size < 2) return;
  size_t length = (size_t)upstream->in[0] << 8 | upstream->in[1];
  if (upstream->in_size - 2 < length) return;
  take(upstream, upstream->in + 2, length);
  /* It said something else than what it was asked. */
  if (!upstream->forward->done && !upstream->failed) fail(upstream);
}

void forward_ready(struct waited *waited, unsigned events) {
  struct upstream *upstream = (struct upstream *)waited;
  struct forward *f = upstream->forward;
  if (f->done || waited->kind == KIND_GONE) return;
  if (upstream->connecting) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(waited->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    upstream->connecting = false;
    if (error != 0 || (events & EPOLLERR) != 0) fail(upstream);
    else wait_change(waited, EPOLLIN), send_query(upstream);
  } else if (f->stream) {
    read_stream(upstream);
  } else {
    ssize_t size = recv(waited->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    /* ECONNREFUSED: nobody listens there. */
    if (size < 0 && errno != EAGAIN) fail(upstream);
    else if (size > 0) take(upstream, buffer, (size_t)size);
  }
  if (!f->done && upstream->failed) advance(f);
}

void forward_cancel(const struct sandbox *sandbox, const struct stream *stream) {
  for (struct forward *f = forwards; f != NULL; f = f->next) {
    if (sandbox != NULL && f->owner == sandbox) f->owner = NULL;
    for (size_t i = 0; i < f->waiter_count; i++) {
      struct waiter *waiter = &f->waiters[i];
      if ((sandbox != NULL && waiter->sandbox == sandbox) || (stream != NULL && waiter->stream == stream)) waiter->sandbox = NULL;
    }
  }
}

int forward_timers(void) {
  int64_t now = now_ms(), first = INT64_MAX;
  for (struct forward *f = forwards, *next; f != NULL; f = next) {
    next = f->next;
    if (now >= f->end_ms) end(f, NULL, 0);
    else if (now >= f->next_ms) advance(f);
    if (!f->done && f->next_ms < first) first = f->next_ms;
  }
  return first == INT64_MAX ? -1 : first <= now ? 0 : (int)(first - now);
}

void forward_bury(void) {
  for (struct forward *f; (f = buried) != NULL; free(f)) {
    buried = f->buried;
    free(f->fallback);
    for (size_t i = 0; i < f->server_count; i++) free(f->upstreams[i].in);
  }
}
