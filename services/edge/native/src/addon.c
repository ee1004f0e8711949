/*
 * The door between Node and can_socket.c.
 *
 *   CAN_RAW socket --recvmmsg--> 256 frames --scatter--> columns of a FrameBatch --one call--> onFrames(count, lost)
 *
 * libuv's uv_poll says when frames are there. What costs on a small machine is the wake-up, not the frame: once the
 * bus is busy, polling stops and a timer reads what gatherMs have brought. Whoever imports this file is
 * services/edge/src/drivers/native-addon.ts, where the functions are described for their callers.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <node_api.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "can_socket.h"
#include "notify.h"
#include "periodic.h"

/*
 * Gather only while waiting gatherMs brings two frames or more: 20 came within ten times as long. With 1 ms that is
 * above 2000 frames/s, with 3 ms above 667; below it each frame goes at once.
 */
#define BUSY_FRAMES 20
#define BUSY_WINDOWS 10
#define LONG_AGO_US -1e6
/* Full batches in one turn of the event loop; then the rest of the program gets its turn. */
#define BATCHES_PER_TURN 16
#define COLUMN_COUNT 8

struct bus {
  struct can_socket can;
  struct periodic periodic;
  struct columns columns;
  uv_poll_t poll;
  uv_timer_t timer;
  unsigned gather_ms;
  bool open;
  bool polling;
  bool in_call;
  /* Kernel times of the last frames, a ring: the oldest is BUSY_FRAMES frames before the newest. */
  double recent_us[BUSY_FRAMES + 1];
  unsigned recent_next;
  /* errno of the last send that did not take every frame. */
  int refusal;

  napi_env env;
  napi_async_context context;
  napi_async_cleanup_hook_handle teardown;
  napi_ref self;
  napi_ref column_arrays;
  napi_ref on_frames;
  napi_ref on_trouble;

  /* Freed when neither libuv nor JavaScript knows it any more. */
  int open_handles;
  bool known_to_js;
};

static const napi_type_tag BUS_TAG = {0x63616e666c656574, 0x736f636b65746361};

/* --- life --------------------------------------------------------------------------------------------------------- */

static void release(struct bus *bus) {
  if (bus->open_handles == 0 && !bus->known_to_js) free(bus);
}

static void on_handle_closed(uv_handle_t *handle) {
  struct bus *bus = handle->data;
  if (--bus->open_handles > 0) return;
  if (bus->teardown) napi_remove_async_cleanup_hook(bus->teardown);
  bus->teardown = NULL;
  release(bus);
}

static void delete_reference(struct bus *bus, napi_ref *reference) {
  if (*reference) napi_delete_reference(bus->env, *reference);
  *reference = NULL;
}

static void close_bus(struct bus *bus) {
  if (!bus->open) return;
  bus->open = false;
  uv_close((uv_handle_t *)&bus->poll, on_handle_closed);
  uv_close((uv_handle_t *)&bus->timer, on_handle_closed);
  can_socket_close(&bus->can);
  periodic_stop_all(&bus->periodic);
  if (!bus->in_call) napi_async_destroy(bus->env, bus->context);
  delete_reference(bus, &bus->column_arrays);
  delete_reference(bus, &bus->on_frames);
  delete_reference(bus, &bus->on_trouble);
  delete_reference(bus, &bus->self);
}

static void on_teardown(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  close_bus(data);
}

static void on_collected(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  struct bus *bus = data;
  bus->known_to_js = false;
  release(bus);
}

/* --- columns ------------------------------------------------------------------------------------------------------ */

static bool read_typed_array(napi_env env, napi_value value, napi_typedarray_type wanted, void **data, size_t *length) {
  bool is_typed_array = false;
  napi_typedarray_type type;
  if (napi_is_typedarray(env, value, &is_typed_array) != napi_ok || !is_typed_array) return false;
  if (napi_get_typedarray_info(env, value, &type, length, data, NULL, NULL) != napi_ok) return false;
  return type == wanted;
}

