/*
 * mqtt-load PORT SUBSCRIBERS TOPIC WINDOW MILLISECONDS < PAYLOAD
 *
 * One publisher of one payload and many subscribers of one topic, MQTT 3.1.1, QoS 0, on raw sockets, in a closed loop: at most WINDOW
 * messages are on their way to the slowest subscriber, so that a broker is never asked for more than it can deliver
 * and every message must arrive. Ends with a line of JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_SUBSCRIBERS 256
#define MAX_TOPIC_BYTES 60
#define MAX_PAYLOAD_BYTES 65536
#define SETTLE_NS 5000000000u

static const char *topic;
static size_t topic_bytes;
static uint8_t *packet;
static size_t packet_bytes;
static uint64_t received_bytes[MAX_SUBSCRIBERS];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + now.tv_nsec;
}

static void expect(int fd, uint8_t type, size_t bytes) {
  uint8_t answer[8];
  for (size_t at = 0; at < bytes;) {
    ssize_t n = read(fd, answer + at, bytes - at);
    if (n <= 0) fail("the broker does not answer");
    at += n;
  }
  if (answer[0] != type) {
    fprintf(stderr, "unexpected packet %02x\n", answer[0]);
    exit(1);
  }
}

static int connect_client(int port, int number) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
  char id[24];
  int id_bytes = snprintf(id, sizeof id, "load-%d-%d", getpid(), number);
  uint8_t connect_packet[64] = {0x10, 12 + id_bytes, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, id_bytes};
  memcpy(connect_packet + 14, id, id_bytes);
  if (write(fd, connect_packet, 14 + id_bytes) < 0) fail("write");
  expect(fd, 0x20, 4);
  return fd;
}

static void subscribe(int fd) {
  uint8_t subscribe_packet[7 + MAX_TOPIC_BYTES] = {0x82, 5 + topic_bytes, 0, 1, 0, topic_bytes};
  memcpy(subscribe_packet + 6, topic, topic_bytes);
  if (write(fd, subscribe_packet, 7 + topic_bytes) < 0) fail("write");
  expect(fd, 0x90, 5);
}

/* Many copies of the PUBLISH in a row, so that one write can carry as many as the window has room for. */
static void make_packets(const uint8_t *payload, size_t payload_bytes, int copies) {
  uint8_t head[8];
  size_t remaining = 2 + topic_bytes + payload_bytes, n = 0;
  head[n++] = 0x30;
  do {
    head[n++] = (remaining & 0x7f) | (remaining > 0x7f ? 0x80 : 0);
    remaining >>= 7;
  } while (remaining);
  packet_bytes = n + 2 + topic_bytes + payload_bytes;
  packet = calloc(copies, packet_bytes);
  for (int i = 0; i < copies; i++) {
    uint8_t *at = packet + i * packet_bytes;
    memcpy(at, head, n);
    at[n + 1] = topic_bytes;
    memcpy(at + n + 2, topic, topic_bytes);
    memcpy(at + n + 2 + topic_bytes, payload, payload_bytes);
  }
}

static uint64_t slowest(int subscribers) {
  uint64_t least = UINT64_MAX;
  for (int i = 0; i < subscribers; i++)
    if (received_bytes[i] < least) least = received_bytes[i];
  return least / packet_bytes;
}

static void drain(int epoll, int subscribers, int *fds, int timeout_ms) {
  static uint8_t buffer[1 << 18];
  struct epoll_event events[MAX_SUBSCRIBERS];
  int ready = epoll_wait(epoll, events, subscribers, timeout_ms);
  for (int i = 0; i < ready; i++) {
    int which = events[i].data.u32;
    ssize_t n = read(fds[which], buffer, sizeof buffer);
    if (n > 0) received_bytes[which] += n;
    else if (n == 0 || errno != EAGAIN) fail("a subscriber lost its connection");
  }
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "usage: mqtt-load PORT SUBSCRIBERS TOPIC WINDOW MILLISECONDS < PAYLOAD\n");
    return 2;
  }
  int port = atoi(argv[1]), subscribers = atoi(argv[2]), window = atoi(argv[4]);
  uint64_t duration_ns = (uint64_t)atoll(argv[5]) * 1000000u;
  if (subscribers < 1 || subscribers > MAX_SUBSCRIBERS) return 2;
  topic = argv[3];
  topic_bytes = strlen(topic);
  if (topic_bytes > MAX_TOPIC_BYTES) return 2;
  static uint8_t payload[MAX_PAYLOAD_BYTES];
  make_packets(payload, fread(payload, 1, sizeof payload, stdin), window);
  int fds[MAX_SUBSCRIBERS];
  int epoll = epoll_create1(0);
  for (int i = 0; i < subscribers; i++) {
    fds[i] = connect_client(port, i + 1);
    subscribe(fds[i]);
    fcntl(fds[i], F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event);
  }
  int publisher = connect_client(port, 0);
  fcntl(publisher, F_SETFL, O_NONBLOCK);
  uint64_t start = now_ns(), published_bytes = 0;
  while (now_ns() - start < duration_ns) {
    uint64_t limit = (slowest(subscribers) + window) * packet_bytes;
    size_t offset = published_bytes % packet_bytes;
    size_t room = limit - published_bytes;
    if (room > window * packet_bytes - offset) room = window * packet_bytes - offset;
    ssize_t n = room > 0 ? write(publisher, packet + offset, room) : 0;
    if (n > 0) published_bytes += n;
    else if (n < 0 && errno != EAGAIN) fail("the publisher lost its connection");
    drain(epoll, subscribers, fds, n > 0 ? 0 : 1);
  }
  uint64_t end = now_ns();
  uint64_t in_time = slowest(subscribers);
  fcntl(publisher, F_SETFL, 0);
  size_t rest = (packet_bytes - published_bytes % packet_bytes) % packet_bytes;
  if (rest && write(publisher, packet + packet_bytes - rest, rest) < 0) fail("write");
  uint64_t published = (published_bytes + rest) / packet_bytes;
  while (slowest(subscribers) < published && now_ns() - end < SETTLE_NS) drain(epoll, subscribers, fds, 50);
  uint64_t delivered = 0;
  for (int i = 0; i < subscribers; i++) delivered += received_bytes[i] / packet_bytes;
  printf("{\"messages\":%llu,\"seconds\":%.6f,\"published\":%llu,\"delivered\":%llu,\"lost\":%llu}\n",
         (unsigned long long)in_time, (end - start) / 1e9, (unsigned long long)published,
         (unsigned long long)delivered, (unsigned long long)(published * subscribers - delivered));
  return 0;
}
