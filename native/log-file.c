/* The log on disk: the two formats and rotation, as docs/log-format.md describes them. */
#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Large writes cost the kernel a third less than small ones. */
#define BUFFER_BYTES (512 * 1024)
/* A byte's most in a JSON record: \ufffd, and two digits of `raw`. */
#define BYTE_MOST 8

static int file = -1;
static int directory = -1;
static bool json;
static char *buffer;
static size_t capacity, filled, records;
static uint64_t file_size, lost;
static bool refused; /* the directory's lock, since the last flush */
static char *attributes;
static size_t attributes_size;

/* Bytes that a JSON string of Docker's cannot hold as they are; 2 marks the beginning of a longer UTF-8 sequence. */
static const unsigned char special[256] = {
    [0 ... 0x1f] = 1, ['"'] = 1, ['\\'] = 1, ['<'] = 1, ['>'] = 1, ['&'] = 1, [0x80 ... 0xff] = 2,
};

/* Length of the valid UTF-8 sequence at the start, or 0. As Go: no surrogates, nothing overlong or too high. */
static size_t sequence(const unsigned char *at, size_t size) {
  unsigned char first = at[0];
  size_t length = first >= 0xc2 && first <= 0xdf ? 2 : first >= 0xe0 && first <= 0xef ? 3 : first >= 0xf0 && first <= 0xf4 ? 4 : 0;
  if (length == 0 || size < length) return 0;
  unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (at[1] < low || at[1] > high) return 0;
  for (size_t i = 2; i < length; i++)
    if ((at[i] & 0xc0) != 0x80) return 0;
  return length;
}

struct escaped {
  char text[8];
  uint8_t size;
};

/* What stands for each byte that has 1 in `special`; made at the first use. */
static const struct escaped *escapes(void) {
  static const char hex[] = "0123456789abcdef";
  static struct escaped table['\\' + 1];
  if (table[0].size > 0) return table;
  for (unsigned byte = 0; byte <= '\\'; byte++) {
    struct escaped *entry = &table[byte];
    if (byte == '"' || byte == '\\' || byte == '\n' || byte == '\r') {
      *entry = (struct escaped){.text = {'\\', byte == '\n' ? 'n' : byte == '\r' ? 'r' : (char)byte}, .size = 2};
    } else {
      *entry = (struct escaped){.text = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]}, .size = 6};
    }
  }
  return table;
}

/* Binary output is nothing but such bytes: eight are stored for each, of which the next one covers what is too much. */
__attribute__((optimize("O2"))) static size_t escape_run(char *to, const unsigned char *from, size_t size, size_t *taken) {
  const struct escaped *table = escapes();
  char *out = to;
  size_t at = 0;
  for (; at < size && special[from[at]] == 1; at++) {
    const struct escaped *entry = &table[from[at]];
    memcpy(out, entry->text, sizeof entry->text);
    out += entry->size;
  }
  *taken = at;
  return (size_t)(out - to);
}

size_t json_escape(char *to, const char *data, size_t size, bool *lossy) {
  const unsigned char *from = (const unsigned char *)data;
  char *out = to;
  size_t start = 0, at = 0;
  while (at < size) {
    while (at < size && special[from[at]] == 0) at++;
    if (at == size) break;
    size_t length = special[from[at]] == 2 ? sequence(from + at, size - at) : 0;
    bool separator = length == 3 && from[at] == 0xe2 && from[at + 1] == 0x80 && (from[at + 2] & 0xfe) == 0xa8;
    if (length > 0 && !separator) {
      at += length;
      continue;
    }
    memcpy(out, from + start, at - start);
    out += at - start;
    if (separator) {
      memcpy(out, from[at + 2] == 0xa8 ? "\\u2028" : "\\u2029", 6);
      out += 6;
      at += 3;
    } else if (special[from[at]] == 2) {
      memcpy(out, "\\ufffd", 6);
      out += 6;
      at++;
      *lossy = true;
    } else {
      size_t taken;
      out += escape_run(out, from + at, size - at, &taken);
      at += taken;
    }
    start = at;
  }
  memcpy(out, from + start, at - start);
  return (size_t)(out - to) + at - start;
}

size_t json_lost(char *to, const char *data, size_t size) {
  static const char hex[] = "0123456789abcdef";
  const unsigned char *from = (const unsigned char *)data;
  char *out = to;
  for (size_t at = 0; at < size;) {
    size_t length = special[from[at]] == 2 ? sequence(from + at, size - at) : 1;
    if (length == 0) {
      *out++ = hex[from[at] >> 4];
      *out++ = hex[from[at] & 15];
    }
    at += length == 0 ? 1 : length;
  }
  return (size_t)(out - to);
}

/* RFC 3339 in UTC without trailing zeros in the fraction, as Go's RFC3339Nano; up to 30 bytes. */
size_t format_time(char *to, uint64_t time_ns) {
  static time_t known = -1;
  static char second[24];
  time_t seconds = (time_t)(time_ns / 1000000000u);
  uint32_t fraction = (uint32_t)(time_ns % 1000000000u);
  if (seconds != known) {
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(second, sizeof second, "%Y-%m-%dT%H:%M:%S", &parts);
    known = seconds;
  }
  memcpy(to, second, 19);
  size_t size = 19;
  if (fraction != 0) {
    to[19] = '.';
    for (int i = 28; i > 19; i--, fraction /= 10) to[i] = (char)('0' + fraction % 10);
    for (size = 29; to[size - 1] == '0'; size--) {
    }
  }
  to[size] = 'Z';
  return size + 1;
}

