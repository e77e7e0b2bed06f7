/* Sandboxes and the sockets inside them: datagrams are answered in batches, streams one question after the other. */
#define _GNU_SOURCE
#include "net.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define BATCH 32
#define RECEIVE_BYTES 2048
#define STREAMS_PER_SANDBOX 64
#define STREAM_IDLE_MS 10000
/* What a client may leave untaken before it is cut off. */
#define STREAM_OUT_BYTES (256u << 10)

struct sandbox *sandboxes;
static struct table by_id;
static struct stream *streams;
static struct sandbox *buried_sandboxes;
static struct stream *buried_streams;

static void drop_stream(struct stream *stream) {
  if (stream->waited.kind == KIND_GONE) return;
  forward_cancel(NULL, stream);
  wait_end(&stream->waited);
  if (stream->previous == NULL) streams = stream->next;
  else stream->previous->next = stream->next;
  if (stream->next != NULL) stream->next->previous = stream->previous;
  stream->sandbox->streams--;
  stream->buried = buried_streams;
  buried_streams = stream;
}

static void drop_sandbox(struct sandbox *sandbox) {
  forward_cancel(sandbox, NULL);
  for (struct stream *stream = streams, *next; stream != NULL; stream = next) {
    next = stream->next;
    if (stream->sandbox == sandbox) drop_stream(stream);
  }
  wait_end(&sandbox->datagrams);
  wait_end(&sandbox->connections);
  table_remove(&by_id, &sandbox->by_id);
  if (sandbox->previous == NULL) sandboxes = sandbox->next;
  else sandbox->previous->next = sandbox->next;
  if (sandbox->next != NULL) sandbox->next->previous = sandbox->previous;
  sandbox->buried = buried_sandboxes;
  buried_sandboxes = sandbox;
}

static void clear_views(struct sandbox *sandbox) {
  for (size_t i = 0; i < sandbox->views.count; i++) network_release(sandbox->views.views[i].network);
  free(sandbox->views.views);
  free(sandbox->links);
  free(sandbox->text);
  sandbox->views = (struct views){0};
  sandbox->links = NULL;
  sandbox->text = NULL;
}

void sandbox_bury(void) {
  for (struct stream *stream; (stream = buried_streams) != NULL; free(stream)) {
    buried_streams = stream->buried;
    free(stream->out);
  }
  for (struct sandbox *sandbox; (sandbox = buried_sandboxes) != NULL; free(sandbox)) {
    buried_sandboxes = sandbox->buried;
    clear_views(sandbox);
    free(sandbox->id);
  }
}

static struct sandbox *find(const char *id) {
  struct node *node = table_find(&by_id, id, strlen(id), NULL);
  return node == NULL ? NULL : node->value;
}

void sandbox_close(const char *id) {
  struct sandbox *sandbox = find(id);
  if (sandbox != NULL) drop_sandbox(sandbox);
}

void sandbox_sweep(unsigned generation) {
  for (struct sandbox *sandbox = sandboxes, *next; sandbox != NULL; sandbox = next) {
    next = sandbox->next;
    if (sandbox->generation != generation) drop_sandbox(sandbox);
  }
}

static struct sandbox *add(const char *id, int datagrams, int connections) {
  struct sandbox *sandbox = calloc(1, sizeof *sandbox);
  if (sandbox == NULL || (sandbox->id = strdup(id)) == NULL) abort();
  sandbox->datagrams = (struct waited){KIND_DATAGRAMS, datagrams};
  sandbox->connections = (struct waited){KIND_CONNECTIONS, connections};
  sandbox->by_id = (struct node){.key = sandbox->id, .key_size = strlen(id), .value = sandbox};
  table_add(&by_id, &sandbox->by_id);
  sandbox->next = sandboxes;
  if (sandboxes != NULL) sandboxes->previous = sandbox;
  sandboxes = sandbox;
  if (!wait_for(&sandbox->datagrams, EPOLLIN) || !wait_for(&sandbox->connections, EPOLLIN)) {
    drop_sandbox(sandbox);
    return NULL;
  }
  return sandbox;
}

