#define _GNU_SOURCE
#include "can_socket.h"

#include <errno.h>
#include <linux/can.h>
#include <linux/can/error.h>
#include <linux/can/raw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#ifndef CANFD_FDF
#define CANFD_FDF 0x04
#endif
/* asm-generic/socket.h, Linux 5.1: a time of 64 bits on 32-bit machines too, good beyond 2038. */
#ifndef SO_TIMESTAMPNS_NEW
#define SO_TIMESTAMPNS_NEW 64
#endif
#ifndef SO_TIMESTAMPNS_OLD
#define SO_TIMESTAMPNS_OLD 35
#endif
#ifndef SO_RXQ_OVFL
#define SO_RXQ_OVFL 40
#endif

struct time_new {
  int64_t seconds;
  int64_t nanoseconds;
};
struct time_old {
  long seconds;
  long nanoseconds;
};

static int set_option(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

/* --- the interface ------------------------------------------------------------------------------------------------ */

static int probe_on(int fd, const char *channel, struct interface_state *state) {
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strncpy(request.ifr_name, channel, IF_NAMESIZE - 1);
  if (ioctl(fd, SIOCGIFINDEX, &request) < 0) return -errno;
  state->index = request.ifr_ifindex;
  if (ioctl(fd, SIOCGIFMTU, &request) < 0) return -errno;
  state->mtu = request.ifr_mtu;
  if (ioctl(fd, SIOCGIFFLAGS, &request) < 0) return -errno;
  state->up = (request.ifr_flags & IFF_UP) != 0;
  state->running = (request.ifr_flags & IFF_RUNNING) != 0;
  return 0;
}

int interface_probe(const char *channel, struct interface_state *state) {
  int fd = socket(PF_CAN, SOCK_RAW | SOCK_CLOEXEC, CAN_RAW);
  if (fd < 0) return -errno;
  int result = probe_on(fd, channel, state);
  close(fd);
  return result;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static int configure(struct can_socket *can, int receive_buffer_bytes) {
  int fd = can->fd;
  /* Before bind, so that the first frame has the kernel's time too. */
  if (set_option(fd, SOL_SOCKET, SO_TIMESTAMPNS_NEW, 1) < 0) {
    int result = set_option(fd, SOL_SOCKET, SO_TIMESTAMPNS_OLD, 1);
    if (result < 0) return result;
  }
  int result = set_option(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
  if (result < 0) return result;
  /* The forced size needs CAP_NET_ADMIN; the other is cut at net.core.rmem_max. */
  if (set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer_bytes) < 0)
    set_option(fd, SOL_SOCKET, SO_RCVBUF, receive_buffer_bytes);
  socklen_t size = sizeof can->receive_buffer_bytes;
  if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &can->receive_buffer_bytes, &size) < 0) return -errno;

  set_option(fd, SOL_CAN_RAW, CAN_RAW_FD_FRAMES, 1); /* a kernel without CAN FD has no such frames to miss */
  if ((result = set_option(fd, SOL_CAN_RAW, CAN_RAW_ERR_FILTER, CAN_ERR_MASK)) < 0) return result;
  if ((result = set_option(fd, SOL_CAN_RAW, CAN_RAW_LOOPBACK, 1)) < 0) return result;
  return set_option(fd, SOL_CAN_RAW, CAN_RAW_RECV_OWN_MSGS, 1);
}

static void prepare_messages(struct can_socket *can) {
  for (int i = 0; i < RX_FRAMES; i++) {
    can->rx_iov[i] = (struct iovec){&can->rx[i], sizeof can->rx[i]};
    can->rx_messages[i].msg_hdr.msg_iov = &can->rx_iov[i];
    can->rx_messages[i].msg_hdr.msg_iovlen = 1;
    can->rx_messages[i].msg_hdr.msg_control = &can->rx_control[i];
  }
  for (int i = 0; i < TX_FRAMES; i++) {
    can->tx_iov[i].iov_base = &can->tx[i];
    can->tx_messages[i].msg_hdr.msg_iov = &can->tx_iov[i];
    can->tx_messages[i].msg_hdr.msg_iovlen = 1;
  }
}