static bool read_attributes(void) {
  int from = open("attrs", O_RDONLY | O_CLOEXEC);
  if (from < 0) return errno == ENOENT;
  struct stat status;
  bool done = false;
  if (fstat(from, &status) == 0 && status.st_size < (1 << 20)) {
    attributes = malloc((size_t)status.st_size + 16);
    if (attributes != NULL) {
      memcpy(attributes, ",\"attrs\":", 9);
      done = read(from, attributes + 9, (size_t)status.st_size) == status.st_size;
      attributes_size = 9 + (size_t)status.st_size;
    }
  }
  close(from);
  return done;
}

static bool open_file(int flags) {
  file = open(options.log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | flags, 0640);
  struct stat status;
  if (file < 0 || fstat(file, &status) < 0) return false;
  file_size = (uint64_t)status.st_size;
  return true;
}

bool log_file_open(void) {
  json = strcmp(options.log_format, "json-file") == 0;
  if (json && !read_attributes()) return false;
  if (!open_file(0)) return false;
  char parent[4096];
  const char *slash = strrchr(options.log_path, '/');
  int size = slash == NULL ? snprintf(parent, sizeof parent, ".")
                           : snprintf(parent, sizeof parent, "%.*s", (int)(slash - options.log_path + 1), options.log_path);
  if (size >= (int)sizeof parent) return false;
  directory = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  capacity = BUFFER_BYTES + attributes_size;
  buffer = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return directory >= 0 && buffer != MAP_FAILED;
}

void log_file_flush(void) {
  refused = false;
  size_t done = 0;
  while (done < filled) {
    ssize_t size = write(file, buffer + done, filled - done);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) {
      /* No room on the disk must not stop the container: what does not fit is dropped, whole. */
      lost += records;
      file_size -= filled;
      if (done > 0 && ftruncate(file, (off_t)file_size) < 0) file_size += done;
      break;
    }
    done += (size_t)size;
  }
  filled = 0;
  records = 0;
}

static void shift(unsigned from, const char *suffix, bool remove) {
  char old[4200], new[4200];
  snprintf(old, sizeof old, "%s.%u%s", options.log_path, from, suffix);
  snprintf(new, sizeof new, "%s.%u%s", options.log_path, from + 1, suffix);
  if (remove) unlink(old);
  else rename(old, new);
}

static void rotate(void) {
  log_file_flush();
  if (file_size < options.log_max_size) return;
  if (options.log_max_files < 2) {
    if (ftruncate(file, 0) == 0) file_size = 0;
    return;
  }
  if (flock(directory, LOCK_EX | LOCK_NB) < 0) {
    refused = true;
    return;
  }
  for (unsigned i = options.log_max_files - 1; i >= 1; i--) {
    bool last = i == options.log_max_files - 1;
    shift(i, "", last);
    shift(i, ".gz", last);
  }
  char first[4200];
  snprintf(first, sizeof first, "%s.1", options.log_path);
  int old = file;
  if (rename(options.log_path, first) == 0 && open_file(0)) {
    close(old);
  } else {
    if (file >= 0 && file != old) close(file);
    file = old;
    refused = true;
  }
  flock(directory, LOCK_UN);
}

static char *put(char *to, const char *text, size_t size) {
  memcpy(to, text, size);
  return to + size;
}

static char *put_number(char *to, uint64_t number, int bytes) {
  for (int i = 0; i < bytes; i++) *to++ = (char)(number >> (8 * i));
  return to;
}

#define PUT(to, text) put(to, text, sizeof(text) - 1)

static char *json_record(char *to, int stream, bool partial, uint64_t time_ns, const char *line, size_t size) {
  to = PUT(to, "{\"log\":\"");
  bool lossy = false;
  to += json_escape(to, line, size, &lossy);
  to = partial ? PUT(to, "\",\"stream\":\"") : PUT(to, "\\n\",\"stream\":\"");
  to = stream == STREAM_OUT ? PUT(to, "stdout\"") : PUT(to, "stderr\"");
  if (lossy) {
    to = PUT(to, ",\"raw\":\"");
    to += json_lost(to, line, size);
    *to++ = '"';
  }
  to = put(to, attributes == NULL ? "" : attributes, attributes_size);
  to = PUT(to, ",\"time\":\"");
  to += format_time(to, time_ns);
  return PUT(to, "\"}\n");
}

static char *local_record(char *to, int stream, bool partial, uint64_t time_ns, const char *line, size_t size) {
  to = put_number(to, 12 + size, 4);
  to = put_number(to, time_ns, 8);
  to = put_number(to, (uint64_t)stream | (partial ? 0x100 : 0), 4);
  to = put(to, line, size);
  return put_number(to, 12 + size, 4);
}

void log_file_record(int stream, bool partial, uint64_t time_ns, const char *line, size_t size) {
  if (options.log_max_size > 0 && file_size >= options.log_max_size && !refused) rotate();
  size_t most = json ? BYTE_MOST * size + attributes_size + 160 : size + 32;
  if (filled + most > capacity) log_file_flush();
  char *at = buffer + filled;
  char *end = (json ? json_record : local_record)(at, stream, partial, time_ns, line, size);
  filled += (size_t)(end - at);
  file_size += (uint64_t)(end - at);
  records++;
}

uint64_t log_file_dropped(void) { return lost; }

void log_file_release(void) {
  if (buffer != NULL && filled == 0) madvise(buffer, capacity, MADV_DONTNEED);
}
