/* DNS messages: the question is read, answers to it are written, answers from outside are looked at but not changed. */
#define _GNU_SOURCE
#include "net.h"

#include <string.h>

enum { FLAG_ANSWER = 0x8000, FLAGS_OPCODE = 0x7800, FLAG_CUT = 0x0200, FLAG_RECURSE = 0x0100, FLAG_RECURSES = 0x0080 };
#define OPT_BYTES 11
#define LONGEST_SECONDS 3600
#define LOCAL_SECONDS 600

static unsigned get16(const uint8_t *at) { return (unsigned)at[0] << 8 | at[1]; }
static uint32_t get32(const uint8_t *at) { return (uint32_t)get16(at) << 16 | get16(at + 2); }
static void put16(uint8_t *at, unsigned value) { at[0] = (uint8_t)(value >> 8), at[1] = (uint8_t)value; }
static uint8_t lower(uint8_t byte) { return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte; }

/* A name without compression, into `query`; where it ends, or 0. A label that holds a dot is refused. */
static size_t read_name(struct query *query, const uint8_t *message, size_t size) {
  size_t at = HEADER_BYTES;
  query->name_size = 0;
  for (;;) {
    if (at >= size) return 0;
    size_t length = message[at++];
    if (length == 0) return at;
    if (length > 63 || length > size - at || query->name_size + 1 + length >= NAME_BYTES) return 0;
    if (query->name_size > 0) query->name[query->name_size++] = '.';
    for (size_t i = 0; i < length; i++) {
      if (message[at + i] == '.') return 0;
      query->name[query->name_size++] = (char)lower(message[at + i]);
    }
    at += length;
  }
}

bool query_read(struct query *query, const uint8_t *message, size_t size) {
  if (size < HEADER_BYTES) return false;
  query->id = (uint16_t)get16(message);
  query->flags = (uint16_t)get16(message + 2);
  if ((query->flags & (FLAG_ANSWER | FLAGS_OPCODE)) != 0 || get16(message + 4) != 1) return false;
  size_t end = read_name(query, message, size);
  if (end == 0 || size - end < 4) return false;
  query->type = (uint16_t)get16(message + end);
  query->class = (uint16_t)get16(message + end + 2);
  end += 4;
  query->question = message + HEADER_BYTES;
  query->question_size = end - HEADER_BYTES;
  /* The OPT record stands right after the question, where clients put it. */
  bool alone = get16(message + 6) == 0 && get16(message + 8) == 0 && get16(message + 10) > 0;
  query->extended = alone && size - end >= OPT_BYTES && message[end] == 0 && get16(message + end + 1) == TYPE_OPT;
  query->max_bytes = query->extended ? get16(message + end + 3) : 0;
  if (query->max_bytes < 512) query->max_bytes = 512;
  if (query->max_bytes > DATAGRAM_BYTES) query->max_bytes = DATAGRAM_BYTES;
  return true;
}

void answer_begin(struct writer *writer, const struct query *query, unsigned code, uint8_t *data, size_t limit) {
  *writer = (struct writer){.data = data, .extended = query->extended};
  writer->limit = limit - (query->extended ? OPT_BYTES : 0);
  put16(data, query->id);
  put16(data + 2, FLAG_ANSWER | FLAG_RECURSES | (query->flags & FLAG_RECURSE) | code);
  put16(data + 4, 1);
  put16(data + 8, 0);
  memcpy(data + HEADER_BYTES, query->question, query->question_size);
  writer->size = HEADER_BYTES + query->question_size;
}

size_t name_write(uint8_t to[NAME_BYTES], const char *name) {
  size_t size = 0;
  while (*name != 0) {
    size_t length = strcspn(name, "."), kept = length > 63 ? 63 : length;
    if (size + 1 + kept + 1 > 255) break;
    if (kept > 0) {
      to[size++] = (uint8_t)kept;
      memcpy(to + size, name, kept);
      size += kept;
    }
    name += length + (name[length] == '.');
  }
  to[size++] = 0;
  return size;
}