/*
 * Finds the columns' memory, anew for each batch: a program that transfers one of the arrays to another thread takes
 * the memory away, and the array is then empty.
 */
static bool load_columns(napi_env env, napi_value arrays, struct columns *columns) {
  const struct {
    void **data;
    napi_typedarray_type type;
    size_t least;
  } wanted[COLUMN_COUNT] = {
      {(void **)&columns->timestamp_us, napi_float64_array, RX_FRAMES},
      {(void **)&columns->timestamp_ns, napi_uint16_array, RX_FRAMES},
      {(void **)&columns->id_word, napi_uint32_array, RX_FRAMES},
      {(void **)&columns->length, napi_uint8_array, RX_FRAMES},
      {(void **)&columns->dlc, napi_uint8_array, RX_FRAMES},
      {(void **)&columns->flags, napi_uint8_array, RX_FRAMES},
      {(void **)&columns->data_offset, napi_uint32_array, RX_FRAMES + 1},
      {(void **)&columns->data, napi_uint8_array, (size_t)RX_FRAMES * MAX_PAYLOAD},
  };
  for (uint32_t i = 0; i < COLUMN_COUNT; i++) {
    napi_value array;
    size_t length;
    if (napi_get_element(env, arrays, i, &array) != napi_ok ||
        !read_typed_array(env, array, wanted[i].type, wanted[i].data, &length) || length < wanted[i].least)
      return false;
  }
  return true;
}

/* --- calls into JavaScript ---------------------------------------------------------------------------------------- */

