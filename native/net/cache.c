/*
 * What resolvers outside answered, for as long as they said: answers by their shortest time to live, that a name or
 * record does not exist by the zone's SOA. Keys hold all bytes of the question and whom it went to, so an answer is
 * only ever given to the very question that it was for.
 */
#define _GNU_SOURCE
#include "net.h"

#include <stdlib.h>
#include <string.h>

#define MAX_OFFSETS 64

struct entry {
  struct node node;
  struct entry *older, *newer;
  int64_t stored_ms, expires_ms;
  size_t size;
  unsigned offset_count;
  uint16_t offsets[MAX_OFFSETS];
  uint8_t bytes[]; /* the key, then the answer */
};

static struct table entries;
static struct entry *oldest, *newest;

size_t cache_count(void) { return entries.count; }

static void drop(struct entry *entry) {
  table_remove(&entries, &entry->node);
  if (entry->older == NULL) oldest = entry->newer;
  else entry->older->newer = entry->newer;
  if (entry->newer == NULL) newest = entry->older;
  else entry->newer->older = entry->older;
  free(entry);
}

size_t cache_get(const void *key, size_t key_size, uint8_t *to, int64_t now) {
  struct node *node = table_find(&entries, key, key_size, NULL);
  if (node == NULL) return 0;
  struct entry *entry = node->value;
  if (now >= entry->expires_ms) {
    drop(entry);
    return 0;
  }
  memcpy(to, entry->bytes + key_size, entry->size);
  uint32_t aged = (uint32_t)((now - entry->stored_ms) / 1000);
  for (unsigned i = 0; i < entry->offset_count; i++) {
    uint8_t *at = to + entry->offsets[i];
    uint32_t seconds = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    seconds = seconds > aged ? seconds - aged : 0;
    for (int j = 0; j < 4; j++) at[j] = (uint8_t)(seconds >> (24 - 8 * j));
  }
  return entry->size;
}

struct offsets {
  unsigned count;
  uint16_t offsets[MAX_OFFSETS];
};

static void take_offset(void *context, size_t offset) {
  struct offsets *offsets = context;
  if (offsets->count < MAX_OFFSETS) offsets->offsets[offsets->count] = (uint16_t)offset;
  offsets->count++;
}

void cache_put(const void *key, size_t key_size, const uint8_t *answer, size_t size, int64_t now) {
  struct offsets offsets = {0};
  uint32_t seconds = size > DATAGRAM_BYTES ? 0 : answer_life(answer, size, take_offset, &offsets);
  if (seconds == 0 || offsets.count > MAX_OFFSETS) return;
  struct node *before = table_find(&entries, key, key_size, NULL);
  if (before != NULL) drop(before->value);
  while (entries.count >= CACHE_ENTRIES) drop(oldest);
  struct entry *entry = malloc(sizeof *entry + key_size + size);
  if (entry == NULL) return;
  memcpy(entry->bytes, key, key_size);
  memcpy(entry->bytes + key_size, answer, size);
  entry->node = (struct node){.key = entry->bytes, .key_size = key_size, .value = entry};
  entry->stored_ms = now;
  entry->expires_ms = now + (int64_t)seconds * 1000;
  entry->size = size;
  entry->offset_count = offsets.count;
  memcpy(entry->offsets, offsets.offsets, sizeof entry->offsets);
  entry->older = newest;
  entry->newer = NULL;
  if (newest == NULL) oldest = entry;
  else newest->newer = entry;
  newest = entry;
  table_add(&entries, &entry->node);
}
