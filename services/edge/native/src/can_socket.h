/* A SocketCAN raw socket that reads and writes many frames per system call, from and into columns. Knows no Node. */
#ifndef CANFLEET_CAN_SOCKET_H
#define CANFLEET_CAN_SOCKET_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Frames per system call. */
#define RX_FRAMES 256
#define TX_FRAMES 64
#define MAX_PAYLOAD 64

/* The bits of FrameBatch.flags (sdk/src/can/frame-batch.ts). */
enum { FLAG_FD = 1, FLAG_BRS = 2, FLAG_ESI = 4, FLAG_OWN = 8, FLAG_ECHO = 16 };

/*
 * struct can_frame (16 bytes) and struct canfd_frame (72) of linux/can.h in one: they differ in what bytes 5 to 7 are
 * called. Written out because len8_dlc is missing from headers before Linux 5.11.
 */
struct wire_frame {
  uint32_t id_word;
  uint8_t length;
  uint8_t fd_flags;
  uint8_t reserved;
  uint8_t len8_dlc;
  uint8_t data[MAX_PAYLOAD];
};

/* The typed arrays of a FrameBatch. */
struct columns {
  double *timestamp_us;
  uint16_t *timestamp_ns;
  uint32_t *id_word;
  uint8_t *length;
  uint8_t *dlc;
  uint8_t *flags;
  uint32_t *data_offset;
  uint8_t *data;
  size_t data_capacity;
};

struct filter {
  uint32_t id;
  uint32_t mask;
  bool inverted;
};

struct interface_state {
  int index;
  int mtu;
  /* Administratively up. */
  bool up;
  /* Up and with a carrier: a CAN controller that is bus-off has none. */
  bool running;
};

union control {
  struct cmsghdr align;
  char bytes[CMSG_SPACE(16) + CMSG_SPACE(sizeof(uint32_t))];
};

struct can_socket {
  int fd;
  char channel[IF_NAMESIZE];
  struct interface_state at_open;
  /* What the kernel granted, as it counts: its own bookkeeping included. */
  int receive_buffer_bytes;

  /* SO_RXQ_OVFL's running total, which wraps. */
  uint32_t drops_seen;
  /* A controller said bus-off, and no send has found it back since. */
  bool bus_off;

  struct filter *filters;
  size_t filter_count;
  /* Frames that passed the filters before these may still be queued, or the kernel cannot take this many. */
  bool filter_here;
  bool filter_always_here;

  struct wire_frame rx[RX_FRAMES];
  union control rx_control[RX_FRAMES];
  struct iovec rx_iov[RX_FRAMES];
  struct mmsghdr rx_messages[RX_FRAMES];

  struct wire_frame tx[TX_FRAMES];
  struct iovec tx_iov[TX_FRAMES];
  struct mmsghdr tx_messages[TX_FRAMES];
};

/* All return 0 or a count where well, and -errno where not. */

int interface_probe(const char *channel, struct interface_state *state);

/*
 * receive_buffer_bytes is what to ask the kernel for. The socket is non-blocking and reads from the first frame on.
 * -ENODEV: no such interface; -EADDRNOTAVAIL: it is no CAN interface; -EAFNOSUPPORT: no CAN in this kernel.
 */
int can_socket_open(struct can_socket *can, const char *channel, int receive_buffer_bytes);
void can_socket_close(struct can_socket *can);

/* Takes filters over (malloc'd; may be NULL with a count of 0, which passes everything). */
int can_socket_set_filters(struct can_socket *can, struct filter *filters, size_t count);

/* Reads up to RX_FRAMES frames into the socket's own buffers; 0 when there are none. */
int can_socket_read(struct can_socket *can);

/* Frames that the kernel dropped just before frame i of the last read. */
uint32_t can_socket_take_drops(struct can_socket *can, int i);

/* Writes frame i of the last read into a row; false when the frame does not pass the filters, and no row is used. */
bool can_socket_scatter(struct can_socket *can, int i, const struct columns *columns, uint32_t row);

/*
 * Sends count rows from row first without waiting. Returns how many were taken; when fewer, *error says why:
 * EOPNOTSUPP for a frame that can never be sent here, EINVAL for one that is none, else the kernel's.
 */
uint32_t can_socket_send(struct can_socket *can, const struct columns *columns, uint32_t first, uint32_t count,
                         int *error);

/*
 * Builds the frame of a row as the kernel takes it. Returns its size, 16 or 72 bytes, and where it is until the next
 * call; -EINVAL or -EOPNOTSUPP for one that can never be sent here.
 */
int can_socket_frame(struct can_socket *can, const struct columns *columns, uint32_t row, const void **frame);

/* Whether the controller is bus-off now, as far as the socket was told. */
bool can_socket_is_bus_off(struct can_socket *can);

#endif