static void call(struct bus *bus, napi_ref callback, size_t argc, napi_value *argv) {
  napi_env env = bus->env;
  napi_value function, global, result, error;
  if (napi_get_reference_value(env, callback, &function) != napi_ok || napi_get_global(env, &global) != napi_ok) return;
  bus->in_call = true;
  napi_status status = napi_make_callback(env, bus->context, global, function, argc, argv, &result);
  bus->in_call = false;
  if (!bus->open) napi_async_destroy(env, bus->context);
  /* As with an exception in any other event's listener. */
  if (status == napi_pending_exception && napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

static void report_frames(struct bus *bus, uint32_t count, uint32_t lost) {
  napi_value argv[2];
  if (napi_create_uint32(bus->env, count, &argv[0]) == napi_ok &&
      napi_create_uint32(bus->env, lost, &argv[1]) == napi_ok)
    call(bus, bus->on_frames, 2, argv);
}

static void report_trouble(struct bus *bus, int error) {
  napi_handle_scope scope;
  if (napi_open_handle_scope(bus->env, &scope) != napi_ok) return;
  napi_value name;
  if (napi_create_string_utf8(bus->env, uv_err_name(-error), NAPI_AUTO_LENGTH, &name) == napi_ok)
    call(bus, bus->on_trouble, 1, &name);
  napi_close_handle_scope(bus->env, scope);
}

static bool refresh_columns(struct bus *bus) {
  napi_value arrays;
  return napi_get_reference_value(bus->env, bus->column_arrays, &arrays) == napi_ok &&
         load_columns(bus->env, arrays, &bus->columns);
}

static void remember_time(struct bus *bus, double timestamp_us) {
  bus->recent_us[bus->recent_next] = timestamp_us;
  bus->recent_next = (bus->recent_next + 1) % (BUSY_FRAMES + 1);
}

static bool is_busy(const struct bus *bus) {
  double newest = bus->recent_us[(bus->recent_next + BUSY_FRAMES) % (BUSY_FRAMES + 1)];
  return newest - bus->recent_us[bus->recent_next] < bus->gather_ms * BUSY_WINDOWS * 1000.0;
}

/* Hands n frames to JavaScript: at once, or in two parts where some were lost between. Returns whether to go on. */
static bool deliver(struct bus *bus, int n) {
  if (!refresh_columns(bus)) {
    report_trouble(bus, EFAULT);
    return false;
  }
  uint32_t count = 0;
  uint32_t lost = 0;
  bus->columns.data_offset[0] = 0;
  for (int i = 0; i < n; i++) {
    uint32_t dropped = can_socket_take_drops(&bus->can, i);
    if (dropped > 0 && count > 0) {
      report_frames(bus, count, lost);
      if (!bus->open || !refresh_columns(bus)) return false;
      count = lost = 0;
      bus->columns.data_offset[0] = 0;
    }
    lost += dropped;
    if (!can_socket_scatter(&bus->can, i, &bus->columns, count)) continue;
    remember_time(bus, bus->columns.timestamp_us[count]);
    count++;
  }
  if (count > 0 || lost > 0) report_frames(bus, count, lost);
  return bus->open;
}

/* --- the event loop ----------------------------------------------------------------------------------------------- */

static void on_readable(uv_poll_t *poll, int status, int events);
static void on_gathered(uv_timer_t *timer);

static void wait_for_frames(struct bus *bus, bool gather) {
  if (gather) {
    if (bus->polling) uv_poll_stop(&bus->poll);
    bus->polling = false;
    uv_timer_start(&bus->timer, on_gathered, bus->gather_ms, 0);
  } else if (!bus->polling) {
    bus->polling = uv_poll_start(&bus->poll, UV_READABLE, on_readable) == 0;
  }
}

static void read_frames(struct bus *bus) {
  napi_handle_scope scope;
  if (napi_open_handle_scope(bus->env, &scope) != napi_ok) return;
  struct can_socket *can = &bus->can;
  int n = 0;
  int error = 0;
  bool any = false;
  for (int turn = 0; turn < BATCHES_PER_TURN && bus->open; turn++) {
    n = can_socket_read(can);
    /* An error comes before the frames that arrived earlier: they are read first, because a reader may close now. */
    if (n < 0 && !error) error = -n;
    else if (n <= 0) break;
    if (n > 0) any |= deliver(bus, n);
    /* After a full batch there may be more; after new filters, old frames until the queue has been seen empty. */
    if (n > 0 && n < RX_FRAMES && (!can->filter_here || can->filter_always_here)) break;
  }
  if (n == 0) can->filter_here = can->filter_always_here;
  napi_close_handle_scope(bus->env, scope);
  if (bus->open && error) report_trouble(bus, error);
  if (bus->open) wait_for_frames(bus, bus->gather_ms > 0 && any && is_busy(bus));
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  (void)events;
  struct bus *bus = poll->data;
  /* At POLLERR libuv stops the handle and says UV_EBADF: the socket's own error comes from reading it. */
  if (status < 0) bus->polling = false;
  read_frames(bus);
}

static void on_gathered(uv_timer_t *timer) { read_frames(timer->data); }

/* --- arguments ---------------------------------------------------------------------------------------------------- */

static napi_value type_error(napi_env env, const char *text) {
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", text);
  return NULL;
}

static napi_value throw_errno(napi_env env, int error) {
  napi_throw_error(env, uv_err_name(-error), uv_strerror(-error));
  return NULL;
}

static struct bus *bus_of(napi_env env, napi_value value) {
  napi_valuetype type;
  bool is_bus = false;
  void *bus = NULL;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_external) return NULL;
  if (napi_check_object_type_tag(env, value, &BUS_TAG, &is_bus) != napi_ok || !is_bus) return NULL;
  return napi_get_value_external(env, value, &bus) == napi_ok ? bus : NULL;
}

static bool is_function(napi_env env, napi_value value) {
  napi_valuetype type;
  return napi_typeof(env, value, &type) == napi_ok && type == napi_function;
}

static bool read_channel(napi_env env, napi_value value, char *channel) {
  size_t length;
  return napi_get_value_string_utf8(env, value, channel, IF_NAMESIZE + 1, &length) == napi_ok && length > 0 &&
         strlen(channel) == length;
}

static bool set_property(napi_env env, napi_value object, const char *name, int value, bool is_boolean) {
  napi_value number;
  napi_status status = is_boolean ? napi_get_boolean(env, value != 0, &number) : napi_create_int32(env, value, &number);
  return status == napi_ok && napi_set_named_property(env, object, name, number) == napi_ok;
}

/* --- functions ---------------------------------------------------------------------------------------------------- */

static bool start(struct bus *bus, napi_env env, napi_value external, napi_value *argv) {
  napi_value name;
  uv_loop_t *loop;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok || uv_timer_init(loop, &bus->timer) != 0) return false;
  bus->timer.data = bus->poll.data = bus;
  bus->open_handles = 1;
  if (uv_poll_init(loop, &bus->poll, bus->can.fd) != 0) {
    uv_close((uv_handle_t *)&bus->timer, on_handle_closed);
    can_socket_close(&bus->can);
    return false;
  }
  bus->open_handles = 2;
  bus->open = true;
  bool complete = napi_create_string_utf8(env, "canfleet:can", NAPI_AUTO_LENGTH, &name) == napi_ok &&
                  napi_async_init(env, NULL, name, &bus->context) == napi_ok &&
                  napi_create_reference(env, argv[3], 1, &bus->column_arrays) == napi_ok &&
                  napi_create_reference(env, argv[4], 1, &bus->on_frames) == napi_ok &&
                  napi_create_reference(env, argv[5], 1, &bus->on_trouble) == napi_ok &&
                  napi_create_reference(env, external, 1, &bus->self) == napi_ok &&
                  napi_add_async_cleanup_hook(env, on_teardown, bus, &bus->teardown) == napi_ok;
  if (!complete) {
    close_bus(bus);
    return false;
  }
  wait_for_frames(bus, false);
  return true;
}

