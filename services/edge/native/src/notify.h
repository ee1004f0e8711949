/* Telling a service manager how the process is (sd_notify(3)), without its library. */
#ifndef CANFLEET_NOTIFY_H
#define CANFLEET_NOTIFY_H

#include <stddef.h>

/*
 * Sends one datagram to a UNIX socket, without waiting. A path that begins with @ is in the abstract namespace.
 * Returns 0, or the negative errno: ENAMETOOLONG for a path that no socket can have.
 */
int notify_send(const char *path, size_t path_length, const char *text, size_t text_length);

#endif
