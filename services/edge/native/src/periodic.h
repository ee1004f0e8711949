/* Frames that the kernel sends again and again: the broadcast manager of SocketCAN. Knows no Node. */
#ifndef CANFLEET_PERIODIC_H
#define CANFLEET_PERIODIC_H

#include <stddef.h>
#include <stdint.h>

/* Periodic sends of one bus at most. */
#define PERIODIC_SLOTS 64

/*
 * A socket for each, because the broadcast manager tells sends of one socket apart by their id only; a task ends with
 * its socket, however the process ends.
 */
struct periodic {
  int fds[PERIODIC_SLOTS];
};

void periodic_init(struct periodic *periodic);

/*
 * Begins a slot: one frame at once, then one each period. What ran in the slot ends.
 * size is 16 for a classic frame and 72 for CAN FD. Returns 0 or -errno; the slot is then free.
 */
int periodic_start(struct periodic *periodic, unsigned slot, int interface_index, const void *frame, size_t size,
                   uint64_t period_us);

/* Another frame with the same id and of the same size from the next beat on; the beat stays. */
int periodic_change(struct periodic *periodic, unsigned slot, const void *frame, size_t size);
void periodic_stop(struct periodic *periodic, unsigned slot);
void periodic_stop_all(struct periodic *periodic);

#endif
