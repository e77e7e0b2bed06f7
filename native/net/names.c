/* Who is called what on which network. */
#define _GNU_SOURCE
#include "net.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static struct table networks;
static struct endpoint *endpoints;

const char *field(struct fields *fields) {
  if (fields->at >= fields->end) return NULL;
  const char *found = fields->at, *zero = memchr(found, 0, (size_t)(fields->end - found));
  /* The last field is ended by the message. */
  fields->at = zero == NULL ? fields->end : zero + 1;
  return found;
}

bool address_parse(struct address *address, const char *text) {
  memset(address, 0, sizeof *address);
  address->size = strchr(text, ':') == NULL ? 4 : 16;
  return inet_pton(address->size == 4 ? AF_INET : AF_INET6, text, address->bytes) == 1;
}

struct network *network_hold(const char *id) {
  struct node *node = table_find(&networks, id, strlen(id), NULL);
  struct network *network = node == NULL ? NULL : node->value;
  if (network == NULL) {
    network = calloc(1, sizeof *network);
    if (network == NULL || (network->id = strdup(id)) == NULL) abort();
    network->by_id = (struct node){.key = network->id, .key_size = strlen(id), .value = network};
    table_add(&networks, &network->by_id);
  }
  network->references++;
  return network;
}

void network_release(struct network *network) {
  if (--network->references > 0) return;
  table_remove(&networks, &network->by_id);
  table_free(&network->names);
  table_free(&network->addresses);
  table_free(&network->endpoints);
  free(network->id);
  free(network);
}

static void forget(struct endpoint *endpoint) {
  struct network *network = endpoint->network;
  for (size_t i = 0; i < endpoint->names; i++) table_remove(&network->names, &endpoint->nodes[i]);
  for (size_t i = 0; i < endpoint->address_count; i++)
    table_remove(&network->addresses, &endpoint->nodes[endpoint->names + i]);
  table_remove(&network->endpoints, &endpoint->by_id);
  if (endpoint->previous == NULL) endpoints = endpoint->next;
  else endpoint->previous->next = endpoint->next;
  if (endpoint->next != NULL) endpoint->next->previous = endpoint->previous;
  free(endpoint->text);
  free(endpoint->addresses);
  free(endpoint->services);
  free(endpoint->nodes);
  free(endpoint);
  network_release(network);
}

static struct endpoint *find(const char *network, const char *id) {
  struct node *node = table_find(&networks, network, strlen(network), NULL);
  if (node == NULL) return NULL;
  struct network *found = node->value;
  node = table_find(&found->endpoints, id, strlen(id), NULL);
  return node == NULL ? NULL : node->value;
}

void names_forget(const char *network, const char *id) {
  struct endpoint *endpoint = find(network, id);
  if (endpoint != NULL) forget(endpoint);
}

void names_sweep(unsigned generation) {
  for (struct endpoint *endpoint = endpoints, *next; endpoint != NULL; endpoint = next) {
    next = endpoint->next;
    if (endpoint->generation != generation) forget(endpoint);
  }
}

static const char *lowered(char *text) {
  for (char *at = text; *at != 0; at++) *at = (char)tolower((unsigned char)*at);
  return text;
}

/* Fields `name X`, `address X`, `service PORT NAME` as "80 _80._tcp". */
static void take_fields(struct endpoint *endpoint, struct fields fields) {
  for (const char *key, *value; (key = field(&fields)) != NULL && (value = field(&fields)) != NULL;) {
    if (strcmp(key, "name") == 0) {
      struct node *node = &endpoint->nodes[endpoint->names++];
      *node = (struct node){.key = lowered((char *)value), .key_size = strlen(value), .value = endpoint};
    } else if (strcmp(key, "address") == 0) {
      if (address_parse(&endpoint->addresses[endpoint->address_count], value)) endpoint->address_count++;
    } else if (strcmp(key, "service") == 0) {
      char *name;
      unsigned long port = strtoul(value, &name, 10);
      if (*name != ' ' || port > 65535) continue;
      endpoint->services[endpoint->service_count++] = (struct service){lowered(name + 1), (uint16_t)port};
    }
  }
}