int can_socket_open(struct can_socket *can, const char *channel, int receive_buffer_bytes) {
  memset(can, 0, sizeof *can);
  can->fd = -1;
  if (strlen(channel) >= IF_NAMESIZE) return -ENODEV;
  strcpy(can->channel, channel);
  prepare_messages(can);
  can->fd = socket(PF_CAN, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, CAN_RAW);
  if (can->fd < 0) return -errno;
  int result = probe_on(can->fd, channel, &can->at_open);
  /* A missing interface has been told by now: here ENODEV says that it is no CAN interface. */
  if (result == 0) result = configure(can, receive_buffer_bytes);
  struct sockaddr_can address;
  memset(&address, 0, sizeof address);
  address.can_family = AF_CAN;
  address.can_ifindex = can->at_open.index;
  if (result == 0 && bind(can->fd, (struct sockaddr *)&address, sizeof address) < 0)
    result = errno == ENODEV ? -EADDRNOTAVAIL : -errno;
  if (result < 0) can_socket_close(can);
  return result;
}

void can_socket_close(struct can_socket *can) {
  if (can->fd >= 0) close(can->fd);
  can->fd = -1;
  free(can->filters);
  can->filters = NULL;
  can->filter_count = 0;
}

/* --- filters ------------------------------------------------------------------------------------------------------ */

int can_socket_set_filters(struct can_socket *can, struct filter *filters, size_t count) {
  bool too_many = count > CAN_RAW_FILTER_MAX;
  size_t kernel_count = count == 0 || too_many ? 1 : count;
  struct can_filter *kernel = calloc(kernel_count, sizeof *kernel); /* zeroed: passes everything */
  if (!kernel) {
    free(filters);
    return -ENOMEM;
  }
  for (size_t i = 0; !too_many && i < count; i++) {
    /* Bit 29 of the kernel's id means "inverted", of its mask "error frames", which are asked for apart. */
    kernel[i].can_id = (filters[i].id & ~CAN_INV_FILTER) | (filters[i].inverted ? CAN_INV_FILTER : 0);
    kernel[i].can_mask = filters[i].mask & ~CAN_ERR_FLAG;
  }
  int result = setsockopt(can->fd, SOL_CAN_RAW, CAN_RAW_FILTER, kernel, kernel_count * sizeof *kernel) < 0 ? -errno : 0;
  free(kernel);
  if (result < 0) {
    free(filters);
    return result;
  }
  free(can->filters);
  can->filters = filters;
  can->filter_count = count;
  can->filter_always_here = too_many;
  can->filter_here = count > 0;
  return 0;
}

static bool passes(const struct can_socket *can, uint32_t id_word) {
  if (can->filter_count == 0 || (id_word & CAN_ERR_FLAG)) return true;
  for (size_t i = 0; i < can->filter_count; i++) {
    const struct filter *filter = &can->filters[i];
    bool matches = ((id_word ^ filter->id) & filter->mask & ~CAN_ERR_FLAG) == 0;
    if (matches != filter->inverted) return true;
  }
  return false;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

int can_socket_read(struct can_socket *can) {
  for (int i = 0; i < RX_FRAMES; i++) {
    /* recvmmsg leaves here what it wrote; left so, the next one would have no room. */
    can->rx_messages[i].msg_hdr.msg_controllen = sizeof can->rx_control[i];
  }
  int count;
  do {
    count = recvmmsg(can->fd, can->rx_messages, RX_FRAMES, MSG_DONTWAIT, NULL);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
  return count;
}

static const void *find_control(struct can_socket *can, int i, int type, size_t size) {
  struct msghdr *header = &can->rx_messages[i].msg_hdr;
  for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
    if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == type && part->cmsg_len >= CMSG_LEN(size))
      return CMSG_DATA(part);
  }
  return NULL;
}

