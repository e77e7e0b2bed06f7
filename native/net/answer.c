/* Answers from the names of containers. */
#define _GNU_SOURCE
#include "net.h"

#include <stdio.h>
#include <string.h>

static struct found found[MAX_FOUND];

/* The address that a reverse name asks for (`2.0.17.172.in-addr.arpa`). */
static bool reverse_address(const char *name, size_t size, struct address *address) {
  static const char v4[] = ".in-addr.arpa", v6[] = ".ip6.arpa";
  *address = (struct address){0};
  size_t end = size - (sizeof v4 - 1);
  if (size > sizeof v4 && memcmp(name + end, v4, sizeof v4 - 1) == 0) {
    int parts = 4;
    unsigned value = 0, digits = 0;
    for (size_t i = 0; i <= end; i++) {
      if (i < end && name[i] >= '0' && name[i] <= '9' && digits < 3) {
        value = value * 10 + (unsigned)(name[i] - '0');
        digits++;
      } else if ((i == end || name[i] == '.') && digits > 0 && value < 256 && parts > 0) {
        address->bytes[--parts] = (uint8_t)value;
        value = digits = 0;
      } else {
        return false;
      }
    }
    address->size = 4;
    return parts == 0;
  }
  end = size - (sizeof v6 - 1);
  if (size != 63 + sizeof v6 - 1 || memcmp(name + end, v6, sizeof v6 - 1) != 0) return false;
  for (size_t i = 0; i < 63; i++) {
    char c = name[i];
    if (i % 2 == 1) {
      if (c != '.') return false;
      continue;
    }
    bool digit = c >= '0' && c <= '9';
    if (!digit && !(c >= 'a' && c <= 'f')) return false;
    unsigned nibble = (unsigned)(digit ? c - '0' : c - 'a' + 10);
    address->bytes[15 - i / 4] |= (uint8_t)(i % 4 == 0 ? nibble : nibble << 4);
  }
  address->size = 16;
  return true;
}

/* `NAME.NETWORK` of an endpoint. */
static void full_name(struct found one, char text[NAME_BYTES]) {
  snprintf(text, NAME_BYTES, "%s.%s", one.endpoint->first_name, one.view->name);
}

static void shuffle(size_t count) {
  for (size_t i = count; i > 1; i--) {
    size_t other = random_below((uint32_t)i);
    struct found kept = found[i - 1];
    found[i - 1] = found[other];
    found[other] = kept;
  }
}

static size_t answer_reverse(const struct views *views, const struct query *query, uint8_t *to, size_t limit) {
  struct address address;
  if (!reverse_address(query->name, query->name_size, &address)) return 0;
  struct found one = names_reverse(views, &address);
  if (one.endpoint == NULL || one.endpoint->first_name == NULL) return 0;
  char text[NAME_BYTES];
  uint8_t name[NAME_BYTES];
  full_name(one, text);
  struct writer writer;
  answer_begin(&writer, query, CODE_OK, to, limit);
  answer_record(&writer, NULL, TYPE_PTR, name, name_write(name, text));
  return answer_end(&writer);
}

/* `_PORT._PROTOCOL.NAME`: where the name's containers listen, and their addresses. */
static size_t answer_services(const struct views *views, const struct query *query, uint8_t *to, size_t limit) {
  const char *name = query->name, *end = name + query->name_size;
  const char *first = memchr(name, '.', query->name_size);
  const char *second = first == NULL ? NULL : memchr(first + 1, '.', (size_t)(end - first - 1));
  if (name[0] != '_' || second == NULL || first[1] != '_') return 0;
  size_t count = names_find(views, second + 1, (size_t)(end - second - 1), found);
  if (count == 0) return 0;
  shuffle(count);
  struct writer writer;
  answer_begin(&writer, query, CODE_OK, to, limit);
  size_t service_size = (size_t)(second - name);
  for (int more = 0; more < 2; more++) {
    for (size_t i = 0; i < count; i++) {
      const struct endpoint *endpoint = found[i].endpoint;
      char text[NAME_BYTES];
      full_name(found[i], text);
      for (size_t j = 0; j < endpoint->service_count; j++) {
        const struct service *service = &endpoint->services[j];
        if (strlen(service->name) != service_size || memcmp(service->name, name, service_size) != 0) continue;
        uint8_t data[6 + NAME_BYTES] = {0, 0, 0, 1, (uint8_t)(service->port >> 8), (uint8_t)service->port};
        if (!more) answer_record(&writer, NULL, TYPE_SRV, data, 6 + name_write(data + 6, text));
        for (size_t k = 0; more && k < endpoint->address_count; k++) {
          const struct address *address = &endpoint->addresses[k];
          answer_more(&writer, text, address->size == 4 ? TYPE_A : TYPE_AAAA, address->bytes, address->size);
        }
        break;
      }
    }
  }
  return answer_end(&writer);
}

size_t answer_local(const struct views *views, const struct query *query, uint8_t *to, size_t limit) {
  if (query->class != 1 || query->name_size == 0) return 0;
  if (query->type == TYPE_PTR) {
    size_t size = answer_reverse(views, query, to, limit);
    if (size > 0) return size;
  }
  if (query->type == TYPE_SRV) {
    size_t size = answer_services(views, query, to, limit);
    if (size > 0) return size;
  }
  bool address = query->type == TYPE_A || query->type == TYPE_AAAA;
  /* A container may be called like a host of the world, which has other records too (TXT, HTTPS). */
  if (!address && query->type != TYPE_MX && memchr(query->name, '.', query->name_size) != NULL) return 0;
  size_t count = names_find(views, query->name, query->name_size, found);
  if (count == 0) return 0;
  shuffle(count);
  struct writer writer;
  answer_begin(&writer, query, CODE_OK, to, limit);
  size_t wanted = query->type == TYPE_A ? 4 : query->type == TYPE_AAAA ? 16 : 0;
  for (size_t i = 0; i < count; i++) {
    const struct endpoint *endpoint = found[i].endpoint;
    for (size_t j = 0; j < endpoint->address_count; j++) {
      const struct address *one = &endpoint->addresses[j];
      if (one->size == wanted) answer_record(&writer, NULL, query->type, one->bytes, one->size);
    }
  }
  return answer_end(&writer);
}