/* open(channel, receiveBufferBytes, gatherMs, columns, onFrames, onTrouble) -> handle */
static napi_value addon_open(napi_env env, napi_callback_info info) {
  size_t argc = 6;
  napi_value argv[6];
  char channel[IF_NAMESIZE + 1];
  int32_t receive_buffer_bytes;
  uint32_t gather_ms;
  struct columns columns;
  bool is_array = false;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 6 ||
      !read_channel(env, argv[0], channel) || napi_get_value_int32(env, argv[1], &receive_buffer_bytes) != napi_ok ||
      receive_buffer_bytes < 0 || napi_get_value_uint32(env, argv[2], &gather_ms) != napi_ok ||
      napi_is_array(env, argv[3], &is_array) != napi_ok || !is_array || !load_columns(env, argv[3], &columns) ||
      !is_function(env, argv[4]) || !is_function(env, argv[5]))
    return type_error(env, "open(channel, receiveBufferBytes, gatherMs, columns, onFrames, onTrouble)");

  struct bus *bus = calloc(1, sizeof *bus);
  if (!bus) return throw_errno(env, ENOMEM);
  periodic_init(&bus->periodic);
  int result = can_socket_open(&bus->can, channel, receive_buffer_bytes);
  if (result < 0) {
    free(bus);
    return throw_errno(env, -result);
  }
  bus->env = env;
  bus->gather_ms = gather_ms;
  for (int i = 0; i <= BUSY_FRAMES; i++) bus->recent_us[i] = LONG_AGO_US;
  napi_value external;
  if (napi_create_external(env, bus, on_collected, NULL, &external) != napi_ok) {
    can_socket_close(&bus->can);
    free(bus);
    return throw_errno(env, ENOMEM);
  }
  bus->known_to_js = true;
  if (napi_type_tag_object(env, external, &BUS_TAG) != napi_ok || !start(bus, env, external, argv)) {
    can_socket_close(&bus->can);
    return throw_errno(env, EIO);
  }
  return external;
}

/* describe(handle) -> { receiveBufferBytes, mtu, index } as found when it was opened */
static napi_value addon_describe(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1], result;
  struct bus *bus;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 1 || !(bus = bus_of(env, argv[0])))
    return type_error(env, "describe(handle)");
  if (napi_create_object(env, &result) != napi_ok ||
      !set_property(env, result, "receiveBufferBytes", bus->can.receive_buffer_bytes, false) ||
      !set_property(env, result, "mtu", bus->can.at_open.mtu, false) ||
      !set_property(env, result, "index", bus->can.at_open.index, false))
    return NULL;
  return result;
}

