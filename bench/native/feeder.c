/*
 * feeder TARGET[,TARGET...] FRAMES_PER_SECOND MILLISECONDS [ext] [fd]
 *
 * Writes CAN frames to each target, evenly spaced; 0 frames per second means as fast as it goes. A target is
 * can:INTERFACE (SocketCAN) or udp:PORT (the wire side of can-shim.c). The first 8 payload bytes are the time at which
 * the frame is written, ns of CLOCK_MONOTONIC, little-endian. Ends with a line of JSON: frames written to all targets
 * together, frames refused, and how long it took.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/can.h>
#include <linux/can/raw.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#define MAX_TARGETS 16
#define BURST 64
#define IDS 40
#define WIRE_PORTS 100

static int targets[MAX_TARGETS];
static int target_count;
static uint64_t sent, refused, number;
static struct canfd_frame frames[BURST];
static struct iovec vectors[BURST];
static struct mmsghdr messages[BURST];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + now.tv_nsec;
}

static int open_can(const char *name, bool fd_frames) {
  int fd = socket(PF_CAN, SOCK_RAW, CAN_RAW);
  if (fd < 0) fail("PF_CAN");
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (ioctl(fd, SIOCGIFINDEX, &request) < 0) fail(name);
  int on = fd_frames;
  setsockopt(fd, SOL_CAN_RAW, CAN_RAW_FD_FRAMES, &on, sizeof on);
  /* It only writes: what the bus carries must not fill its queue. */
  setsockopt(fd, SOL_CAN_RAW, CAN_RAW_FILTER, NULL, 0);
  struct sockaddr_can address = {.can_family = AF_CAN, .can_ifindex = request.ifr_ifindex};
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
  return fd;
}

static int open_udp(int port) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0) fail("socket");
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port + WIRE_PORTS)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
  address.sin_port = htons(port);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
  return fd;
}

static void open_targets(char *list, bool fd_frames) {
  for (char *name = strtok(list, ","); name && target_count < MAX_TARGETS; name = strtok(NULL, ","))
    targets[target_count++] = strncmp(name, "can:", 4) == 0 ? open_can(name + 4, fd_frames) : open_udp(atoi(name + 4));
}

static void fill(int slot, bool extended, bool fd_frames, uint64_t time_ns) {
  struct canfd_frame *frame = &frames[slot];
  uint32_t id = 0x100 + (uint32_t)(number++ % IDS) * 16;
  frame->can_id = extended ? (id << 8 | 0x23) | CAN_EFF_FLAG : id;
  frame->len = fd_frames ? 64 : 8;
  frame->flags = fd_frames ? 0x04 | CANFD_BRS : 0;
  memcpy(frame->data, &time_ns, sizeof time_ns);
  vectors[slot] = (struct iovec){frame, fd_frames ? CANFD_MTU : CAN_MTU};
  messages[slot].msg_hdr.msg_iov = &vectors[slot];
  messages[slot].msg_hdr.msg_iovlen = 1;
}

static void write_burst(int count) {
  for (int t = 0; t < target_count; t++) {
    for (int done = 0; done < count;) {
      int taken = sendmmsg(targets[t], messages + done, count - done, 0);
      if (taken > 0) {
        done += taken;
        sent += taken;
      } else {
        done++;
        refused++;
      }
    }
  }
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: feeder TARGET[,TARGET...] FRAMES_PER_SECOND MILLISECONDS [ext] [fd]\n");
    return 2;
  }
  bool extended = false, fd_frames = false;
  for (int i = 4; i < argc; i++) {
    extended |= strcmp(argv[i], "ext") == 0;
    fd_frames |= strcmp(argv[i], "fd") == 0;
  }
  open_targets(argv[1], fd_frames);
  double rate = atof(argv[2]);
  uint64_t duration_ns = (uint64_t)atoll(argv[3]) * 1000000u;
  /* Otherwise sleeps are lengthened by 50 us. */
  prctl(PR_SET_TIMERSLACK, 1);
  uint64_t start = now_ns();
  uint64_t wanted = rate > 0 ? (uint64_t)(rate * duration_ns / 1e9) : UINT64_MAX;
  uint64_t written = 0;
  while (written < wanted) {
    uint64_t now = now_ns();
    if (rate == 0 && now - start >= duration_ns) break;
    uint64_t due = rate == 0 ? UINT64_MAX : (uint64_t)((now - start) * rate / 1e9) + 1;
    if (due > wanted) due = wanted;
    if (written >= due) {
      uint64_t at = start + (uint64_t)(written * 1e9 / rate);
      struct timespec until = {at / 1000000000u, at % 1000000000u};
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
      continue;
    }
    int count = due - written < BURST ? (int)(due - written) : BURST;
    for (int slot = 0; slot < count; slot++) fill(slot, extended, fd_frames, now);
    write_burst(count);
    written += count;
  }
  double seconds = (now_ns() - start) / 1e9;
  printf("{\"sent\":%llu,\"refused\":%llu,\"seconds\":%.6f}\n", (unsigned long long)sent, (unsigned long long)refused,
         seconds);
  return 0;
}
