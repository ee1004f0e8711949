/*
 * SocketCAN for programs on a machine whose kernel has none: LD_PRELOAD this, and every PF_CAN socket is a UDP socket on
 * 127.0.0.1 instead. For benchmarks: one system call stays one system call of about the same cost, with the kernel's
 * own queue, timestamps (SO_TIMESTAMPNS, SIOCGSTAMP) and loss counter (SO_RXQ_OVFL).
 *
 *   interface canN or vcanN    receives at CANFLEET_SHIM_PORT + N, sends to CANFLEET_SHIM_PORT + 100 + N (the wire)
 *
 * What a kernel with CAN also does and this does not: no echo of own frames, no filters, no error frames, one reader.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/can.h>
#include <linux/can/raw.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define MAX_FDS 1024
#define WIRE_PORTS 100

static bool is_can[MAX_FDS];
static int index_of[MAX_FDS];

/* The libc's own function, looked up once: the look-up costs as much as a system call. */
#define REAL(name)                                                            \
  ({                                                                          \
    static __typeof__(&name) real;                                            \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name);             \
    real;                                                                     \
  })

static bool known(int fd) { return fd >= 0 && fd < MAX_FDS && is_can[fd]; }

static int base_port(void) {
  const char *text = getenv("CANFLEET_SHIM_PORT");
  return text ? atoi(text) : 28000;
}

int socket(int domain, int type, int protocol) {
  if (domain != PF_CAN) return REAL(socket)(domain, type, protocol);
  int fd = REAL(socket)(AF_INET, (type & ~0xf) | SOCK_DGRAM, 0);
  if (fd >= MAX_FDS) {
    errno = EMFILE;
    return -1;
  }
  if (fd >= 0) is_can[fd] = true;
  return fd;
}

int close(int fd) {
  if (known(fd)) is_can[fd] = false;
  return REAL(close)(fd);
}

static struct sockaddr_in local_port(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int bind(int fd, const struct sockaddr *address, socklen_t length) {
  if (!known(fd)) return REAL(bind)(fd, address, length);
  /* Interface indexes begin at 1 (see ioctl). */
  index_of[fd] = ((const struct sockaddr_can *)address)->can_ifindex;
  int number = index_of[fd] - 1;
  struct sockaddr_in here = local_port(base_port() + number);
  struct sockaddr_in wire = local_port(base_port() + WIRE_PORTS + number);
  if (REAL(bind)(fd, (struct sockaddr *)&here, sizeof here) < 0) return -1;
  return connect(fd, (struct sockaddr *)&wire, sizeof wire);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
  ssize_t n = REAL(recvmsg)(fd, message, flags);
  if (n < 0 || !known(fd) || !message->msg_name || message->msg_namelen < sizeof(struct sockaddr_in)) return n;
  struct sockaddr_can *from = message->msg_name;
  from->can_family = AF_CAN;
  from->can_ifindex = index_of[fd];
  return n;
}

/* Broadcast manager sockets are connected instead of bound; here no frame comes to them. */
int connect(int fd, const struct sockaddr *address, socklen_t length) {
  if (known(fd) && address->sa_family == AF_CAN) return 0;
  return REAL(connect)(fd, address, length);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t length) {
  if (known(fd) && level == SOL_CAN_RAW) return 0;
  return REAL(setsockopt)(fd, level, name, value, length);
}

int ioctl(int fd, unsigned long request, ...) {
  va_list list;
  va_start(list, request);
  void *argument = va_arg(list, void *);
  va_end(list);
  if (!known(fd)) return REAL(ioctl)(fd, request, argument);
  struct ifreq *interface = argument;
  switch (request) {
    case SIOCGIFINDEX: {
      const char *digits = interface->ifr_name + strcspn(interface->ifr_name, "0123456789");
      if (!strstr(interface->ifr_name, "can") || !*digits) {
        errno = ENODEV;
        return -1;
      }
      interface->ifr_ifindex = atoi(digits) + 1;
      return 0;
    }
    case SIOCGIFNAME:
      snprintf(interface->ifr_name, sizeof interface->ifr_name, "vcan%d", interface->ifr_ifindex - 1);
      return 0;
    case SIOCGIFMTU:
      interface->ifr_mtu = CANFD_MTU;
      return 0;
    case SIOCGIFFLAGS:
      interface->ifr_flags = IFF_UP | IFF_RUNNING;
      return 0;
    default:
      return REAL(ioctl)(fd, request, argument);
  }
}