/* probe(channel) -> { index, mtu, up, running }; throws where there is none */
static napi_value addon_probe(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1], object;
  char channel[IF_NAMESIZE + 1];
  struct interface_state state;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 1 ||
      !read_channel(env, argv[0], channel))
    return type_error(env, "probe(channel)");
  int result = strlen(channel) < IF_NAMESIZE ? interface_probe(channel, &state) : -ENODEV;
  if (result < 0) return throw_errno(env, -result);
  if (napi_create_object(env, &object) != napi_ok || !set_property(env, object, "index", state.index, false) ||
      !set_property(env, object, "mtu", state.mtu, false) || !set_property(env, object, "up", state.up, true) ||
      !set_property(env, object, "running", state.running, true))
    return NULL;
  return object;
}

static bool read_send_columns(napi_env env, napi_value *argv, uint32_t end, struct columns *columns) {
  const struct {
    void **data;
    napi_typedarray_type type;
    size_t least;
  } wanted[] = {
      {(void **)&columns->id_word, napi_uint32_array, end},    {(void **)&columns->length, napi_uint8_array, end},
      {(void **)&columns->dlc, napi_uint8_array, end},         {(void **)&columns->flags, napi_uint8_array, end},
      {(void **)&columns->data_offset, napi_uint32_array, end}, {(void **)&columns->data, napi_uint8_array, 0},
  };
  size_t length = 0;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    if (!read_typed_array(env, argv[i], wanted[i].type, wanted[i].data, &length) || length < wanted[i].least)
      return false;
  }
  columns->data_capacity = length; /* of the last one, data */
  return true;
}

/* send(handle, idWord, length, dlc, flags, dataOffset, data, from, count) -> frames taken; see refusal */
static napi_value addon_send(napi_env env, napi_callback_info info) {
  size_t argc = 9;
  napi_value argv[9], result;
  struct bus *bus;
  struct columns columns;
  uint32_t from, count;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 9 || !(bus = bus_of(env, argv[0])) ||
      napi_get_value_uint32(env, argv[7], &from) != napi_ok || napi_get_value_uint32(env, argv[8], &count) != napi_ok ||
      count > UINT32_MAX - from || !read_send_columns(env, argv + 1, from + count, &columns))
    return type_error(env, "send(handle, idWord, length, dlc, flags, dataOffset, data, from, count)");
  uint32_t sent = 0;
  bus->refusal = ENODEV;
  if (bus->open) sent = can_socket_send(&bus->can, &columns, from, count, &bus->refusal);
  return napi_create_uint32(env, sent, &result) == napi_ok ? result : NULL;
}

static napi_value name_of(napi_env env, int error) {
  napi_value result;
  const char *name = error ? uv_err_name(-error) : "";
  return napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &result) == napi_ok ? result : NULL;
}

/* refusal(handle) -> name of the error that ended the last send */
static napi_value addon_refusal(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  struct bus *bus;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 1 || !(bus = bus_of(env, argv[0])))
    return type_error(env, "refusal(handle)");
  return name_of(env, bus->refusal);
}

/* setFilters(handle, words): Uint32Array of id, mask and 0 or 1 for "inverted", filter after filter */
static napi_value addon_set_filters(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  struct bus *bus;
  uint32_t *words;
  size_t length;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 2 || !(bus = bus_of(env, argv[0])) ||
      !read_typed_array(env, argv[1], napi_uint32_array, (void **)&words, &length) || length % 3 != 0)
    return type_error(env, "setFilters(handle, words)");
  if (!bus->open) return NULL;
  size_t count = length / 3;
  struct filter *filters = calloc(count ? count : 1, sizeof *filters);
  if (!filters) return throw_errno(env, ENOMEM);
  for (size_t i = 0; i < count; i++)
    filters[i] = (struct filter){words[3 * i], words[3 * i + 1], words[3 * i + 2] != 0};
  int result = can_socket_set_filters(&bus->can, filters, count);
  return result < 0 ? throw_errno(env, -result) : NULL;
}