uint32_t can_socket_take_drops(struct can_socket *can, int i) {
  const void *found = find_control(can, i, SO_RXQ_OVFL, sizeof(uint32_t));
  if (!found) return 0;
  uint32_t total;
  memcpy(&total, found, sizeof total);
  uint32_t lost = total - can->drops_seen;
  can->drops_seen = total;
  return lost;
}

static struct time_new time_of(struct can_socket *can, int i) {
  struct time_new time;
  const void *found = find_control(can, i, SO_TIMESTAMPNS_NEW, sizeof time);
  if (found) {
    memcpy(&time, found, sizeof time);
    return time;
  }
  struct time_old old;
  if ((found = find_control(can, i, SO_TIMESTAMPNS_OLD, sizeof old))) {
    memcpy(&old, found, sizeof old);
    return (struct time_new){old.seconds, old.nanoseconds};
  }
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (struct time_new){now.tv_sec, now.tv_nsec};
}

/* Smallest code that holds a payload (ISO 11898-1). */
static uint8_t dlc_of_length(uint8_t length) {
  static const uint8_t lengths[] = {12, 16, 20, 24, 32, 48, 64};
  if (length <= 8) return length;
  uint8_t dlc = 9;
  while (dlc < 15 && lengths[dlc - 9] < length) dlc++;
  return dlc;
}

/* MSG_DONTROUTE: sent on this host. MSG_CONFIRM: through this very socket (Documentation/networking/can.rst). */
static uint8_t origin_of(int message_flags) {
  if (message_flags & MSG_CONFIRM) return FLAG_OWN | FLAG_ECHO;
  return message_flags & MSG_DONTROUTE ? FLAG_OWN : 0;
}

static bool is_remote(uint32_t id_word) { return (id_word & (CAN_RTR_FLAG | CAN_ERR_FLAG)) == CAN_RTR_FLAG; }

bool can_socket_scatter(struct can_socket *can, int i, const struct columns *columns, uint32_t row) {
  const struct wire_frame *frame = &can->rx[i];
  if (can->filter_here && !passes(can, frame->id_word)) return false;

  bool is_fd = can->rx_messages[i].msg_len == CANFD_MTU;
  uint8_t length = frame->length > (is_fd ? MAX_PAYLOAD : 8) ? (is_fd ? MAX_PAYLOAD : 8) : frame->length;
  uint8_t origin = origin_of(can->rx_messages[i].msg_hdr.msg_flags);
  uint8_t fd_flags = is_fd ? FLAG_FD | (frame->fd_flags & CANFD_BRS ? FLAG_BRS : 0) |
                                 (frame->fd_flags & CANFD_ESI ? FLAG_ESI : 0)
                           : 0;
  bool has_raw_dlc = !is_fd && length == 8 && frame->len8_dlc > 8 && frame->len8_dlc <= 15;
  struct time_new time = time_of(can, i);

  columns->timestamp_us[row] = (double)time.seconds * 1e6 + (double)(time.nanoseconds / 1000);
  columns->timestamp_ns[row] = (uint16_t)(time.nanoseconds % 1000);
  columns->id_word[row] = frame->id_word;
  columns->length[row] = length;
  columns->dlc[row] = has_raw_dlc ? frame->len8_dlc : dlc_of_length(length);
  columns->flags[row] = fd_flags | origin;
  uint32_t at = columns->data_offset[row];
  uint8_t stored = is_remote(frame->id_word) ? 0 : length;
  memcpy(columns->data + at, frame->data, stored);
  columns->data_offset[row + 1] = at + stored;

  /* Only a controller's own word counts: any local program can write an error frame to a virtual bus. */
  if ((frame->id_word & CAN_ERR_FLAG) && (frame->id_word & CAN_ERR_BUSOFF) && !origin) can->bus_off = true;
  return true;
}

/* --- sending ------------------------------------------------------------------------------------------------------ */

