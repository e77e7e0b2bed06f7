/*
 * The networks' keeper: one process for all sandboxes of a daemon. It answers the resolver's sockets that stand inside
 * each sandbox, from a table that the daemon writes, and passes other names on to resolvers outside; it holds published
 * ports and relays the connections that the kernel cannot lead. It outlives the daemon, so all that goes on without one.
 * Mechanism only: who sees which names, and which port leads where, comes from the daemon.
 *
 *   main.c      life cycle, the event loop, the daemon's socket, what it says
 *   sandbox.c   sandboxes and their sockets: datagrams, streams
 *   names.c     networks, endpoints, who is called what
 *   answer.c    answers from the names
 *   message.c   reading and writing DNS messages (RFC 1035, 2782, 6891)
 *   forward.c   passing on, several resolvers in turn
 *   cache.c     answers from outside, for as long as they say (RFC 2308)
 *   ports.c     published ports: held, relayed
 *   table.c     hash tables
 *
 * One thread. Every packet may be hostile, and so may be every answer from outside; the daemon is trusted.
 */
#ifndef WHARF_NET_H
#define WHARF_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* table.c: keys are bytes; the table does not own them. Several values may have one key. */
struct node {
  struct node *next;
  uint64_t hash;
  const void *key;
  size_t key_size;
  void *value;
};
struct table {
  struct node **buckets;
  size_t size, count; /* size is 0 or a power of two */
};
void table_seed(void);
void table_add(struct table *table, struct node *node);
void table_remove(struct table *table, struct node *node);
/* The first node of a key, or the next one after `after`; NULL for none. */
struct node *table_find(const struct table *table, const void *key, size_t size, const struct node *after);
void table_free(struct table *table);
uint32_t random_below(uint32_t below);

/* message.c */
enum { TYPE_A = 1, TYPE_SOA = 6, TYPE_PTR = 12, TYPE_MX = 15, TYPE_AAAA = 28, TYPE_SRV = 33, TYPE_OPT = 41 };
enum { CODE_OK = 0, CODE_FAILURE = 2, CODE_NO_NAME = 3 };
#define HEADER_BYTES 12
/* The most that a name is as text. */
#define NAME_BYTES 256
/* Answers by datagram are never larger, whatever the client takes. */
#define DATAGRAM_BYTES 4096
#define MESSAGE_BYTES 65535

struct query {
  uint16_t id, flags, type, class;
  const uint8_t *question; /* the bytes of the question section */
  size_t question_size;
  char name[NAME_BYTES]; /* labels in lower case, with dots between; no final dot */
  size_t name_size;
  size_t max_bytes; /* the largest datagram that the client takes */
  bool extended;    /* it had an OPT record, so the answer has one */
};
/* False for what is no query, asks several or odd things. */
bool query_read(struct query *query, const uint8_t *message, size_t size);

struct writer {
  uint8_t *data;
  size_t size, limit;
  uint16_t answers, additional;
  bool cut, extended;
};
/* `limit` is at least 512 and below 65536. */
void answer_begin(struct writer *writer, const struct query *query, unsigned code, uint8_t *data, size_t limit);
/* `owner` is NULL for the question's name. What does not fit is left out and the message marked as cut. */
void answer_record(struct writer *writer, const char *owner, unsigned type, const uint8_t *data, size_t size);
void answer_more(struct writer *writer, const char *owner, unsigned type, const uint8_t *data, size_t size);
size_t answer_end(struct writer *writer);
/* A name in wire form, at most 255 bytes; labels too long are cut. Answers how many. */
size_t name_write(uint8_t to[NAME_BYTES], const char *name);
/* Code of an answer to that query; -1 when it is none. */
int answer_code(const uint8_t *query, size_t query_size, const uint8_t *answer, size_t size, uint16_t id);
/* Seconds that an answer may be kept, 0 for not at all; calls `each` with where every time to live stands. */
uint32_t answer_life(const uint8_t *answer, size_t size, void (*each)(void *, size_t), void *context);

/* names.c */
struct address {
  uint8_t size; /* 4 or 16 */
  uint8_t bytes[16];
};
bool address_parse(struct address *address, const char *text);
struct service {
  const char *name; /* `_80._tcp` */
  uint16_t port;
};
struct endpoint {
  char *text; /* what all the pointers lead into */
  const char *id, *first_name;
  struct network *network;
  struct address *addresses;
  struct service *services;
  struct node *nodes; /* of its names, then of its addresses */
  size_t names, address_count, service_count;
  struct node by_id;
  struct endpoint *previous, *next;
  unsigned generation;
};
struct network {
  char *id;
  struct node by_id;
  struct table names, addresses, endpoints;
  size_t references; /* endpoints and views */
};
/* The fields of a message of the daemon, each ended by a zero byte. */
struct fields {
  const char *at, *end;
};
/* NULL at the end. */
const char *field(struct fields *fields);

void names_set(const char *network, const char *endpoint, struct fields fields, unsigned generation);
void names_forget(const char *network, const char *endpoint);
/* Forgets all that are not of this generation. */
void names_sweep(unsigned generation);

