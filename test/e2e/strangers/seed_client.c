/*
 * An edge on the raw link as socketsocketcan's C client behaves, without a CAN bus: for tests of canfleet's TCPBus.
 *
 *     seed_client HOST PORT 21|29
 *
 * Each line of stdin (SECONDS MICROS IDWORD DLC DATA, the last three in hex, 16 digits of data) goes to the host as
 * a record. What comes from the host is read as that client reads it: up to 1500 bytes, and all of them thrown away
 * unless they are a multiple of 13; each frame is printed as IDWORD DLC DATA. Ends at the end of stdin, or of the link.
 *
 * Written for the tests from the format's description (docs/wire-tcp.md 1).
 */
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IN_RECORD = 13, READ_SIZE = 1500, LINE_SIZE = 256 };

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int dial(const char *host, const char *port) {
  struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
  if (getaddrinfo(host, port, &hints, &found)) fail("getaddrinfo");
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen)) fail("connect");
  freeaddrinfo(found);
  return fd;
}

static uint8_t *put(uint8_t *at, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> (8 * i));
  return at + bytes;
}

static int parse_data(const char *hex, uint8_t data[8]) {
  for (int i = 0; i < 8; i++)
    if (sscanf(hex + 2 * i, "%2" SCNx8, &data[i]) != 1) return 0;
  return 1;
}

/* One line of stdin as a record; bytes behind the DLC are sent as given: that client leaves old ones there. */
static void send_line(int fd, const char *line, int record) {
  uint64_t seconds, micros;
  uint32_t word;
  unsigned dlc;
  char hex[17];
  uint8_t bytes[29], data[8], *end = bytes;
  if (sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNx32 " %x %16s", &seconds, &micros, &word, &dlc, hex) != 5 ||
      !parse_data(hex, data)) {
    fprintf(stderr, "bad line: %s", line);
    exit(2);
  }
  int word_size = record == 29 ? 8 : 4;
  end = put(end, seconds, word_size);
  end = put(end, micros, word_size);
  end = put(end, word, 4);
  end = put(end, dlc, 1);
  memcpy(end, data, 8);
  end += 8;
  if (write(fd, bytes, (size_t)(end - bytes)) != end - bytes) fail("write");
}

static int print_read(int fd) {
  uint8_t bytes[READ_SIZE];
  ssize_t got = read(fd, bytes, sizeof bytes);
  if (got <= 0) return 0;
  if (got % IN_RECORD != 0) {
    printf("DROPPED %zd\n", got);
  } else {
    for (uint8_t *at = bytes; at < bytes + got; at += IN_RECORD) {
      printf("%02X%02X%02X%02X %u ", at[3], at[2], at[1], at[0], at[4]);
      for (int i = 5; i < IN_RECORD; i++) printf("%02X", at[i]);
      putchar('\n');
    }
  }
  fflush(stdout);
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 4 || (atoi(argv[3]) != 21 && atoi(argv[3]) != 29)) {
    fprintf(stderr, "usage: %s HOST PORT 21|29\n", argv[0]);
    return 2;
  }
  int fd = dial(argv[1], argv[2]), record = atoi(argv[3]);
  puts("CONNECTED");
  fflush(stdout);
  setvbuf(stdin, NULL, _IONBF, 0); /* poll() must see what is left */
  struct pollfd ends[2] = {{.fd = 0, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
  while (poll(ends, 2, -1) >= 0) {
    if (ends[1].revents && !print_read(fd)) break;
    if (!ends[0].revents) continue;
    char line[LINE_SIZE];
    if (!fgets(line, sizeof line, stdin)) break;
    send_line(fd, line, record);
  }
  puts("CLOSED");
  return 0;
}