static int check_frame(uint32_t id_word, uint8_t length, uint8_t flags) {
  if (id_word & CAN_ERR_FLAG) return EOPNOTSUPP;
  if (!(id_word & CAN_EFF_FLAG) && (id_word & CAN_EFF_MASK) > CAN_SFF_MASK) return EINVAL;
  if (!(flags & FLAG_FD)) return length > 8 ? EINVAL : 0;
  if (is_remote(id_word) || length > MAX_PAYLOAD) return EINVAL;
  static const uint8_t lengths[] = {12, 16, 20, 24, 32, 48, 64};
  return length <= 8 || lengths[dlc_of_length(length) - 9] == length ? 0 : EINVAL;
}

static int gather(struct can_socket *can, const struct columns *columns, uint32_t row, int slot) {
  uint32_t id_word = columns->id_word[row];
  uint8_t length = columns->length[row];
  uint8_t flags = columns->flags[row];
  int error = check_frame(id_word, length, flags);
  if (error) return error;
  uint8_t stored = is_remote(id_word) ? 0 : length;
  uint32_t at = columns->data_offset[row];
  if (at > columns->data_capacity || stored > columns->data_capacity - at) return EINVAL;

  struct wire_frame *frame = &can->tx[slot];
  memset(frame, 0, sizeof *frame);
  frame->id_word = id_word;
  frame->length = length;
  memcpy(frame->data, columns->data + at, stored);
  if (flags & FLAG_FD) {
    frame->fd_flags =
        CANFD_FDF | (flags & FLAG_BRS ? CANFD_BRS : 0) | (flags & FLAG_ESI ? CANFD_ESI : 0);
  } else if (length == 8 && columns->dlc[row] > 8 && columns->dlc[row] <= 15) {
    frame->len8_dlc = columns->dlc[row];
  }
  can->tx_iov[slot].iov_len = flags & FLAG_FD ? CANFD_MTU : CAN_MTU;
  return 0;
}

/* The kernel says EINVAL for an FD frame on a classic interface; the interface's mtu tells that from other mistakes. */
static int explain(struct can_socket *can, int error, int slot) {
  struct interface_state state;
  if (error != EINVAL || can->tx_iov[slot].iov_len != CANFD_MTU) return error;
  return probe_on(can->fd, can->channel, &state) == 0 && state.mtu < (int)CANFD_MTU ? EOPNOTSUPP : error;
}

/*
 * While a controller is bus-off the interface has no carrier and its queue swallows frames without an error. Whether
 * it is back is asked of the interface, because not every way back is announced by an error frame.
 */
static bool still_bus_off(struct can_socket *can) {
  struct interface_state state;
  if (!can->bus_off) return false;
  can->bus_off = probe_on(can->fd, can->channel, &state) == 0 && !state.running;
  return can->bus_off;
}

uint32_t can_socket_send(struct can_socket *can, const struct columns *columns, uint32_t first, uint32_t count,
                         int *error) {
  uint32_t sent = 0;
  *error = count > 0 && still_bus_off(can) ? ENETDOWN : 0;
  while (sent < count && !*error) {
    int refusal = 0;
    int ready = 0;
    while (ready < TX_FRAMES && sent + ready < count &&
           (refusal = gather(can, columns, first + sent + ready, ready)) == 0)
      ready++;
    int done = 0;
    while (done < ready && !*error) {
      int taken = sendmmsg(can->fd, can->tx_messages + done, ready - done, MSG_DONTWAIT);
      if (taken > 0) done += taken;
      else if (taken == 0) *error = EAGAIN;
      else if (errno != EINTR) *error = explain(can, errno, done);
    }
    sent += done;
    if (!*error) *error = refusal;
  }
  return sent;
}

int can_socket_frame(struct can_socket *can, const struct columns *columns, uint32_t row, const void **frame) {
  int error = gather(can, columns, row, 0);
  if (error) return -error;
  if (can->tx_iov[0].iov_len == CANFD_MTU && can->at_open.mtu < (int)CANFD_MTU) return -EOPNOTSUPP;
  *frame = &can->tx[0];
  return (int)can->tx_iov[0].iov_len;
}

bool can_socket_is_bus_off(struct can_socket *can) { return still_bus_off(can); }
