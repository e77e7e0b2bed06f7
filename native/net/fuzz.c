/* Feeds the resolver's parsers, tables and cache with generated input, built with the sanitizers by the tests. What can
   be checked without knowing the answer is checked: answers can be read, fit, and name what the tables hold. */
#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

static uint32_t next(uint32_t below) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(state >> 33) % below;
}

#define CHECK(condition) \
  if (!(condition)) { fprintf(stderr, "line %d: %s\n", __LINE__, #condition); abort(); }

static const char *const words[] = {"db",  "DB",   "web", "a.b",  "net",  "front.net", "_80",  "_tcp", "_http", "in-addr", "arpa",
                                    "ip6", "10",   "0",   "2",    "f",    "",          "\xff", "x",    "127",   "255",     "1000",
                                    "a",   "-",    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
static const char *word(void) { return words[next(sizeof words / sizeof *words)]; }

/* A question, mostly well formed; its size. */
static size_t make_query(uint8_t to[600]) {
  static const uint16_t types[] = {TYPE_A, TYPE_AAAA, TYPE_PTR, TYPE_SRV, TYPE_MX, 16, 65, 255};
  uint8_t head[HEADER_BYTES] = {(uint8_t)next(256), (uint8_t)next(256), (uint8_t)(next(8) ? 1 : next(256)), 0, 0, 1};
  size_t size = HEADER_BYTES;
  memcpy(to, head, sizeof head);
  for (uint32_t labels = next(5) ? next(6) : next(40); labels > 0 && size < 400; labels--) {
    const char *label = word();
    size_t length = strlen(label);
    if (length == 0) continue;
    to[size++] = (uint8_t)length;
    memcpy(to + size, label, length);
    size += length;
  }
  to[size++] = 0;
  to[size++] = 0;
  to[size++] = (uint8_t)types[next(sizeof types / sizeof *types)];
  to[size++] = 0;
  to[size++] = next(20) ? 1 : 3;
  if (next(2)) {
    uint8_t opt[11] = {0, 0, TYPE_OPT, (uint8_t)next(256), (uint8_t)next(256)};
    to[11] = 1;
    memcpy(to + size, opt, sizeof opt);
    size += sizeof opt;
  }
  if (next(4) == 0) to[next((uint32_t)size)] = (uint8_t)next(256);
  if (next(8) == 0) size = next((uint32_t)size + 1);
  return size;
}

static void count_offset(void *context, size_t offset) {
  (void)offset;
  ++*(unsigned *)context;
}

static void fuzz_query(const struct views *views) {
  uint8_t made[600];
  size_t size = make_query(made);
  /* Exactly as large as its content, so that a read past the end is caught. */
  uint8_t *message = malloc(size + (size == 0));
  memcpy(message, made, size);
  struct query query;
  if (query_read(&query, message, size)) {
    CHECK(query.max_bytes >= 512 && query.max_bytes <= DATAGRAM_BYTES && query.name_size < NAME_BYTES);
    size_t limit = next(2) ? query.max_bytes : MESSAGE_BYTES;
    uint8_t *answer = malloc(limit);
    size_t length = answer_local(views, &query, answer, limit);
    if (length > 0) {
      CHECK(length <= limit && answer_code(message, size, answer, length, query.id) == CODE_OK);
      unsigned records = 0, stated = (unsigned)answer[6] << 8 | answer[7];
      answer_life(answer, length, count_offset, &records);
      if ((answer[2] & 2) == 0) CHECK(records >= stated);
    }
    free(answer);
  }
  free(message);
}

static void fuzz_answer(void) {
  uint8_t made[1200];
  size_t size = make_query(made);
  if (size < HEADER_BYTES + 5) return;
  size_t question = size;
  made[2] |= 0x80;
  for (uint32_t records = next(6); records > 0; records--) {
    uint8_t record[12] = {0xc0, 12, 0, (uint8_t)(next(3) ? 1 : 6), 0, 1, 0, 0, (uint8_t)next(256), (uint8_t)next(256), 0, (uint8_t)next(30)};
    memcpy(made + size, record, 12);
    memset(made + size + 12, (int)next(256), record[11]);
    size += 12u + record[11];
    made[7 + 2 * next(3)]++;
  }
  for (uint32_t changes = next(4); changes > 0; changes--) made[next((uint32_t)size)] = (uint8_t)next(256);
  size_t cut = next(3) ? size : next((uint32_t)size + 1);
  uint8_t *answer = malloc(cut + (cut == 0)), *back = malloc(DATAGRAM_BYTES);
  memcpy(answer, made, cut);
  answer_code(made, question, answer, cut, (uint16_t)next(65536));
  uint32_t life = answer_life(answer, cut, NULL, NULL), key = next(10000);
  CHECK(life <= 3600);
  int64_t now = (int64_t)next(1000000);
  cache_put(&key, sizeof key, answer, cut, now);
  CHECK(cache_count() <= CACHE_ENTRIES);
  size_t found = cache_get(&key, sizeof key, back, now);
  if (life > 0 && found > 0) CHECK(found == cut && memcmp(back, answer, cut) == 0);
  free(answer);
  free(back);
}

/* Sets and forgets endpoints at random, and counts what is found against a list of its own. */
static void fuzz_names(const struct views *views) {
  static bool there[40];
  uint32_t number = next(40);
  char id[16], text[256];
  snprintf(id, sizeof id, "e%u", number);
  if (next(3) == 0) {
    names_forget("n", id);
    there[number] = false;
  } else {
    int size = snprintf(text, sizeof text, "name%c%s%u%cname%ccrowd%caddress%c10.0.0.%u%caddress%cfd00::%x%cservice%c80 _80._tcp%cx%cy%cname", 0,
                        "Host", number, 0, 0, 0, 0, number, 0, 0, number, 0, 0, 0, 0, 0);
    size_t kept = next(5) ? (size_t)size : next((uint32_t)size + 1);
    char *exact = malloc(kept + 1);
    memcpy(exact, text, kept);
    exact[kept] = 0;
    names_set("n", id, (struct fields){exact, exact + kept}, 1);
    free(exact);
    there[number] = kept > sizeof "name.Host" + 12;
    if (kept != (size_t)size) names_forget("n", id), there[number] = false;
  }
  size_t expected = 0;
  for (int i = 0; i < 40; i++) expected += there[i];
  static struct found found[MAX_FOUND];
  CHECK(names_find(views, "crowd", 5, found) == expected);
  int size = snprintf(text, sizeof text, "host%u.net", number);
  CHECK(names_find(views, text, (size_t)size, found) == there[number]);
}

/* fuzz SEED ROUNDS */
int main(int count, char **arguments) {
  if (count != 3) return 2;
  state = strtoull(arguments[1], NULL, 10);
  table_seed();
  struct link links[] = {{"db", "host1"}, {"web", "nobody"}};
  struct view view = {.network = network_hold("n"), .name = "Net", .lower_name = "net", .links = links, .link_count = 2};
  struct views views = {&view, 1};
  for (long round = strtol(arguments[2], NULL, 10); round > 0; round--) {
    fuzz_names(&views);
    fuzz_query(&views);
    fuzz_answer();
  }
  names_sweep(0);
  network_release(view.network);
  return 0;
}