struct network *network_hold(const char *id);
void network_release(struct network *network);

/* A network as one sandbox sees it. */
struct link {
  const char *alias, *target;
};
struct view {
  struct network *network;
  const char *name, *lower_name;
  struct link *links;
  size_t link_count;
};
struct views {
  struct view *views;
  size_t count;
};
struct found {
  const struct endpoint *endpoint;
  const struct view *view;
};
#define MAX_FOUND 2048
/* Endpoints that `name` (lower case) stands for: on the first of the networks that has any. */
size_t names_find(const struct views *views, const char *name, size_t size, struct found *found);
/* The endpoint that has an address. */
struct found names_reverse(const struct views *views, const struct address *address);

/* answer.c: the answer to a query about names of ours; 0 for those of others. */
size_t answer_local(const struct views *views, const struct query *query, uint8_t *to, size_t limit);

/* sandbox.c */
enum kind { KIND_GONE, KIND_LISTENER, KIND_CONTROL, KIND_DATAGRAMS, KIND_CONNECTIONS, KIND_STREAM, KIND_UPSTREAM, KIND_PORT, KIND_RELAY };
/* What an event belongs to: the first member of all that is waited for. */
struct waited {
  enum kind kind;
  int fd;
};
#define MAX_SERVERS 8
struct sandbox {
  struct waited datagrams, connections;
  char *text; /* what all the pointers lead into */
  char *id;
  struct views views;
  struct link *links;
  struct sockaddr_storage servers[MAX_SERVERS];
  size_t server_count;
  char scope[MAX_SERVERS * 64]; /* the servers, to tell their answers from those of others */
  bool keep_single;             /* names of one label stay here */
  size_t streams, forwards;
  struct node by_id;
  struct sandbox *previous, *next;
  struct sandbox *buried;
  unsigned generation;
};
struct stream {
  struct waited waited;
  struct sandbox *sandbox;
  struct stream *previous, *next, *buried;
  int64_t active_ms;
  size_t pending; /* questions that are out */
  bool ended;     /* sends no more */
  uint8_t *out;
  size_t out_size, in_size;
  uint8_t in[2 + DATAGRAM_BYTES];
};
/* Who waits for an answer from outside: a datagram's sender, or a stream. NULL sandbox: nobody any more. */
struct waiter {
  struct sandbox *sandbox;
  struct stream *stream;
  struct sockaddr_in from;
  uint16_t id;
};
extern struct sandbox *sandboxes;
/* Makes or changes a sandbox. Takes the descriptors, -1 where it has them. */
void sandbox_set(const char *id, struct fields fields, int datagrams, int connections, unsigned generation);
void sandbox_close(const char *id);
void sandbox_sweep(unsigned generation);
void sandbox_datagrams(struct sandbox *sandbox);
void sandbox_connections(struct sandbox *sandbox);
void stream_ready(struct stream *stream, unsigned events);
void waiter_deliver(const struct waiter *waiter, const uint8_t *answer, size_t size);
/* Milliseconds until a stream has been idle for too long, or -1; ends those that have. */
int streams_idle(void);
void sandbox_bury(void);

/* forward.c */
/* Asks the sandbox's servers for the query as it is and answers the waiter, at once or later. */
void forward(const struct query *query, const uint8_t *message, size_t size, const struct waiter *waiter);
void forward_ready(struct waited *waited, unsigned events);
void forward_cancel(const struct sandbox *sandbox, const struct stream *stream);
/* Milliseconds until something is to be done, or -1; does what is due. */
int forward_timers(void);
void forward_bury(void);

/* cache.c: keys are bytes. */
size_t cache_get(const void *key, size_t key_size, uint8_t *to, int64_t now);
void cache_put(const void *key, size_t key_size, const uint8_t *answer, size_t size, int64_t now);
#define CACHE_ENTRIES 4096
size_t cache_count(void);

/* ports.c */
struct port {
  struct waited waited;
  char *id;
  struct sockaddr_storage target;
  bool waiting; /* for connections, to relay them */
  struct node by_id;
  struct port *previous, *next, *buried;
  unsigned generation;
};
extern struct port *ports;
/* Holds a port, or changes one that is held (-1). Fields: address and port to relay to, or none. */
void port_set(const char *id, struct fields fields, int fd, unsigned generation);
void port_close(const char *id);
void port_sweep(unsigned generation);
void port_connections(struct port *port);
void relay_ready(struct waited *waited, unsigned events);
void port_bury(void);

/* main.c */
int64_t now_ms(void);
bool wait_for(struct waited *waited, unsigned events);
void wait_change(struct waited *waited, unsigned events);
/* Ends the waiting alone. */
void wait_stop(struct waited *waited);
/* Ends the waiting and closes. */
void wait_end(struct waited *waited);
/* Takes what the daemon has said. To be called between reading a packet and answering it: a name that was changed
   before the question was sent is changed in the answer. */
void control_drain(void);

#endif
