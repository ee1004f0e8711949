/*
 * Lets user-mode-linux boot on CPUs whose XSAVE area is larger than the buffer it knows (AMX; seen with UML 6.1).
 *
 * UML gets and sets its processes' registers with PTRACE_GETREGSET and PTRACE_SETREGSET of NT_X86_XSTATE through a
 * buffer of its own size. The host's kernel fills a short buffer in part, but refuses to set from one (EFAULT in
 * x86's xstateregs_set), and UML panics at its first process. This library, preloaded into linux.uml, reads the whole
 * area, puts UML's bytes over its beginning and sets that.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

static char whole[64 * 1024] __attribute__((aligned(64)));

long ptrace(enum __ptrace_request request, ...) {
  va_list arguments;
  va_start(arguments, request);
  pid_t pid = va_arg(arguments, pid_t);
  void *address = va_arg(arguments, void *);
  void *data = va_arg(arguments, void *);
  va_end(arguments);

  static long (*real)(int, pid_t, void *, void *);
  if (!real) real = dlsym(RTLD_NEXT, "ptrace");
  if ((request != PTRACE_GETREGSET && request != PTRACE_SETREGSET) || (long)address != NT_X86_XSTATE)
    return real(request, pid, address, data);

  struct iovec *asked = data;
  struct iovec area = {whole, sizeof whole};
  long result = real(PTRACE_GETREGSET, pid, address, &area);
  if (result < 0 || area.iov_len <= asked->iov_len) return real(request, pid, address, data);
  if (request == PTRACE_GETREGSET) {
    memcpy(asked->iov_base, whole, asked->iov_len);
    return result;
  }
  memcpy(whole, asked->iov_base, asked->iov_len);
  return real(PTRACE_SETREGSET, pid, address, &area);
}
