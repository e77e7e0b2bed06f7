/* Feeds the keeper's parsers and formatters with generated input, built with the sanitizers by the tests. What can be
   checked without knowing the answer is checked: escaped text is valid JSON content, lines come back as they went in. */
#include "shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options options = {.runtime_fd = -1, .spill_bytes = 1 << 20, .stall_ms = 1000};

int64_t now_ms(void) { return 0; }
uint64_t wall_ns(void) { return 0; }
void input_take(const char *data, size_t size) { (void)data, (void)size; }
bool input_wanted(void) { return false; }
void input_end(void) {}
bool terminal_resize(unsigned rows, unsigned columns) { return rows + columns == 0; }

static uint64_t state;

static uint32_t next(uint32_t below) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(state >> 33) % below;
}

#define CHECK(condition) \
  if (!(condition)) { fprintf(stderr, "line %d: %s\n", __LINE__, #condition); abort(); }

static void fuzz_request(void) {
  static const char *const words[] = {"attach", "take", "watch", "resize", "close", "go", " ", "i", "o", "e", "0", "65535", "65536",
                                      "99999999999999999999", "\t", "\0", "\xff", "-1"};
  char *line = malloc(REQUEST_BYTES);
  size_t size = 0;
  for (uint32_t parts = next(7); parts > 0; parts--) {
    const char *word = words[next(sizeof words / sizeof *words)];
    size_t length = *word == 0 ? 1 : strlen(word);
    if (size + length >= REQUEST_BYTES) break;
    memcpy(line + size, word, length);
    size += length;
  }
  /* Exactly as large as its content, so that a read past the end is caught. */
  line = realloc(line, size + (size == 0));
  struct request request = request_parse(line, size);
  CHECK(request.kind <= REQUEST_GO && request.wants <= 7);
  if (request.kind == REQUEST_RESIZE) CHECK(request.rows <= 65535 && request.columns <= 65535);
  free(line);
}

static void fuzz_escape(void) {
  size_t size = next(300);
  unsigned char *data = malloc(size + 1);
  static const char telling[] = "a\"\\<&\n\xe2\x80\xa8\xf0\x9f\x98\x80\xed\xa0\x80\xc0";
  for (size_t i = 0; i < size; i++) {
    if (next(3) == 0) data[i] = (unsigned char)next(256);
    else data[i] = (unsigned char)telling[next(sizeof telling)];
  }
  char *to = malloc(6 * size + ESCAPE_SLACK);
  bool lossy = false;
  size_t length = json_escape(to, (char *)data, size, &lossy), replaced = 0;
  CHECK(length <= 6 * size);
  for (size_t i = 0; i < length; i++) {
    unsigned char byte = (unsigned char)to[i];
    CHECK(byte >= 0x20 && byte != '<' && byte != '>' && byte != '&' && byte != '"');
    if (byte != '\\') continue;
    CHECK(i + 1 < length && strchr("\\\"nru", to[i + 1]) != NULL);
    if (to[i + 1] == 'u' && memcmp(to + i, "\\ufffd", 6) == 0) replaced++;
    i += to[i + 1] == 'u' ? 5 : 1;
  }
  CHECK(lossy == (replaced > 0));
  CHECK(json_lost(to, (char *)data, size) == 2 * replaced);
  free(to);
  free(data);
}

static void fuzz_time(void) {
  char text[32];
  uint64_t time_ns = ((uint64_t)next(1u << 31) << 31 | next(1u << 31)) % 4102444800000000000u;
  if (next(4) == 0) time_ns = time_ns / 1000000000 * 1000000000;
  size_t size = format_time(text, time_ns);
  CHECK(size >= 20 && size <= 30 && text[size - 1] == 'Z' && text[size - 2] != '.' && (size == 20 || text[size - 2] != '0'));
}

/* Random chunks of two streams into a local log; the file must hold what went in. */
static void fuzz_log(const char *path, size_t total) {
  options.log_format = "local";
  options.log_path = path;
  CHECK(log_open());
  char *sent[2] = {malloc(total), malloc(total)}, *chunk = malloc(CHUNK_BYTES);
  size_t sizes[2] = {0, 0};
  for (;;) {
    int stream = (int)next(2);
    size_t size = next(4) == 0 ? next(CHUNK_BYTES) : next(40);
    if (sizes[stream] + size > total) break;
    uint32_t newlines = next(5) == 0 ? 100000 : 2 + next(100);
    for (size_t i = 0; i < size; i++) chunk[i] = next(newlines) == 0 ? '\n' : (char)next(256);
    memcpy(sent[stream] + sizes[stream], chunk, size);
    sizes[stream] += size;
    log_output(stream + 1, chunk, size, 1 + next(1000));
  }
  log_end(STREAM_OUT);
  log_end(STREAM_ERR);
  log_close();
  FILE *file = fopen(path, "r");
  CHECK(file != NULL);
  unsigned char head[16], tail[4];
  size_t read[2] = {0, 0};
  while (fread(head, 1, 16, file) == 16) {
    size_t size = (head[0] | head[1] << 8 | head[2] << 16) - 12u;
    int stream = head[12] - 1;
    CHECK(size <= PIECE_BYTES && (stream == 0 || stream == 1) && head[13] <= 1);
    CHECK(fread(chunk, 1, size, file) == size && fread(tail, 1, 4, file) == 4 && memcmp(tail, head, 4) == 0);
    CHECK(read[stream] + size <= sizes[stream] && memcmp(sent[stream] + read[stream], chunk, size) == 0);
    read[stream] += size;
    if (head[13] == 0) CHECK(sent[stream][read[stream]++] == '\n');
  }
  fclose(file);
  CHECK(read[0] == sizes[0] && read[1] == sizes[1]);
  free(sent[0]);
  free(sent[1]);
  free(chunk);
}

/* fuzz SEED ROUNDS LOGFILE */
int main(int count, char **arguments) {
  if (count != 4) return 2;
  state = strtoull(arguments[1], NULL, 10);
  for (long round = strtol(arguments[2], NULL, 10); round > 0; round--) {
    fuzz_request();
    fuzz_escape();
    fuzz_time();
  }
  fuzz_log(arguments[3], 4u << 20);
  return 0;
}
