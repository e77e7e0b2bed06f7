/* Hash tables. Keys come from outside, so the hash (SipHash-1-3) is keyed: nobody can make one bucket long. */
#define _GNU_SOURCE
#include "net.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static uint64_t seed[2];

void table_seed(void) {
  if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed) abort();
}

static uint64_t rotate(uint64_t value, int bits) { return value << bits | value >> (64 - bits); }

static void round_once(uint64_t v[4]) {
  v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
  v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
  v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
  v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

static uint64_t hash_of(const void *key, size_t size) {
  uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du, seed[0] ^ 0x6c7967656e657261u,
                   seed[1] ^ 0x7465646279746573u};
  const uint8_t *at = key;
  uint64_t word;
  size_t left = size;
  for (; left >= 8; left -= 8, at += 8) {
    memcpy(&word, at, 8);
    v[3] ^= word;
    round_once(v);
    v[0] ^= word;
  }
  word = (uint64_t)size << 56;
  for (size_t i = 0; i < left; i++) word |= (uint64_t)at[i] << (8 * i);
  v[3] ^= word;
  round_once(v);
  v[0] ^= word;
  v[2] ^= 0xff;
  for (int i = 0; i < 3; i++) round_once(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void resize(struct table *table, size_t size) {
  struct node **buckets = calloc(size, sizeof *buckets);
  if (buckets == NULL) abort();
  for (size_t i = 0; i < table->size; i++) {
    for (struct node *node = table->buckets[i], *next; node != NULL; node = next) {
      next = node->next;
      struct node **bucket = &buckets[node->hash & (size - 1)];
      node->next = *bucket;
      *bucket = node;
    }
  }
  free(table->buckets);
  table->buckets = buckets;
  table->size = size;
}

void table_add(struct table *table, struct node *node) {
  if (table->count >= table->size) resize(table, table->size == 0 ? 8 : 2 * table->size);
  node->hash = hash_of(node->key, node->key_size);
  struct node **bucket = &table->buckets[node->hash & (table->size - 1)];
  node->next = *bucket;
  *bucket = node;
  table->count++;
}

void table_remove(struct table *table, struct node *node) {
  struct node **at = &table->buckets[node->hash & (table->size - 1)];
  while (*at != node) at = &(*at)->next;
  *at = node->next;
  table->count--;
}

struct node *table_find(const struct table *table, const void *key, size_t size, const struct node *after) {
  if (table->count == 0) return NULL;
  uint64_t hash = after == NULL ? hash_of(key, size) : after->hash;
  struct node *node = after == NULL ? table->buckets[hash & (table->size - 1)] : after->next;
  for (; node != NULL; node = node->next)
    if (node->hash == hash && node->key_size == size && memcmp(node->key, key, size) == 0) return node;
  return NULL;
}

void table_free(struct table *table) {
  free(table->buckets);
  *table = (struct table){0};
}

uint32_t random_below(uint32_t below) {
  static uint32_t pool[64];
  static size_t left;
  if (left == 0) {
    if (getrandom(pool, sizeof pool, 0) != (ssize_t)sizeof pool) abort();
    left = sizeof pool / sizeof *pool;
  }
  return (uint32_t)((uint64_t)pool[--left] * below >> 32);
}