static void add_server(struct sandbox *sandbox, const char *text) {
  if (sandbox->server_count == MAX_SERVERS) return;
  struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found;
  if (getaddrinfo(text, "53", &hints, &found) != 0) return;
  memcpy(&sandbox->servers[sandbox->server_count++], found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  size_t used = strlen(sandbox->scope);
  strncat(sandbox->scope, text, sizeof sandbox->scope - used - 2);
  strcat(sandbox->scope, ",");
}

/* Fields `network ID`, after it `called NAME` and any number of `alias A`, `target T`; `server ADDRESS`, `single -`. */
static void take_fields(struct sandbox *sandbox, struct fields fields) {
  size_t size = (size_t)(fields.end - fields.at), networks = 0, links = 0;
  sandbox->text = malloc(2 * size + 2);
  if (sandbox->text == NULL) abort();
  memcpy(sandbox->text, fields.at, size);
  sandbox->text[size] = 0;
  struct fields own = {sandbox->text, sandbox->text + size};
  for (const char *key; (key = field(&own)) != NULL && field(&own) != NULL;) {
    networks += strcmp(key, "network") == 0;
    links += strcmp(key, "alias") == 0;
  }
  sandbox->views.views = calloc(networks + 1, sizeof *sandbox->views.views);
  sandbox->links = calloc(links + 1, sizeof *sandbox->links);
  if (sandbox->views.views == NULL || sandbox->links == NULL) abort();
  struct view *view = NULL;
  struct link *link = sandbox->links;
  char *lower = sandbox->text + size + 1;
  own = (struct fields){sandbox->text, sandbox->text + size};
  for (const char *key, *value; (key = field(&own)) != NULL && (value = field(&own)) != NULL;) {
    if (strcmp(key, "network") == 0) {
      view = &sandbox->views.views[sandbox->views.count++];
      *view = (struct view){.network = network_hold(value), .name = "", .lower_name = "", .links = link};
    } else if (strcmp(key, "called") == 0 && view != NULL && view->name[0] == 0) {
      view->name = value;
      view->lower_name = lower;
      for (const char *at = value; *at != 0; at++) *lower++ = (char)(*at >= 'A' && *at <= 'Z' ? *at | 0x20 : *at);
      *lower++ = 0;
    } else if (strcmp(key, "alias") == 0 && view != NULL) {
      *link = (struct link){value, ""};
    } else if (strcmp(key, "target") == 0 && view != NULL && link->alias != NULL) {
      (link++)->target = value;
      view->link_count++;
    } else if (strcmp(key, "server") == 0) {
      add_server(sandbox, value);
    } else if (strcmp(key, "single") == 0) {
      sandbox->keep_single = true;
    }
  }
}

void sandbox_set(const char *id, struct fields fields, int datagrams, int connections, unsigned generation) {
  struct sandbox *sandbox = find(id);
  if (sandbox != NULL && datagrams >= 0) {
    drop_sandbox(sandbox);
    sandbox = NULL;
  }
  if (sandbox == NULL && (datagrams < 0 || (sandbox = add(id, datagrams, connections)) == NULL)) return;
  struct sandbox before = *sandbox;
  sandbox->views = (struct views){0};
  sandbox->server_count = 0;
  sandbox->scope[0] = 0;
  sandbox->keep_single = false;
  sandbox->generation = generation;
  take_fields(sandbox, fields);
  /* Only now, so that a network that it stays on is never let go of. */
  clear_views(&before);
}

/* Answers at once into `to`, or passes the question on and answers later: 0. */
static size_t answer(struct sandbox *sandbox, const struct query *query, const uint8_t *message, size_t size,
                     const struct waiter *waiter, uint8_t *to, size_t limit) {
  size_t length = answer_local(&sandbox->views, query, to, limit);
  if (length > 0) return length;
  bool address = query->type == TYPE_A || query->type == TYPE_AAAA;
  bool kept = address && sandbox->keep_single && memchr(query->name, '.', query->name_size) == NULL;
  if (!kept && sandbox->server_count > 0) {
    forward(query, message, size, waiter);
    return 0;
  }
  struct writer writer;
  answer_begin(&writer, query, kept ? CODE_OK : CODE_FAILURE, to, limit);
  return answer_end(&writer);
}

void sandbox_datagrams(struct sandbox *sandbox) {
  static uint8_t received[BATCH][RECEIVE_BYTES], answers[BATCH * DATAGRAM_BYTES];
  static struct sockaddr_in from[BATCH];
  static struct iovec in[BATCH], out[BATCH];
  static struct mmsghdr incoming[BATCH], outgoing[BATCH];
  for (int i = 0; i < BATCH; i++) {
    in[i] = (struct iovec){received[i], RECEIVE_BYTES};
    incoming[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &in[i], .msg_iovlen = 1};
  }
  int count = recvmmsg(sandbox->datagrams.fd, incoming, BATCH, MSG_DONTWAIT, NULL);
  if (count <= 0) return;
  control_drain();
  size_t used = 0;
  unsigned ready = 0;
  for (int i = 0; i < count && sandbox->datagrams.kind != KIND_GONE; i++) {
    struct query query;
    size_t size = incoming[i].msg_len;
    /* What cannot be read is not worth an answer: its sender may not be who it says. */
    if ((incoming[i].msg_hdr.msg_flags & MSG_TRUNC) != 0 || from[i].sin_family != AF_INET) continue;
    if (!query_read(&query, received[i], size)) continue;
    struct waiter waiter = {.sandbox = sandbox, .from = from[i], .id = query.id};
    size_t length = answer(sandbox, &query, received[i], size, &waiter, answers + used, query.max_bytes);
    if (length == 0) continue;
    out[ready] = (struct iovec){answers + used, length};
    outgoing[ready].msg_hdr =
        (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &out[ready], .msg_iovlen = 1};
    used += length;
    ready++;
  }
  for (unsigned sent = 0; sent < ready && sandbox->datagrams.kind != KIND_GONE;) {
    int done = sendmmsg(sandbox->datagrams.fd, outgoing + sent, ready - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    /* One that cannot be sent is left out, as the network would. */
    sent += done > 0 ? (unsigned)done : 1;
  }
}

void sandbox_connections(struct sandbox *sandbox) {
  int fd = accept4(sandbox->connections.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  struct stream *stream = sandbox->streams < STREAMS_PER_SANDBOX ? malloc(sizeof *stream) : NULL;
  if (stream == NULL) {
    close(fd);
    return;
  }
  memset(stream, 0, offsetof(struct stream, in));
  stream->waited = (struct waited){KIND_STREAM, fd};
  if (!wait_for(&stream->waited, EPOLLIN)) {
    close(fd);
    free(stream);
    return;
  }
  stream->sandbox = sandbox;
  sandbox->streams++;
  stream->active_ms = now_ms();
  stream->next = streams;
  if (streams != NULL) streams->previous = stream;
  streams = stream;
}

static void stream_send(struct stream *stream, const uint8_t *message, size_t size) {
  uint8_t head[2] = {(uint8_t)(size >> 8), (uint8_t)size};
  struct iovec parts[2] = {{head, 2}, {(void *)message, size}};
  struct msghdr whole = {.msg_iov = parts, .msg_iovlen = 2};
  ssize_t sent = stream->out_size > 0 ? 0 : sendmsg(stream->waited.fd, &whole, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return drop_stream(stream);
  size_t done = sent < 0 ? 0 : (size_t)sent, left = size + 2 - done;
  if (left == 0) return;
  uint8_t *grown = stream->out_size + left > STREAM_OUT_BYTES ? NULL : realloc(stream->out, stream->out_size + left);
  if (grown == NULL) return drop_stream(stream);
  stream->out = grown;
  if (done < 2) memcpy(grown + stream->out_size, head + done, 2 - done);
  size_t skipped = done < 2 ? 0 : done - 2, head_left = done < 2 ? 2 - done : 0;
  memcpy(grown + stream->out_size + head_left, message + skipped, size - skipped);
  stream->out_size += left;
  wait_change(&stream->waited, EPOLLOUT | (stream->ended ? 0 : EPOLLIN));
}

static void flush(struct stream *stream) {
  ssize_t sent = send(stream->waited.fd, stream->out, stream->out_size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return drop_stream(stream);
  if (sent <= 0) return;
  stream->active_ms = now_ms();
  stream->out_size -= (size_t)sent;
  memmove(stream->out, stream->out + sent, stream->out_size);
  if (stream->out_size > 0) return;
  free(stream->out);
  stream->out = NULL;
  wait_change(&stream->waited, stream->ended ? 0 : EPOLLIN);
}

/* The whole questions that have come. */
static void serve(struct stream *stream) {
  static uint8_t to[MESSAGE_BYTES];
  size_t at = 0;
  while (stream->in_size - at >= 2) {
    const uint8_t *message = stream->in + at + 2;
    size_t size = (size_t)stream->in[at] << 8 | stream->in[at + 1];
    if (size > DATAGRAM_BYTES) return drop_stream(stream);
    if (stream->in_size - at < 2 + size) break;
    struct query query;
    if (!query_read(&query, message, size)) return drop_stream(stream);
    struct waiter waiter = {.sandbox = stream->sandbox, .stream = stream, .id = query.id};
    stream->pending++;
    size_t length = answer(stream->sandbox, &query, message, size, &waiter, to, MESSAGE_BYTES);
    if (length > 0) waiter_deliver(&waiter, to, length);
    if (stream->waited.kind == KIND_GONE) return;
    at += 2 + size;
  }
  stream->in_size -= at;
  memmove(stream->in, stream->in + at, stream->in_size);
}

void stream_ready(struct stream *stream, unsigned events) {
  if ((events & EPOLLOUT) != 0 && stream->out_size > 0) flush(stream);
  if (stream->waited.kind == KIND_GONE || (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
  ssize_t size = recv(stream->waited.fd, stream->in + stream->in_size, sizeof stream->in - stream->in_size, MSG_DONTWAIT);
  if (size < 0) {
    if (errno != EAGAIN) drop_stream(stream);
    return;
  }
  if (size == 0) {
    stream->ended = true;
    if (stream->pending == 0 && stream->out_size == 0) drop_stream(stream);
    else wait_change(&stream->waited, stream->out_size > 0 ? EPOLLOUT : 0);
    return;
  }
  stream->in_size += (size_t)size;
  stream->active_ms = now_ms();
  control_drain();
  if (stream->waited.kind != KIND_GONE) serve(stream);
}

void waiter_deliver(const struct waiter *waiter, const uint8_t *answer, size_t size) {
  struct stream *stream = waiter->stream;
  if (waiter->sandbox == NULL || waiter->sandbox->datagrams.kind == KIND_GONE) return;
  if (stream == NULL) {
    sendto(waiter->sandbox->datagrams.fd, answer, size, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&waiter->from,
           sizeof waiter->from);
    return;
  }
  if (stream->waited.kind == KIND_GONE) return;
  stream->pending--;
  stream_send(stream, answer, size);
  if (stream->waited.kind != KIND_GONE && stream->ended && stream->pending == 0 && stream->out_size == 0) drop_stream(stream);
}

int streams_idle(void) {
  int64_t now = now_ms(), first = INT64_MAX;
  for (struct stream *stream = streams, *next; stream != NULL; stream = next) {
    next = stream->next;
    if (now - stream->active_ms >= STREAM_IDLE_MS) drop_stream(stream);
    else if (stream->active_ms < first) first = stream->active_ms;
  }
  return first == INT64_MAX ? -1 : (int)(first + STREAM_IDLE_MS - now);
}