static bool write_record(struct writer *writer, const char *owner, unsigned type, const uint8_t *data, size_t size) {
  uint8_t name[NAME_BYTES] = {0xc0, HEADER_BYTES};
  size_t name_size = owner == NULL ? 2 : name_write(name, owner);
  if (writer->size + name_size + 10 + size > writer->limit) return false;
  uint8_t *at = writer->data + writer->size;
  memcpy(at, name, name_size);
  at += name_size;
  put16(at, type);
  put16(at + 2, 1);
  put16(at + 4, 0);
  put16(at + 6, LOCAL_SECONDS);
  put16(at + 8, (unsigned)size);
  memcpy(at + 10, data, size);
  writer->size += name_size + 10 + size;
  return true;
}

void answer_record(struct writer *writer, const char *owner, unsigned type, const uint8_t *data, size_t size) {
  if (!writer->cut && write_record(writer, owner, type, data, size)) writer->answers++;
  else writer->cut = true;
}

void answer_more(struct writer *writer, const char *owner, unsigned type, const uint8_t *data, size_t size) {
  if (!writer->cut && write_record(writer, owner, type, data, size)) writer->additional++;
}

size_t answer_end(struct writer *writer) {
  uint8_t *data = writer->data;
  if (writer->extended) {
    uint8_t *at = data + writer->size;
    memset(at, 0, OPT_BYTES);
    put16(at + 1, TYPE_OPT);
    put16(at + 3, 1232);
    writer->size += OPT_BYTES;
    writer->additional++;
  }
  if (writer->cut) put16(data + 2, get16(data + 2) | FLAG_CUT);
  put16(data + 6, writer->answers);
  put16(data + 10, writer->additional);
  return writer->size;
}

/* Where the name at `at` ends; a pointer ends it. 0 when it cannot be read. */
static size_t skip_name(const uint8_t *message, size_t size, size_t at) {
  for (;;) {
    if (at >= size) return 0;
    size_t length = message[at];
    if (length == 0) return at + 1;
    if ((length & 0xc0) == 0xc0) return at + 2;
    if (length > 63) return 0;
    at += 1 + length;
  }
}

int answer_code(const uint8_t *query, size_t query_size, const uint8_t *answer, size_t size, uint16_t id) {
  if (size < HEADER_BYTES || get16(answer) != id || (get16(answer + 2) & FLAG_ANSWER) == 0) return -1;
  int code = (int)(get16(answer + 2) & 0xf);
  /* Servers that fail may leave the question out. */
  if (get16(answer + 4) == 0) return code == CODE_OK || code == CODE_NO_NAME ? -1 : code;
  size_t end = skip_name(query, query_size, HEADER_BYTES);
  if (end == 0 || end + 4 > query_size || end + 4 > size) return -1;
  for (size_t i = HEADER_BYTES; i < end + 4; i++)
    if (lower(query[i]) != lower(answer[i])) return -1;
  return code;
}

uint32_t answer_life(const uint8_t *answer, size_t size, void (*each)(void *, size_t), void *context) {
  if (size < HEADER_BYTES || get16(answer + 4) != 1) return 0;
  unsigned flags = get16(answer + 2), code = flags & 0xf;
  if ((flags & FLAG_CUT) != 0 || (code != CODE_OK && code != CODE_NO_NAME)) return 0;
  unsigned answers = get16(answer + 6), authorities = get16(answer + 8);
  unsigned records = answers + authorities + get16(answer + 10);
  bool negative = code == CODE_NO_NAME || answers == 0, counted = false;
  uint32_t life = LONGEST_SECONDS;
  size_t at = skip_name(answer, size, HEADER_BYTES);
  if (at == 0) return 0;
  at += 4;
  for (unsigned i = 0; i < records; i++) {
    size_t end = skip_name(answer, size, at);
    if (end == 0 || end + 10 > size) return 0;
    unsigned type = get16(answer + end), length = get16(answer + end + 8);
    uint32_t seconds = get32(answer + end + 4);
    /* The highest bit means zero (RFC 2181). */
    if (seconds > INT32_MAX) seconds = 0;
    at = end + 10 + length;
    if (at > size) return 0;
    if (type != TYPE_OPT && each != NULL) each(context, end + 4);
    if (negative ? i < answers || i >= answers + authorities || type != TYPE_SOA || length < 22 : i >= answers) continue;
    if (negative && get32(answer + at - 4) < seconds) seconds = get32(answer + at - 4);
    if (seconds < life) life = seconds;
    counted = true;
  }
  return counted ? life : 0;
}