void names_set(const char *network, const char *id, struct fields fields, unsigned generation) {
  names_forget(network, id);
  size_t count = 0, id_size = strlen(id) + 1, size = (size_t)(fields.end - fields.at);
  for (struct fields all = fields; field(&all) != NULL;) count++;
  count = count / 2 + 1;
  struct endpoint *endpoint = calloc(1, sizeof *endpoint);
  if (endpoint == NULL) abort();
  endpoint->text = malloc(2 * (id_size + size) + 2);
  endpoint->addresses = calloc(count, sizeof *endpoint->addresses);
  endpoint->services = calloc(count, sizeof *endpoint->services);
  endpoint->nodes = calloc(count, sizeof *endpoint->nodes);
  if (endpoint->text == NULL || endpoint->addresses == NULL || endpoint->services == NULL || endpoint->nodes == NULL) abort();
  /* The text twice: as it came, for the name that is shown, and in lower case, to be found by. */
  char *copy = endpoint->text;
  memcpy(copy, id, id_size);
  memcpy(copy + id_size, fields.at, size);
  copy[id_size + size] = 0;
  char *second = copy + id_size + size + 1;
  memcpy(second, fields.at, size);
  second[size] = 0;
  endpoint->id = copy;
  struct fields shown = {copy + id_size, copy + id_size + size};
  for (const char *key, *value; endpoint->first_name == NULL && (key = field(&shown)) != NULL && (value = field(&shown)) != NULL;)
    if (strcmp(key, "name") == 0) endpoint->first_name = value;
  take_fields(endpoint, (struct fields){second, second + size});
  endpoint->generation = generation;
  struct network *home = endpoint->network = network_hold(network);
  for (size_t i = 0; i < endpoint->names; i++) table_add(&home->names, &endpoint->nodes[i]);
  for (size_t i = 0; i < endpoint->address_count; i++) {
    struct node *node = &endpoint->nodes[endpoint->names + i];
    const struct address *address = &endpoint->addresses[i];
    *node = (struct node){.key = address->bytes, .key_size = address->size, .value = endpoint};
    table_add(&home->addresses, node);
  }
  endpoint->by_id = (struct node){.key = endpoint->id, .key_size = strlen(id), .value = endpoint};
  table_add(&home->endpoints, &endpoint->by_id);
  endpoint->next = endpoints;
  if (endpoints != NULL) endpoints->previous = endpoint;
  endpoints = endpoint;
}

static size_t lookup(const struct view *view, const char *name, size_t size, struct found *found) {
  size_t count = 0;
  for (struct node *node = NULL; count < MAX_FOUND && (node = table_find(&view->network->names, name, size, node)) != NULL;)
    found[count++] = (struct found){node->value, view};
  return count;
}

static bool same(const char *text, const char *bytes, size_t size) { return strlen(text) == size && memcmp(text, bytes, size) == 0; }

/* `host` on the networks called `network`, or on all of them when that is NULL; links come first. */
static size_t find_host(const struct views *views, const char *host, size_t size, const char *network, size_t network_size,
                        struct found *found) {
  for (int links = 1; links >= 0; links--) {
    for (size_t i = 0; i < views->count; i++) {
      const struct view *view = &views->views[i];
      if (network != NULL && !same(view->lower_name, network, network_size)) continue;
      size_t count = links ? 0 : lookup(view, host, size, found);
      for (size_t j = 0; links && count == 0 && j < view->link_count; j++) {
        const struct link *link = &view->links[j];
        if (same(link->alias, host, size)) count = lookup(view, link->target, strlen(link->target), found);
      }
      if (count > 0) return count;
    }
  }
  return 0;
}

size_t names_find(const struct views *views, const char *name, size_t size, struct found *found) {
  size_t count = find_host(views, name, size, NULL, 0, found);
  /* Every way to read it as name and network, either of which may hold dots. */
  for (size_t dot = size; count == 0 && dot-- > 1;)
    if (name[dot] == '.') count = find_host(views, name, dot, name + dot + 1, size - dot - 1, found);
  return count;
}

struct found names_reverse(const struct views *views, const struct address *address) {
  for (size_t i = 0; i < views->count; i++) {
    const struct table *addresses = &views->views[i].network->addresses;
    struct node *node = table_find(addresses, address->bytes, address->size, NULL);
    if (node != NULL) return (struct found){node->value, &views->views[i]};
  }
  return (struct found){NULL, NULL};
}
