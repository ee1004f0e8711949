#define _GNU_SOURCE
#include "periodic.h"

#include <errno.h>
#include <linux/can.h>
#include <linux/can/bcm.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define US_PER_SECOND 1000000u

/* linux/can/bcm.h: the header, then the frame, which its type aligns to 8 bytes. */
union request {
  struct bcm_msg_head head;
  uint8_t bytes[sizeof(struct bcm_msg_head) + CANFD_MTU];
};

void periodic_init(struct periodic *periodic) {
  for (unsigned slot = 0; slot < PERIODIC_SLOTS; slot++) periodic->fds[slot] = -1;
}

static int set_up(int fd, const void *frame, size_t size, uint32_t flags, uint64_t period_us) {
  union request request;
  memset(&request, 0, sizeof request);
  request.head.opcode = TX_SETUP;
  request.head.flags = flags | (size == CANFD_MTU ? CAN_FD_FRAME : 0);
  /* No count with the first interval: the second one holds for ever. */
  request.head.ival2.tv_sec = (long)(period_us / US_PER_SECOND);
  request.head.ival2.tv_usec = (long)(period_us % US_PER_SECOND);
  memcpy(&request.head.can_id, frame, sizeof request.head.can_id);
  request.head.nframes = 1;
  memcpy(request.bytes + sizeof request.head, frame, size);
  size_t length = sizeof request.head + size;
  ssize_t written;
  do {
    written = write(fd, &request, length);
  } while (written < 0 && errno == EINTR);
  return written < 0 ? -errno : 0;
}

static int open_on(int interface_index) {
  int fd = socket(PF_CAN, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, CAN_BCM);
  if (fd < 0) return -errno;
  struct sockaddr_can address;
  memset(&address, 0, sizeof address);
  address.can_family = AF_CAN;
  address.can_ifindex = interface_index;
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  int error = errno;
  close(fd);
  return -error;
}

int periodic_start(struct periodic *periodic, unsigned slot, int interface_index, const void *frame, size_t size,
                   uint64_t period_us) {
  periodic_stop(periodic, slot);
  int fd = open_on(interface_index);
  if (fd < 0) return fd;
  int result = set_up(fd, frame, size, SETTIMER | STARTTIMER, period_us);
  if (result < 0) close(fd);
  else periodic->fds[slot] = fd;
  return result;
}

int periodic_change(struct periodic *periodic, unsigned slot, const void *frame, size_t size) {
  return periodic->fds[slot] < 0 ? -ENOENT : set_up(periodic->fds[slot], frame, size, 0, 0);
}

void periodic_stop(struct periodic *periodic, unsigned slot) {
  if (periodic->fds[slot] >= 0) close(periodic->fds[slot]);
  periodic->fds[slot] = -1;
}

void periodic_stop_all(struct periodic *periodic) {
  for (unsigned slot = 0; slot < PERIODIC_SLOTS; slot++) periodic_stop(periodic, slot);
}
