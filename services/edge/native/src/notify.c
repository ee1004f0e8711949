#define _GNU_SOURCE
#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int notify_send(const char *path, size_t path_length, const char *text, size_t text_length) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (path_length == 0 || (path[0] != '/' && path[0] != '@')) return -EINVAL;
  if (path_length >= sizeof address.sun_path) return -ENAMETOOLONG;
  memcpy(address.sun_path, path, path_length);
  /* An abstract name is as long as it is said to be; one in the file system ends with its zero. */
  socklen_t length = offsetof(struct sockaddr_un, sun_path) + path_length + (path[0] == '/' ? 1 : 0);
  if (path[0] == '@') address.sun_path[0] = '\0';

  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  ssize_t sent =
      sendto(fd, text, text_length, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&address, length);
  int result = sent < 0 ? -errno : 0;
  close(fd);
  return result;
}