static bool read_slot(napi_env env, napi_value value, uint32_t *slot) {
  return napi_get_value_uint32(env, value, slot) == napi_ok && *slot < PERIODIC_SLOTS;
}

/*
 * startPeriodic(handle, slot, idWord, length, dlc, flags, dataOffset, data, row, periodUs) -> name of the error, or "";
 * a period of 0 changes the frame of a slot that runs
 */
static napi_value addon_start_periodic(napi_env env, napi_callback_info info) {
  size_t argc = 10;
  napi_value argv[10];
  struct bus *bus;
  struct columns columns;
  uint32_t slot, row, period_us;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 10 || !(bus = bus_of(env, argv[0])) ||
      !read_slot(env, argv[1], &slot) || napi_get_value_uint32(env, argv[8], &row) != napi_ok || row == UINT32_MAX ||
      napi_get_value_uint32(env, argv[9], &period_us) != napi_ok || !read_send_columns(env, argv + 2, row + 1, &columns))
    return type_error(env, "startPeriodic(handle, slot, idWord, length, dlc, flags, dataOffset, data, row, periodUs)");
  if (!bus->open) return name_of(env, ENODEV);
  const void *frame;
  int size = can_socket_frame(&bus->can, &columns, row, &frame);
  if (size < 0) return name_of(env, -size);
  if (can_socket_is_bus_off(&bus->can)) return name_of(env, ENETDOWN);
  int result = period_us == 0 ? periodic_change(&bus->periodic, slot, frame, size)
                              : periodic_start(&bus->periodic, slot, bus->can.at_open.index, frame, size, period_us);
  return name_of(env, -result);
}

/* stopPeriodic(handle, slot): may be called again */
static napi_value addon_stop_periodic(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  struct bus *bus;
  uint32_t slot;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 2 || !(bus = bus_of(env, argv[0])) ||
      !read_slot(env, argv[1], &slot))
    return type_error(env, "stopPeriodic(handle, slot)");
  periodic_stop(&bus->periodic, slot);
  return NULL;
}

/* close(handle): nothing is called any more; may be called again */
static napi_value addon_close(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  struct bus *bus;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 1 || !(bus = bus_of(env, argv[0])))
    return type_error(env, "close(handle)");
  close_bus(bus);
  return NULL;
}

/* Bytes of a path and of what is told; the kernel takes no longer path. */
#define MAX_NOTIFY_PATH 128
#define MAX_NOTIFY_TEXT 1024

/* notify(socket, text) -> name of the error, or "" */
static napi_value addon_notify(napi_env env, napi_callback_info info) {
  size_t argc = 2, path_length, text_length;
  napi_value argv[2];
  char path[MAX_NOTIFY_PATH], text[MAX_NOTIFY_TEXT];
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 2 ||
      napi_get_value_string_utf8(env, argv[0], path, sizeof path, &path_length) != napi_ok ||
      napi_get_value_string_utf8(env, argv[1], text, sizeof text, &text_length) != napi_ok)
    return type_error(env, "notify(socket, text)");
  return name_of(env, -notify_send(path, path_length, text, text_length));
}

NAPI_MODULE_INIT() {
  const struct {
    const char *name;
    napi_callback function;
  } functions[] = {
      {"open", addon_open},     {"describe", addon_describe},      {"probe", addon_probe}, {"send", addon_send},
      {"refusal", addon_refusal}, {"setFilters", addon_set_filters}, {"startPeriodic", addon_start_periodic},
      {"stopPeriodic", addon_stop_periodic}, {"close", addon_close},              {"notify", addon_notify},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value function;
    if (napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL, &function) !=
            napi_ok ||
        napi_set_named_property(env, exports, functions[i].name, function) != napi_ok)
      return NULL;
  }
  return exports;
}
