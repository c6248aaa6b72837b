/* Counts the allocations of the program that it is preloaded into (LD_PRELOAD), per thread.
 *
 *   MALLOC_COUNT_FILE   a file of sizeof(struct table) bytes that the reader made; mapped shared,
 * so that it can be read at any time without disturbing the program (no signal, no socket).
 *
 * malloc, calloc, realloc, reallocarray and the aligned ones each count one; operator new of
 * libstdc++ calls malloc and so counts once too. Between two looks at the file the difference is
 * what was allocated. While table.traces_wanted > 0 each allocation also prints its call stack to
 * MALLOC_COUNT_TRACE (a file; addresses and symbols as backtrace_symbols_fd gives them) and takes
 * one from it.
 *
 * Works with glibc (it calls the __libc_ entry points). Each thread writes its own slot: no locks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLOTS 62
#define MAGIC 0x534c4d43u

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);
extern void __libc_free(void*);

/* 64 bytes; bench/lib/counts.py reads it by this layout. */
struct slot {
  uint32_t tid;
  uint32_t reserved;
  char name[16];
  uint64_t mallocs;
  uint64_t callocs;
  uint64_t reallocs;
  uint64_t aligned;
  uint64_t frees;
};

struct table {
  uint32_t magic;
  uint32_t used; /* slots handed out; threads past the last share it */
  int64_t traces_wanted;
  char reserved[112];
  struct slot slots[SLOTS];
};

static struct table* table;
static int trace_fd = -1;
static __thread struct slot* my_slot __attribute__((tls_model("initial-exec")));
static __thread int is_tracing __attribute__((tls_model("initial-exec")));

static void forget_slot(void) { my_slot = NULL; }

__attribute__((constructor)) static void start(void) {
  const char* path = getenv("MALLOC_COUNT_FILE");
  if (path == NULL) return;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* at = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (at == MAP_FAILED) return;
  const char* trace = getenv("MALLOC_COUNT_TRACE");
  if (trace != NULL) trace_fd = open(trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  void* frame[2];
  backtrace(frame, 2); /* its first call loads libgcc, which allocates: get that over with */
  pthread_atfork(NULL, NULL, forget_slot); /* a forked child takes a slot of its own */
  table = at;
  table->magic = MAGIC;
}

static struct slot* slot_of_thread(void) {
  if (my_slot != NULL) return my_slot;
  uint32_t index = __atomic_fetch_add(&table->used, 1, __ATOMIC_RELAXED);
  if (index >= SLOTS) index = SLOTS - 1;
  my_slot = &table->slots[index];
  my_slot->tid = (uint32_t)syscall(SYS_gettid);
  return my_slot;
}

static void trace(struct slot* slot) {
  if (is_tracing || trace_fd < 0) return;
  if (__atomic_fetch_sub(&table->traces_wanted, 1, __ATOMIC_RELAXED) <= 0) {
    __atomic_store_n(&table->traces_wanted, 0, __ATOMIC_RELAXED);
    return;
  }
  is_tracing = 1;
  int saved = errno;
  void* frames[32];
  int depth = backtrace(frames, 32);
  prctl(PR_GET_NAME, slot->name);
  if (write(trace_fd, "\nallocation in thread ", 22) < 0 ||
      write(trace_fd, slot->name, sizeof slot->name) < 0 || write(trace_fd, "\n", 1) < 0) {
    /* The trace is a help for people; the counts do not depend on it. */
  }
  backtrace_symbols_fd(frames, depth, trace_fd);
  errno = saved;
  is_tracing = 0;
}

static void count(size_t member) {
  if (table == NULL) return;
  struct slot* slot = slot_of_thread();
  uint64_t* counter = (uint64_t*)((char*)slot + member);
  __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
  if (table->traces_wanted > 0 && member != offsetof(struct slot, frees)) trace(slot);
}

void* malloc(size_t size) {
  count(offsetof(struct slot, mallocs));
  return __libc_malloc(size);
}

void* calloc(size_t n, size_t size) {
  count(offsetof(struct slot, callocs));
  return __libc_calloc(n, size);
}

void* realloc(void* p, size_t size) {
  count(offsetof(struct slot, reallocs));
  return __libc_realloc(p, size);
}

void* reallocarray(void* p, size_t n, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(n, size, &bytes)) {
    errno = ENOMEM;
    return NULL;
  }
  count(offsetof(struct slot, reallocs));
  return __libc_realloc(p, bytes);
}

void* memalign(size_t alignment, size_t size) {
  count(offsetof(struct slot, aligned));
  return __libc_memalign(alignment, size);
}

void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

void* valloc(size_t size) { return memalign((size_t)sysconf(_SC_PAGESIZE), size); }

int posix_memalign(void** out, size_t alignment, size_t size) {
  if (alignment % sizeof(void*) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0)
    return EINVAL;
  void* p = memalign(alignment, size);
  if (p == NULL) return ENOMEM;
  *out = p;
  return 0;
}

void free(void* p) {
  if (p != NULL) count(offsetof(struct slot, frees));
  __libc_free(p);
}
